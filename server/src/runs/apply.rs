//! Applying: wave after wave, and in each wave pass after pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brine_model::converge::{Approval, Part};
use brine_model::name::{NodeName, RoleName};
use brine_model::resource::ResourceId;
use brine_wire::run::{NodeState, RunKind, RunPhase};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::driver::{Driver, Stage, cancelled};
use super::health::standing;
use super::members::{asked_before, setup};
use super::once::{Asked, Doer, Done};
use super::outcome::StepOutcome;
use super::plan::look;
use super::plans::{Plans, work};
use super::{deeds, revert};
use crate::rollout::{
    NodeShape, Pass, PassKind, Setup, Standing, Verdict, Work, passes, preflight, waves,
};
use crate::store::{JobKind, StoreError};

/// Between two questions who does what is done once.
const AGAIN: Duration = Duration::from_secs(1);

/// What there is to do, and what was agreed to.
pub(super) struct Campaign {
    pub(super) plans: Plans,
    pub(super) approvals: BTreeMap<NodeName, Approval>,
    /// Roles that do not exist yet.
    pub(super) forming: BTreeSet<RoleName>,
    /// The plans are not the last word: what is done once may have changed what is to do.
    pub(super) look_again: bool,
    /// Who was found to do things once, as long as that is fresh.
    pub(super) doer: Option<(Asked, NodeName)>,
}

/// What has been done to each node.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) outcomes: BTreeMap<NodeName, StepOutcome>,
    pub(super) counts: BTreeMap<NodeName, (u32, u32)>,
    /// Nothing of their catalogs is left to do.
    pub(super) done: BTreeSet<NodeName>,
    /// In the order of their steps, those that changed or failed.
    pub(super) stepped: Vec<NodeName>,
    /// Nothing of them worked when they were last asked.
    pub(super) out: BTreeSet<NodeName>,
    /// Something was begun that may have changed something.
    pub(super) touched: bool,
    /// Whose step did not come out as it should.
    pub(super) failed: Option<NodeName>,
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
    pub(super) async fn apply(&mut self, mut campaign: Campaign) -> Result<Stage<()>, StoreError> {
        let mut setup = match self.members(&campaign.forming).await? {
            Ok(setup) => setup,
            Err(reason) => {
                self.leave_untouched("a node was removed").await?;
                return Ok(Stage::Over {
                    phase: RunPhase::Failed,
                    reason,
                });
            }
        };
        let mut whole = setup.clone();
        for (node, plan) in &campaign.plans.nodes {
            if let Some(member) = whole.members.get_mut(node) {
                member.work = Some(work(plan, Part::WHOLE));
            }
        }
        for wave in waves(&whole) {
            let mut later = Vec::new();
            for pass in self.cut(&wave, &campaign) {
                match pass.kind {
                    PassKind::Each { forming } => {
                        next!(
                            self.each(pass.parts, forming, &mut setup, &mut campaign)
                                .await?
                        );
                    }
                    PassKind::Once { resource } => {
                        let nodes: Vec<NodeName> = pass.parts.into_keys().collect();
                        let did = next!(self.once(&resource, &nodes, &mut campaign, true).await?);
                        if !did {
                            later.push((resource, nodes));
                        }
                    }
                }
            }
            // Who is to do it came to be only while its role was formed.
            for (resource, nodes) in later {
                next!(self.once(&resource, &nodes, &mut campaign, false).await?);
            }
        }
        Ok(Stage::Done(()))
    }

    /// What all have to reach before any goes on. Where nothing is to do there is nothing to wait
    /// for: each confirms its whole catalog.
    fn cut(&self, wave: &BTreeSet<NodeName>, campaign: &Campaign) -> Vec<Pass> {
        if self.kind == RunKind::Action || campaign.plans.in_sync() {
            return vec![Pass {
                kind: PassKind::Each { forming: false },
                parts: wave
                    .iter()
                    .map(|node| (node.clone(), deeds::PART))
                    .collect(),
            }];
        }
        let shape = |node: &NodeName| {
            let compiled = self.snapshot.compilation.catalogs.get(node)?;
            let resources = &compiled.catalog.resources;
            Some(NodeShape {
                forming: self.is_forming(node, &campaign.forming),
                formulas: resources
                    .iter()
                    .map(|entry| entry.formula.clone())
                    .collect(),
                founded: compiled
                    .policies
                    .iter()
                    .flat_map(|policy| &policy.formed)
                    .map(|condition| condition.formula.clone())
                    .collect(),
                once: compiled
                    .once
                    .iter()
                    .map(|once| (once.place, once.entry.id.clone()))
                    .collect(),
            })
        };
        let shapes = wave
            .iter()
            .filter_map(|node| Some((node.clone(), shape(node)?)))
            .collect();
        passes(&shapes)
    }

    /// One pass of which each node does its part.
    async fn each(
        &mut self,
        parts: BTreeMap<NodeName, Part>,
        forming: bool,
        setup: &mut Setup,
        campaign: &mut Campaign,
    ) -> Result<Stage<()>, StoreError> {
        campaign.doer = None;
        if campaign.look_again {
            let nodes: Vec<NodeName> = parts.keys().cloned().collect();
            next!(self.look_again(&nodes, campaign).await?);
        }
        for (name, member) in &mut setup.members {
            let part = parts.get(name);
            let plan = campaign.plans.nodes.get(name);
            member.work = part.zip(plan).map(|(part, plan)| match self.kind {
                RunKind::Action => Work::Disturb,
                // All at once: nobody is served yet, and one that waited for others would be waited for.
                _ if forming => work(plan, *part).min(Work::Quiet),
                // What was done once concerns it, though it may find nothing to do: it is asked whether
                // it is well.
                // The same where this run goes on with another, which may have ended before it asked.
                _ if campaign.look_again || self.resumes => work(plan, *part).max(Work::Quiet),
                RunKind::Plan | RunKind::Apply => work(plan, *part),
            });
        }
        let end = next!(self.roll(&parts, forming, setup, campaign).await?);
        // What its steps changed counts for the passes to come.
        for name in parts.keys() {
            if let Some(member) = setup.members.get_mut(name) {
                let exists = member.roles.difference(&campaign.forming).cloned();
                member.formed.extend(exists.collect::<Vec<_>>());
            }
        }
        match end {
            Verdict::Succeeded => Ok(Stage::Done(())),
            verdict => self.stopped(verdict, campaign).await,
        }
    }

    /// What is done once; false where there is nobody to do it yet, and that may wait.
    async fn once(
        &mut self,
        resource: &ResourceId,
        nodes: &[NodeName],
        campaign: &mut Campaign,
        may_wait: bool,
    ) -> Result<Stage<bool>, StoreError> {
        // Also where forming was cut short: then nobody leads yet, and what would elect one is to come.
        let unborn = |node: &NodeName| {
            let record = self.snapshot.node(node);
            record.is_some_and(|record| record.is_bare() && record.generation == 0)
        };
        let forms = nodes
            .iter()
            .all(|node| self.is_forming(node, &campaign.forming) || unborn(node));
        let asked = self.asked(resource, nodes);
        // Between two that found nothing to do no time has passed.
        let known = campaign.doer.take().filter(|(known, _)| *known == asked);
        let doer = match known {
            Some((_, doer)) => Doer::Member(doer),
            None => {
                let shared = self.recorder.shared.clone();
                let end = Instant::now() + shared.limits.choice;
                loop {
                    let doer = self.doer(resource, nodes).await?;
                    let clear = matches!(doer, Doer::Member(_)) || (forms && may_wait);
                    if clear || Instant::now() >= end {
                        break doer;
                    }
                    tokio::select! {
                        () = sleep(AGAIN) => {}
                        () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
                        operator = cancelled(&mut self.mailbox) => {
                            let over = self.stopped(Verdict::Cancelled(operator), campaign).await?;
                            return Ok(over.without());
                        }
                    }
                }
            }
        };
        let doer = match doer {
            Doer::Member(doer) => doer,
            Doer::Nobody(_) if forms && may_wait => return Ok(Stage::Done(false)),
            Doer::Nobody(why) => {
                let why = format!("nobody can do {resource}: {why}");
                let over = self.stopped(Verdict::Failed(why), campaign).await?;
                return Ok(over.without());
            }
        };
        let approved = campaign
            .approvals
            .values()
            .filter_map(|approval| Some((resource.clone(), approval.0.get(resource)?.clone())))
            .collect();
        let done = self.do_once(&doer, resource, &Approval(approved)).await?;
        match done {
            Done::InSync => campaign.doer = Some((asked, doer)),
            Done::Changed => {
                self.tally.touched = true;
                campaign.look_again = true;
            }
            Done::Failed(why) => {
                let over = self.stopped(Verdict::Failed(why), campaign).await?;
                return Ok(over.without());
            }
        }
        if self.recorder.shared.shutdown.is_cancelled() {
            return Ok(Stage::Interrupted);
        }
        Ok(Stage::Done(true))
    }

    /// Plans nodes anew, after something was done once; the approval stays what it was.
    async fn look_again(
        &mut self,
        nodes: &[NodeName],
        campaign: &mut Campaign,
    ) -> Result<Stage<()>, StoreError> {
        let shared = self.recorder.shared.clone();
        let mut looking = JoinSet::new();
        for node in nodes {
            let Some(target) = self.targets.get(node).cloned() else {
                continue;
            };
            let id = self.steps.next(&self.recorder, node);
            let (recorder, node) = (self.recorder.clone(), node.clone());
            looking.spawn(async move {
                let plan = look(&recorder, &node, id, target, JobKind::Look).await;
                (node, plan)
            });
        }
        let mut failures = Vec::new();
        loop {
            let ended = tokio::select! {
                ended = looking.join_next() => ended,
                operator = cancelled(&mut self.mailbox) => {
                    return self.stopped(Verdict::Cancelled(operator), campaign).await;
                }
                () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
            };
            let Some(ended) = ended else { break };
            let (node, plan) = ended.map_err(|_| StoreError::Closed)?;
            match plan? {
                Ok(plan) => drop(campaign.plans.nodes.insert(node, plan)),
                Err(why) => failures.push(format!("{node} cannot plan: {why}")),
            }
        }
        if failures.is_empty() {
            return Ok(Stage::Done(()));
        }
        failures.sort();
        self.stopped(Verdict::Failed(failures.join("; ")), campaign)
            .await
    }

    /// Everybody whom this rollout must look at, as of now.
    async fn members(
        &mut self,
        forming: &BTreeSet<RoleName>,
    ) -> Result<Result<Setup, String>, StoreError> {
        self.snapshot.nodes = self.recorder.shared.store.nodes().await?.0;
        let mut targets = self.targets.keys();
        if let Some(gone) = targets.find(|node| self.snapshot.node(node).is_none()) {
            return Ok(Err(format!("{gone} was removed: nothing was touched")));
        }
        let targets: Vec<NodeName> = self.targets.keys().cloned().collect();
        let setup = setup(&targets, forming, &self.snapshot);
        self.conditions = asked_before(&setup, &self.snapshot);
        Ok(Ok(setup))
    }

    /// Whether the gate would let anybody begin, asked before anything is touched.
    pub(super) async fn gate_opens(
        &mut self,
        plans: &Plans,
        forming: &BTreeSet<RoleName>,
    ) -> Result<Result<(), String>, StoreError> {
        let mut setup = match self.members(forming).await? {
            Ok(setup) => setup,
            Err(why) => return Ok(Err(why)),
        };
        let mut roles: BTreeSet<RoleName> = BTreeSet::new();
        for (node, plan) in &plans.nodes {
            let Some(member) = setup.members.get_mut(node) else {
                continue;
            };
            let work = work(plan, Part::WHOLE);
            member.work = Some(work);
            if work == Work::Disturb {
                roles.extend(member.roles.difference(forming).cloned());
            }
        }
        if roles.is_empty() {
            return Ok(Ok(()));
        }
        let concerned = setup
            .members
            .iter()
            .filter(|(_, member)| !member.roles.is_disjoint(&roles));
        let mut asked = JoinSet::new();
        for (node, _) in concerned {
            let id = self.steps.next(&self.recorder, node);
            let questions = self.conditions.get(node).cloned().unwrap_or_default();
            let gone = self.awaits_its_place(node);
            let (recorder, node) = (self.recorder.clone(), node.clone());
            asked.spawn(async move {
                let standing = match gone {
                    Some(standing) => standing,
                    None => standing(&recorder, &node, id, questions).await,
                };
                (node, standing)
            });
        }
        let standings: BTreeMap<NodeName, Standing> = asked.join_all().await.into_iter().collect();
        // One role that cannot begin is enough: the other's part would be half a change.
        let verdicts = roles.iter().map(|role| {
            let mut alone = setup.clone();
            for member in alone.members.values_mut() {
                if !member.roles.contains(role) {
                    member.work = None;
                }
            }
            preflight(&alone, &standings)
        });
        Ok(verdicts.collect())
    }

    /// A replaced machine to which nothing has been applied holds its predecessor's place empty.
    pub(super) fn awaits_its_place(&self, node: &NodeName) -> Option<Standing> {
        let record = self.snapshot.node(node)?;
        (record.generation > 0 && record.is_bare() && !self.tally.done.contains(node)).then(|| {
            Standing::Unhealthy("it was replaced, and not all of its catalog is applied yet".into())
        })
    }

    /// Ends the run at a failure: says what was not done, and takes back what is to be taken back.
    pub(super) async fn stopped(
        &mut self,
        verdict: Verdict,
        campaign: &Campaign,
    ) -> Result<Stage<()>, StoreError> {
        let reason = match &verdict {
            Verdict::Cancelled(_) => "cancelled before its turn",
            _ => "the rollout stopped before its turn",
        };
        let mut untouched = Vec::new();
        for node in self.targets.keys() {
            if self.tally.done.contains(node) || self.tally.failed.as_ref() == Some(node) {
                continue;
            }
            match self.tally.outcomes.get(node) {
                Some(StepOutcome::Failed(_) | StepOutcome::Cancelled) => {}
                Some(StepOutcome::Changed) => {
                    let reason = "stopped before the rest of its catalog was applied";
                    self.recorder
                        .state(node, NodeState::Changed, Some(reason))
                        .await?;
                }
                Some(StepOutcome::InSync) | None => {
                    self.recorder
                        .state(node, NodeState::Untouched, Some(reason))
                        .await?;
                    untouched.push(node.as_str());
                }
            }
        }
        let rest = match untouched.as_slice() {
            [] => String::new(),
            names => format!("; untouched: {}", names.join(", ")),
        };
        Ok(match verdict {
            Verdict::Succeeded => Stage::Done(()),
            Verdict::Closed(why) if !self.tally.touched => Stage::Over {
                phase: RunPhase::Refused,
                reason: format!("{why}: nothing was touched"),
            },
            Verdict::Closed(why) => Stage::Over {
                phase: RunPhase::Failed,
                reason: format!("{why}{rest}"),
            },
            Verdict::Failed(why) => {
                let reverted = revert::revert(self, campaign).await?;
                Stage::Over {
                    phase: RunPhase::Failed,
                    reason: format!("{why}{rest}{reverted}"),
                }
            }
            Verdict::Cancelled(operator) => Stage::Over {
                phase: RunPhase::Cancelled,
                reason: format!("cancelled by {operator}{rest}"),
            },
        })
    }
}
