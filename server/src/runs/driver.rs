//! One run, from its record to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brine_model::catalog::{Health, Policy};
use brine_model::converge::Approval;
use brine_model::digest::Digest;
use brine_model::name::{NodeName, RoleName};
use brine_wire::agent::ServerRequest;
use brine_wire::job::{JobId, Secret};
use brine_wire::operator::Agreed;
use brine_wire::run::{NodeState, RunKind, RunPhase};
use tokio::time::sleep;

use super::apply::{Campaign, Tally};
use super::deeds::Deed;
use super::leases::{Key, Lease};
use super::plans::{self, Plans};
use super::recorder::Recorder;
use super::start::previous;
use super::{Mailbox, Word, agreed};
use crate::clock;
use crate::compile::Snapshot;
use crate::store::StoreError;

/// Everything that a run's task needs.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) recorder: Recorder,
    pub(super) mailbox: Mailbox,
    pub(super) kind: RunKind,
    pub(super) approved: bool,
    /// Exactly this, or nothing.
    pub(super) agreed: Option<Agreed>,
    /// It goes on with a run that stopped half-way, and may have left members drained.
    pub(super) resumes: bool,
    /// What an action does on each node.
    pub(super) deeds: BTreeMap<NodeName, Deed>,
    pub(super) targets: BTreeMap<NodeName, Target>,
    /// Pinned: what is applied is what was compiled when the run began.
    pub(super) snapshot: Snapshot,
    /// How each member's health is asked, by now.
    pub(super) conditions: BTreeMap<NodeName, Vec<Health>>,
    pub(super) previous: BTreeMap<NodeName, Previous>,
    /// What each node has had done to it in this run.
    pub(super) tally: Tally,
    pub(super) needs: BTreeSet<Key>,
    pub(super) lease: Option<Lease>,
    pub(super) steps: Steps,
}

/// What a node had when the run began.
#[derive(Debug, Clone)]
pub(super) struct Previous {
    pub(super) catalog: Digest,
    pub(super) policies: Vec<Policy>,
}

/// One node of the run.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) catalog: Digest,
    pub(super) secrets: Vec<Secret>,
    pub(super) policies: Vec<Policy>,
}

/// Counts the jobs of each node.
#[derive(Debug, Default)]
pub(super) struct Steps(BTreeMap<NodeName, u32>);

impl Steps {
    pub(super) fn next(&mut self, recorder: &Recorder, node: &NodeName) -> JobId {
        let step = self.0.entry(node.clone()).or_default();
        let id = JobId {
            run: recorder.run,
            step: *step,
        };
        *step += 1;
        id
    }
}

/// How a stage left the run.
#[derive(Debug)]
pub(super) enum Stage<T> {
    Done(T),
    Over {
        phase: RunPhase,
        reason: String,
    },
    /// The server stops: the record says where the run stood.
    Interrupted,
}

impl Stage<()> {
    /// How it ended, where something else would have come of it.
    pub(super) fn without<T>(self) -> Stage<T> {
        match self {
            Self::Over { phase, reason } => Stage::Over { phase, reason },
            Self::Done(()) | Self::Interrupted => Stage::Interrupted,
        }
    }
}

impl<T> Stage<T> {
    pub(super) fn cancelled(operator: &str) -> Self {
        Self::Over {
            phase: RunPhase::Cancelled,
            reason: format!("cancelled by {operator}"),
        }
    }
}

/// Runs to the end, whatever happens: a run that nobody drives must not look alive.
pub(super) async fn drive(driver: Driver) {
    let recorder = driver.recorder.clone();
    let failed = match tokio::spawn(go(driver)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the server could not keep its record: {error}")),
        Err(error) => Some(format!("the server failed, which is a bug: {error}")),
    };
    if let Some(reason) = failed {
        tracing::error!(run = %recorder.run, reason, "run");
        if let Err(error) = recorder.phase(RunPhase::Failed, Some(reason)).await {
            tracing::error!(run = %recorder.run, %error, "cannot end the run");
        }
    }
    recorder.shared.live.end(recorder.run);
}

async fn go(mut driver: Driver) -> Result<(), StoreError> {
    let stage = driver.stages().await?;
    let recorder = &driver.recorder;
    // Whoever waits for the lease may begin before this run's last event is read.
    drop(driver.lease.take());
    match stage {
        Stage::Done(()) => recorder.phase(RunPhase::Succeeded, None).await,
        Stage::Over { phase, reason } => recorder.phase(phase, Some(reason)).await,
        Stage::Interrupted => {
            recorder
                .shared
                .store
                .interrupt_run(recorder.run, clock::now())
                .await?;
            recorder.shared.live.tell(recorder.run);
            Ok(())
        }
    }
}

/// Goes on with what a stage gave, or leaves with how it ended.
macro_rules! next {
    ($stage:expr) => {
        match $stage {
            Stage::Done(value) => value,
            Stage::Over { phase, reason } => return Ok(Stage::Over { phase, reason }),
            Stage::Interrupted => return Ok(Stage::Interrupted),
        }
    };
}

impl Driver {
    async fn stages(&mut self) -> Result<Stage<()>, StoreError> {
        if self.kind != RunKind::Plan && self.lease.is_none() {
            next!(self.wait_for_lease().await?);
        }
        if self.kind == RunKind::Action {
            self.recorder.phase(RunPhase::Applying, None).await?;
            return self.act_on_all().await;
        }
        let nodes = next!(self.plan().await?);
        let mut plans = Plans {
            nodes,
            once: BTreeMap::new(),
        };
        let mut forming = match self.forming().await? {
            Ok(forming) => forming,
            // A plan touches nothing: it says what there is to say.
            Err(why) if self.kind == RunKind::Plan => {
                self.recorder
                    .note(format!("an apply would be refused: {why}"))
                    .await?;
                BTreeSet::new()
            }
            Err(why) => return self.refuse(why).await,
        };
        self.plan_once(&mut plans, &forming).await?;
        let amended = plans.amend(&self.snapshot.compilation.catalogs);
        self.show(&plans, amended).await?;
        if self.kind == RunKind::Plan {
            return Ok(Stage::Done(()));
        }
        let mut approvals = self.approvals(&plans, &forming);
        if let Err(why) = self.may_begin(&plans, &approvals, &forming).await? {
            return self.refuse(why).await;
        }
        if !self.approved && !plans.in_sync() {
            next!(self.wait_for_approval().await?);
            // While this run waited for a yes, another may have formed what it was about to form.
            if !forming.is_empty() {
                forming = match self.forming().await? {
                    Ok(forming) => forming,
                    Err(why) => return self.refuse(why).await,
                };
                approvals = self.approvals(&plans, &forming);
                if let Err(why) = self.may_begin(&plans, &approvals, &forming).await? {
                    return self.refuse(why).await;
                }
            }
        }
        for (node, approval) in &approvals {
            let store = &self.recorder.shared.store;
            store
                .set_approval(self.recorder.run, node.clone(), approval.clone())
                .await?;
        }
        self.recorder.phase(RunPhase::Applying, None).await?;
        self.apply(Campaign {
            plans,
            approvals,
            forming,
            look_again: amended,
            doer: None,
        })
        .await
    }

    /// Ends a run that touched nothing.
    async fn refuse(&self, reason: String) -> Result<Stage<()>, StoreError> {
        self.leave_untouched("refused before anything was touched")
            .await?;
        Ok(Stage::Over {
            phase: RunPhase::Refused,
            reason,
        })
    }

    /// Puts what is done once, and what waits for it, into the record's plans.
    async fn show(&self, plans: &Plans, amended: bool) -> Result<(), StoreError> {
        for node in self.targets.keys() {
            let Some(compiled) = self.snapshot.compilation.catalogs.get(node) else {
                continue;
            };
            let plan = plans.shown(node, compiled);
            // Most plans are what the node itself has said.
            let more = plans.once.values().any(|(member, _)| member == node);
            if !more && !amended {
                continue;
            }
            let changes = plan
                .resources
                .iter()
                .filter(|planned| !planned.outcome.changes().is_empty())
                .count();
            let state = if plan.in_sync() {
                NodeState::InSync
            } else {
                NodeState::Planned
            };
            self.recorder.plan(node, plan, state, changes).await?;
        }
        Ok(())
    }

    fn approvals(
        &self,
        plans: &Plans,
        forming: &BTreeSet<RoleName>,
    ) -> BTreeMap<NodeName, Approval> {
        let approval = |node: &NodeName| {
            let compiled = self.snapshot.compilation.catalogs.get(node)?;
            let plan = plans.shown(node, compiled);
            Some(plans::approval(&plan, self.is_forming(node, forming)))
        };
        self.targets
            .keys()
            .map(|node| (node.clone(), approval(node).unwrap_or_default()))
            .collect()
    }

    /// Everything that can be known to go wrong before anything is touched.
    async fn may_begin(
        &mut self,
        plans: &Plans,
        approvals: &BTreeMap<NodeName, Approval>,
        forming: &BTreeSet<RoleName>,
    ) -> Result<Result<(), String>, StoreError> {
        for (node, plan) in &plans.nodes {
            if let Some((id, change)) = plans::founds(plan)
                && !self.is_forming(node, forming)
            {
                let roles = self.snapshot.node(node).map(|record| &record.roles);
                let new = roles.and_then(|roles| roles.iter().find(|role| forming.contains(*role)));
                let text = &change.text;
                return Ok(Err(match new {
                    None => format!(
                        "{node} would found a second cluster ({id}: {text}): it does not see the \
                         others, which have one"
                    ),
                    // Forming goes over all members at once, which a role that exists does not bear.
                    Some(role) => format!(
                        "{node} would found the cluster of {role} ({id}: {text}), but has another \
                         role that exists already: form {role} on nodes that have no other role yet"
                    ),
                }));
            }
        }
        if let Some(agreed) = &self.agreed {
            let catalogs = self.targets.iter();
            let catalogs = catalogs.map(|(node, target)| (node.clone(), target.catalog));
            let once = plans.once.keys().cloned().collect();
            if let Err(why) = agreed::check(agreed, &catalogs.collect(), approvals, &once) {
                return Ok(Err(why));
            }
        }
        self.gate_opens(plans, forming).await
    }

    async fn wait_for_lease(&mut self) -> Result<Stage<()>, StoreError> {
        let shared = self.recorder.shared.clone();
        let mut released = shared.leases.released();
        let mut told = None;
        loop {
            released.borrow_and_update();
            let held = match shared.leases.take(self.recorder.run, &self.needs) {
                Ok(lease) => {
                    self.lease = Some(lease);
                    // The run before this one may have changed what there is to go back to.
                    self.previous = self
                        .recorder
                        .shared
                        .store
                        .nodes()
                        .await?
                        .0
                        .iter()
                        .filter(|record| self.targets.contains_key(&record.name))
                        .filter_map(|record| Some((record.name.clone(), previous(record)?)))
                        .collect();
                    return Ok(Stage::Done(()));
                }
                Err(held) => held,
            };
            if told != Some(held.by) {
                let (role, formula) = &held.key;
                let note = format!("waiting for run {} to release {role}/{formula}", held.by);
                self.recorder.note(note).await?;
                told = Some(held.by);
            }
            tokio::select! {
                _ = released.changed() => {}
                operator = cancelled(&mut self.mailbox) => {
                    self.leave_untouched("cancelled before it began").await?;
                    return Ok(Stage::cancelled(&operator));
                }
                () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
            }
        }
    }

    async fn wait_for_approval(&mut self) -> Result<Stage<()>, StoreError> {
        self.recorder.phase(RunPhase::Approval, None).await?;
        let shared = self.recorder.shared.clone();
        let limit = shared.limits.approval;
        let stage = tokio::select! {
            word = self.mailbox.recv() => match word {
                Some(Word::Approve) => return Ok(Stage::Done(())),
                Some(Word::Cancel(operator)) => Stage::cancelled(&operator),
                None => Stage::cancelled("nobody"),
            },
            () = sleep(limit) => Stage::Over {
                phase: RunPhase::Cancelled,
                reason: format!("not approved within {}", minutes(limit)),
            },
            () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
        };
        self.leave_untouched("the plan was not approved").await?;
        Ok(stage)
    }

    /// For an apply that ends before it touched anything.
    pub(super) async fn leave_untouched(&self, reason: &str) -> Result<(), StoreError> {
        if self.kind != RunKind::Plan {
            for node in self.targets.keys() {
                self.recorder
                    .state(node, NodeState::Untouched, Some(reason))
                    .await?;
            }
        }
        Ok(())
    }

    /// Asks a node to stop what it does for this run; it may be away, and stop by itself then.
    pub(super) fn cancel_job(&self, node: NodeName, job: JobId) {
        let fleet = self.recorder.shared.fleet.clone();
        self.recorder.shared.drivers.spawn(async move {
            if let Err(error) = fleet.ask(&node, &ServerRequest::Cancel(job)).await {
                tracing::debug!(%node, %error, "cannot cancel the job");
            }
        });
    }
}

/// The next wish to cancel; an approval that nobody asked for is no word.
pub(super) async fn cancelled(mailbox: &mut Mailbox) -> String {
    loop {
        match mailbox.recv().await {
            Some(Word::Cancel(operator)) => return operator,
            Some(Word::Approve) => {}
            None => std::future::pending().await,
        }
    }
}

fn minutes(span: Duration) -> String {
    match span.as_secs() {
        secs if secs >= 60 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}
