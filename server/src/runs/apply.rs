//! Applying: does what the rollout decides, and tells it what came of it.

use std::collections::BTreeMap;

use brine_model::catalog::Health;
use brine_model::converge::{Approval, Plan};
use brine_model::name::NodeName;
use brine_model::resource::Impact;
use brine_wire::job::{JobId, Task};
use brine_wire::run::{NodeState, RunPhase};
use tokio::task::{Id, JoinSet};

use super::driver::{Driver, Stage, Target, cancelled};
use super::health::{conditions, settle, standing};
use super::members::{asked_before, setup};
use super::outcome::{self, StepOutcome};
use super::perform::{Order, perform};
use super::recorder::Recorder;
use crate::clock;
use crate::rollout::{Action, End, Input, Rollout, Setup, Standing, Verdict, Work};
use crate::store::{JobKind, StoreError};

/// What a task tells; with an apply, how many resources changed and failed.
type Told = (Input, Option<(u32, u32)>);

/// What is under way for a rollout.
struct Rolling {
    approvals: BTreeMap<NodeName, Approval>,
    outcomes: BTreeMap<NodeName, StepOutcome>,
    work: JoinSet<Result<Told, StoreError>>,
    /// What to tell the rollout should a task die.
    died: BTreeMap<Id, Input>,
    applying: BTreeMap<NodeName, JobId>,
}

impl Driver {
    pub(super) async fn apply(
        &mut self,
        plans: BTreeMap<NodeName, Plan>,
    ) -> Result<Stage<()>, StoreError> {
        let mut setup = match self.members(&plans).await? {
            Ok(setup) => setup,
            Err(reason) => {
                self.leave_untouched("a node was removed").await?;
                return Ok(Stage::Over {
                    phase: RunPhase::Failed,
                    reason,
                });
            }
        };
        for (node, plan) in &plans {
            if let Some(member) = setup.members.get_mut(node) {
                member.work = Some(work(plan));
            }
        }
        let mut rolling = Rolling {
            approvals: plans
                .iter()
                .map(|(node, plan)| (node.clone(), plan.approval()))
                .collect(),
            outcomes: BTreeMap::new(),
            work: JoinSet::new(),
            died: BTreeMap::new(),
            applying: BTreeMap::new(),
        };
        let mut rollout = Rollout::new(setup);
        let mut actions = rollout.start();
        let shared = self.recorder.shared.clone();
        loop {
            for action in std::mem::take(&mut actions) {
                if let Action::Finish(end) = action {
                    return self.finish(end).await;
                }
                self.act(action, &mut rolling).await?;
            }
            let (input, counts) = tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
                Some(ended) = rolling.work.join_next_with_id() => match ended {
                    Ok((id, told)) => {
                        rolling.died.remove(&id);
                        told?
                    }
                    Err(error) => match rolling.died.remove(&error.id()) {
                        Some(input) => (input, None),
                        None => continue,
                    },
                },
                operator = cancelled(&mut self.mailbox) => (Input::Cancel(operator), None),
            };
            actions = rollout.input(input.clone());
            self.record(input, counts, &actions, &mut rolling).await?;
        }
    }

    /// Everybody whom this rollout must look at, as of now.
    async fn members(
        &mut self,
        plans: &BTreeMap<NodeName, Plan>,
    ) -> Result<Result<Setup, String>, StoreError> {
        self.snapshot.nodes = self.recorder.shared.store.nodes().await?.0;
        if let Some(gone) = plans.keys().find(|node| self.snapshot.node(node).is_none()) {
            return Ok(Err(format!("{gone} was removed: nothing was touched")));
        }
        let targets: Vec<NodeName> = plans.keys().cloned().collect();
        let setup = setup(&targets, &self.snapshot);
        self.conditions = asked_before(&setup, &self.snapshot);
        Ok(Ok(setup))
    }

    async fn act(&mut self, action: Action, rolling: &mut Rolling) -> Result<(), StoreError> {
        let recorder = self.recorder.clone();
        let bug = || "the server failed, which is a bug".to_owned();
        match action {
            Action::Ask(node) => {
                let id = self.steps.next(&recorder, &node);
                let asked = self.conditions.get(&node).cloned().unwrap_or_default();
                let died = Input::Standing(node.clone(), Standing::Unhealthy(bug()));
                rolling.spawn(died, async move {
                    let standing = standing(&recorder, &node, id, asked).await;
                    Ok((Input::Standing(node, standing), None))
                });
            }
            Action::Apply(node) => {
                let Some(target) = self.targets.get(&node).cloned() else {
                    return Ok(());
                };
                let id = self.steps.next(&recorder, &node);
                let approval = rolling.approvals.get(&node).cloned().unwrap_or_default();
                rolling.applying.insert(node.clone(), id);
                let died = Input::Applied(node.clone(), StepOutcome::Failed(bug()));
                rolling.spawn(died, async move {
                    let (outcome, counts) = apply(&recorder, &node, id, target, approval).await?;
                    Ok((Input::Applied(node, outcome), counts))
                });
            }
            Action::Check(node) => {
                let id = self.steps.next(&recorder, &node);
                let asked = self.new_conditions(&node);
                // From here on it is asked what its new catalog says.
                self.conditions.insert(node.clone(), asked.clone());
                let died = Input::Settled(node.clone(), Err(bug()));
                rolling.spawn(died, async move {
                    let settled = settle(&recorder, &node, id, asked).await;
                    Ok((Input::Settled(node, settled), None))
                });
            }
            Action::CancelJob(node) => {
                if let Some(id) = rolling.applying.get(&node) {
                    self.cancel_job(node, *id);
                }
            }
            Action::Finish(_) => {}
        }
        Ok(())
    }

    /// What the record says of a node once a step of it has ended.
    async fn record(
        &self,
        input: Input,
        counts: Option<(u32, u32)>,
        actions: &[Action],
        rolling: &mut Rolling,
    ) -> Result<(), StoreError> {
        match input {
            Input::Applied(node, outcome) => {
                rolling.applying.remove(&node);
                let mut update = outcome.update(counts);
                if actions.contains(&Action::Check(node.clone())) {
                    update.state = NodeState::Checking;
                }
                rolling.outcomes.insert(node.clone(), outcome);
                self.recorder.node(&node, update).await
            }
            Input::Settled(node, Ok(())) => {
                let outcome = rolling.outcomes.get(&node).unwrap_or(&StepOutcome::InSync);
                self.recorder.node(&node, outcome.update(None)).await
            }
            Input::Settled(node, Err(why)) => {
                let reason = format!("applied, but not healthy: {why}");
                self.recorder
                    .state(&node, NodeState::Failed, Some(&reason))
                    .await
            }
            Input::Standing(..) => Ok(()),
            Input::Cancel(operator) => {
                let note = format!("{operator} cancels: what is under way is awaited");
                self.recorder.note(note).await
            }
        }
    }

    async fn finish(&self, end: End) -> Result<Stage<()>, StoreError> {
        let reason = match &end.verdict {
            Verdict::Succeeded => return Ok(Stage::Done(())),
            Verdict::Failed(_) => "the rollout stopped before its turn",
            Verdict::Cancelled(_) => "cancelled before its turn",
        };
        for node in &end.untouched {
            self.recorder
                .state(node, NodeState::Untouched, Some(reason))
                .await?;
        }
        let untouched: Vec<&str> = end.untouched.iter().map(NodeName::as_str).collect();
        let rest = match untouched.as_slice() {
            [] => String::new(),
            names => format!("; untouched: {}", names.join(", ")),
        };
        Ok(match end.verdict {
            Verdict::Succeeded => Stage::Done(()),
            Verdict::Failed(why) => Stage::Over {
                phase: RunPhase::Failed,
                reason: format!("{why}{rest}"),
            },
            Verdict::Cancelled(operator) => Stage::Over {
                phase: RunPhase::Cancelled,
                reason: format!("cancelled by {operator}{rest}"),
            },
        })
    }

    fn new_conditions(&self, node: &NodeName) -> Vec<Health> {
        self.targets
            .get(node)
            .map(|target| conditions(&target.policies))
            .unwrap_or_default()
    }
}

impl Rolling {
    fn spawn(
        &mut self,
        died: Input,
        work: impl Future<Output = Result<Told, StoreError>> + Send + 'static,
    ) {
        let id = self.work.spawn(work).id();
        self.died.insert(id, died);
    }
}

fn work(plan: &Plan) -> Work {
    if plan.in_sync() {
        Work::Confirm
    } else if plan.impact() == Impact::None {
        Work::Quiet
    } else {
        Work::Disturb
    }
}

/// Applies one node.
async fn apply(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    target: Target,
    approval: Approval,
) -> Result<(StepOutcome, Option<(u32, u32)>), StoreError> {
    let within = recorder.shared.limits.apply;
    let deadline = clock::now().plus(within);
    let store = &recorder.shared.store;
    store
        .open_job(node.clone(), id, JobKind::Apply, target.catalog, deadline)
        .await?;
    recorder.state(node, NodeState::Applying, None).await?;
    let task = Task::Apply {
        catalog: target.catalog,
        secrets: target.secrets,
        approval,
    };
    let order = Order {
        node,
        id,
        task,
        within,
        shown: Some(NodeState::Applying),
    };
    Ok(match perform(recorder, order).await {
        Ok(result) => outcome::of_apply(&result),
        Err(error) => (StepOutcome::Failed(error.to_string()), None),
    })
}
