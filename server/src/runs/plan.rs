//! Planning: all nodes at once, and every error before anything is touched.

use std::collections::BTreeMap;

use brine_model::converge::Plan;
use brine_model::name::NodeName;
use brine_wire::job::{JobId, Task};
use brine_wire::run::{NodeState, RunKind, RunPhase};
use tokio::task::JoinSet;

use super::driver::{Driver, Stage, Target, cancelled};
use super::outcome;
use super::perform::{Order, perform};
use super::recorder::Recorder;
use crate::clock;
use crate::store::{JobKind, NodeUpdate, StoreError};

impl Driver {
    pub(super) async fn plan(&mut self) -> Result<Stage<BTreeMap<NodeName, Plan>>, StoreError> {
        let shared = self.recorder.shared.clone();
        let mut jobs = JoinSet::new();
        let mut sent = Vec::new();
        for (node, target) in &self.targets {
            let id = self.steps.next(&self.recorder, node);
            sent.push((node.clone(), id));
            jobs.spawn(plan(
                self.recorder.clone(),
                node.clone(),
                id,
                target.clone(),
            ));
        }
        let mut plans = BTreeMap::new();
        let mut failures = Vec::new();
        loop {
            let ended = tokio::select! {
                ended = jobs.join_next() => ended,
                operator = cancelled(&mut self.mailbox) => {
                    // Dropping the tasks ends the waiting, not what the agents do.
                    drop(jobs);
                    for (node, id) in sent {
                        self.cancel_job(node, id);
                    }
                    self.leave_untouched("cancelled while nodes planned").await?;
                    return Ok(Stage::cancelled(&operator));
                }
                () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
            };
            let Some(ended) = ended else { break };
            let (node, planned) = ended.map_err(|_| StoreError::Closed)?;
            match planned? {
                Ok(plan) => drop(plans.insert(node, plan)),
                Err(why) => failures.push(format!("{node} cannot plan: {why}")),
            }
        }
        if failures.is_empty() {
            return Ok(Stage::Done(plans));
        }
        failures.sort();
        if self.kind != RunKind::Plan {
            for node in plans.keys() {
                let reason = Some("another node cannot plan");
                self.recorder
                    .state(node, NodeState::Untouched, reason)
                    .await?;
            }
            failures.push("nothing was touched".to_owned());
        }
        Ok(Stage::Over {
            phase: RunPhase::Failed,
            reason: failures.join("; "),
        })
    }
}

/// Plans one node and records how it came out.
async fn plan(
    recorder: Recorder,
    node: NodeName,
    id: JobId,
    target: Target,
) -> (NodeName, Result<Result<Plan, String>, StoreError>) {
    let planned = plan_one(&recorder, &node, id, target).await;
    (node, planned)
}

async fn plan_one(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    target: Target,
) -> Result<Result<Plan, String>, StoreError> {
    recorder.state(node, NodeState::Planning, None).await?;
    let planned = look(recorder, node, id, target, JobKind::Plan).await?;
    let update = match &planned {
        Ok(plan) => {
            let changing = plan
                .resources
                .iter()
                .filter(|r| !r.outcome.changes().is_empty())
                .count();
            let state = if plan.in_sync() {
                NodeState::InSync
            } else {
                NodeState::Planned
            };
            let changed = u32::try_from(changing).unwrap_or(u32::MAX);
            NodeUpdate {
                state,
                reason: None,
                counts: Some((changed, 0)),
            }
        }
        Err(why) => NodeUpdate {
            state: NodeState::Failed,
            reason: Some(why.clone()),
            counts: Some((0, 1)),
        },
    };
    recorder.node(node, update).await?;
    Ok(planned)
}

/// Asks a node what a catalog would change now.
pub(super) async fn look(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    target: Target,
    kind: JobKind,
) -> Result<Result<Plan, String>, StoreError> {
    let within = recorder.shared.limits.plan;
    let deadline = clock::now().plus(within);
    let store = &recorder.shared.store;
    store
        .open_job(node.clone(), id, kind, target.catalog, deadline)
        .await?;
    let task = Task::Plan {
        catalog: target.catalog,
        secrets: target.secrets,
    };
    let order = Order {
        node,
        id,
        task,
        within,
        shown: None,
    };
    Ok(match perform(recorder, order).await {
        Ok(result) => outcome::of_plan(&result).cloned(),
        Err(error) => Err(error.to_string()),
    })
}
