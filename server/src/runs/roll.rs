//! One pass over its nodes: does what the rollout decides, and tells it what came of it.

use std::collections::BTreeMap;

use brine_model::catalog::{Health, Policy};
use brine_model::converge::{Approval, Part};
use brine_model::name::{FormulaName, NodeName};
use brine_wire::job::{Extent, JobId, Task};
use brine_wire::run::{NodeState, RunKind};
use tokio::task::{Id, JoinSet};

use super::apply::Campaign;
use super::asking;
use super::deeds;
use super::driver::{Driver, Stage, Target, cancelled};
use super::health::{conditions, in_turn, settle, standing, visibly_in_turn};
use super::outcome::{self, StepOutcome};
use super::perform::{Order, perform};
use super::recorder::Recorder;
use crate::clock;
use crate::rollout::{Action, Input, Rank, Rollout, Setup, Standing, Verdict, Work};
use crate::store::{JobKind, NodeUpdate, StoreError};

/// How a step ended, with how many resources changed and failed.
pub(super) struct Step {
    pub(super) outcome: StepOutcome,
    pub(super) counts: Option<(u32, u32)>,
}

/// What a task tells; with an apply, the counts.
type Told = (Input, Option<(u32, u32)>);

/// What is under way in one pass.
struct Rolling<'a> {
    parts: &'a BTreeMap<NodeName, Part>,
    approvals: &'a BTreeMap<NodeName, Approval>,
    /// Where a role is being formed, part by part.
    forming: bool,
    /// Those whose steps somebody may feel.
    disturbed: Vec<NodeName>,
    tasks: JoinSet<Result<Told, StoreError>>,
    /// What to tell the rollout should a task die.
    died: BTreeMap<Id, Input>,
    applying: BTreeMap<NodeName, JobId>,
}

impl Driver {
    pub(super) async fn roll(
        &mut self,
        parts: &BTreeMap<NodeName, Part>,
        forming: bool,
        setup: &Setup,
        campaign: &Campaign,
    ) -> Result<Stage<Verdict>, StoreError> {
        let disturbed = setup.members.iter();
        let disturbed = disturbed.filter(|(_, member)| member.work == Some(Work::Disturb));
        let mut rolling = Rolling {
            parts,
            approvals: &campaign.approvals,
            disturbed: disturbed.map(|(name, _)| name.clone()).collect(),
            forming,
            tasks: JoinSet::new(),
            died: BTreeMap::new(),
            applying: BTreeMap::new(),
        };
        let mut rollout = Rollout::new(setup.clone());
        let mut actions = rollout.start();
        let shared = self.recorder.shared.clone();
        loop {
            for action in std::mem::take(&mut actions) {
                if let Action::Finish(end) = action {
                    return Ok(Stage::Done(end.verdict));
                }
                if let Action::Apply(node) = &action {
                    let work = setup.members.get(node).and_then(|member| member.work);
                    self.tally.touched |= work != Some(Work::Confirm);
                }
                self.act(action, &mut rolling);
            }
            let (input, counts) = tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => return Ok(Stage::Interrupted),
                Some(ended) = rolling.tasks.join_next_with_id() => match ended {
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

    fn act(&mut self, action: Action, rolling: &mut Rolling<'_>) {
        match action {
            Action::Ask(node) => self.ask(node, rolling),
            Action::Apply(node) => self.step(node, rolling),
            Action::Check(node) => self.check(node, rolling),
            Action::CancelJob(node) => {
                if let Some(id) = rolling.applying.get(&node) {
                    self.cancel_job(node, *id);
                }
            }
            Action::Finish(_) => {}
        }
    }

    fn ask(&mut self, node: NodeName, rolling: &mut Rolling<'_>) {
        let recorder = self.recorder.clone();
        let ids = [(); 2].map(|()| self.steps.next(&recorder, &node));
        let asked = self.conditions.get(&node).cloned().unwrap_or_default();
        let policies = self.policies_now(&node);
        let ordered = rolling.parts.contains_key(&node)
            && policies.iter().any(|policy| !policy.order.is_empty());
        let empty = self.awaits_its_place(&node);
        let died = Input::Standing(node.clone(), Standing::Partly(bug()), Rank::Between);
        rolling.spawn(died, async move {
            let standing = match empty {
                Some(standing) => standing,
                None => standing(&recorder, &node, ids[0], asked).await,
            };
            let mut rank = Rank::Between;
            if ordered && standing != Standing::Disconnected {
                let rules = policies.iter().flat_map(|policy| &policy.order);
                let conditions = rules.map(|rule| rule.condition.text.as_str());
                let sources = asking::named(asking::sources(&policies), conditions);
                // Who cannot tell comes where most do.
                if let Ok(facts) = asking::live(&recorder, &node, ids[1], sources).await {
                    rank = asking::rank(&policies, &facts);
                }
            }
            Ok((Input::Standing(node, standing, rank), None))
        });
    }

    fn step(&mut self, node: NodeName, rolling: &mut Rolling<'_>) {
        let recorder = self.recorder.clone();
        let died = Input::Applied(node.clone(), StepOutcome::Failed(bug()));
        let drain = self.drain(&node, rolling);
        let drain: Vec<(JobId, Health)> = drain
            .into_iter()
            .map(|health| (self.steps.next(&recorder, &node), health))
            .collect();
        let id = self.steps.next(&recorder, &node);
        rolling.applying.insert(node.clone(), id);
        if self.kind == RunKind::Action {
            let Some(deed) = self.deeds.get(&node).cloned() else {
                return;
            };
            rolling.spawn(died, async move {
                let step = match visibly_in_turn(&recorder, &node, drain).await? {
                    Ok(()) => deeds::act(&recorder, &node, id, deed).await?,
                    Err(why) => not_drained(&why),
                };
                Ok((Input::Applied(node, step.outcome), step.counts))
            });
            return;
        }
        let (Some(target), Some(part)) =
            (self.targets.get(&node).cloned(), rolling.parts.get(&node))
        else {
            return;
        };
        let work = Piece {
            part: *part,
            last: self.is_last(&node, *part),
            approval: rolling.approvals.get(&node).cloned().unwrap_or_default(),
        };
        rolling.spawn(died, async move {
            let step = match visibly_in_turn(&recorder, &node, drain).await? {
                Ok(()) => apply(&recorder, &node, id, target, work).await?,
                Err(why) => not_drained(&why),
            };
            Ok((Input::Applied(node, step.outcome), step.counts))
        });
    }

    /// What takes the node out of service before a step that somebody would feel.
    fn drain(&self, node: &NodeName, rolling: &Rolling<'_>) -> Vec<Health> {
        // On a bare machine there is nothing to take out of service, nor anything to do it with.
        let serves = self.kind == RunKind::Action || self.previous.contains_key(node);
        // Nor where nothing of it works: one that hangs must be mendable.
        let serves = serves && !self.tally.out.contains(node);
        if rolling.forming || !rolling.disturbed.contains(node) || !serves {
            return Vec::new();
        }
        each_once(&self.policies_now(node), |policy| &policy.drain)
    }

    fn check(&mut self, node: NodeName, rolling: &mut Rolling<'_>) {
        let recorder = self.recorder.clone();
        let mut asked = self.new_conditions(&node);
        // A formula of which a part is yet to come cannot be asked to work, where it never did.
        let to = rolling.parts.get(&node).map_or(u32::MAX, |part| part.to) as usize;
        let compiled = self.snapshot.compilation.catalogs.get(&node);
        let rest = compiled.and_then(|compiled| compiled.catalog.resources.get(to..));
        let whole = |formula: &FormulaName| {
            let mut rest = rest.unwrap_or_default().iter();
            !rest.any(|entry| entry.formula == *formula)
        };
        if rolling.forming || !self.previous.contains_key(&node) {
            asked.retain(|health| whole(&health.formula));
        }
        if rolling.forming {
            let part = rolling.parts.get(&node).copied().unwrap_or(Part::WHOLE);
            let done = compiled.map_or(&[][..], |compiled| part.of(&compiled.catalog.resources));
            asked.retain(|health| done.iter().any(|entry| entry.formula == health.formula));
        }
        // From here on it is asked what its new catalog says.
        self.conditions.insert(node.clone(), asked.clone());
        // Nobody waits for one that leaves; but it counts as out, so that the next may not leave as well.
        let leaves = self.deeds.get(&node).is_some_and(|deed| deed.leaves);
        if leaves {
            asked.clear();
        }
        // A run that stopped half-way may have left it drained, though nothing is left to change.
        let drained = rolling.disturbed.contains(&node) || self.resumes;
        let back = if !rolling.forming && drained && !leaves {
            each_once(&self.policies_now(&node), |policy| &policy.undrain)
        } else {
            Vec::new()
        };
        let back: Vec<(JobId, Health)> = back
            .into_iter()
            .map(|health| (self.steps.next(&recorder, &node), health))
            .collect();
        let id = self.steps.next(&recorder, &node);
        let died = Input::Settled(node.clone(), Err(bug()));
        rolling.spawn(died, async move {
            let settled = match visibly_in_turn(&recorder, &node, back).await? {
                Ok(()) => settle(&recorder, &node, id, asked).await,
                Err(why) => Err(format!("it cannot be put back into service: {why}")),
            };
            Ok((Input::Settled(node, settled), None))
        });
    }

    /// What the record says of a node once a step of it has ended.
    async fn record(
        &mut self,
        input: Input,
        counts: Option<(u32, u32)>,
        actions: &[Action],
        rolling: &mut Rolling<'_>,
    ) -> Result<(), StoreError> {
        match input {
            Input::Applied(node, outcome) => {
                rolling.applying.remove(&node);
                let counts = self.count(&node, &outcome, counts);
                let mut update = self.update(&node, rolling);
                update.counts = counts;
                if actions.contains(&Action::Check(node.clone())) {
                    update.state = NodeState::Checking;
                }
                if !outcome.is_good() {
                    self.tally.failed.get_or_insert(node.clone());
                    self.put_back(&node, rolling);
                }
                self.recorder.node(&node, update).await
            }
            Input::Settled(node, Ok(())) => {
                let update = self.update(&node, rolling);
                self.recorder.node(&node, update).await
            }
            Input::Settled(node, Err(why)) => {
                self.tally.failed.get_or_insert(node.clone());
                let reason = format!("applied, but not healthy: {why}");
                self.recorder
                    .state(&node, NodeState::Failed, Some(&reason))
                    .await
            }
            Input::Standing(node, standing, _) => {
                match standing {
                    Standing::Unhealthy(_) => self.tally.out.insert(node),
                    _ => self.tally.out.remove(&node),
                };
                Ok(())
            }
            Input::Cancel(operator) => {
                let note = format!("{operator} cancels: what is under way is awaited");
                self.recorder.note(note).await
            }
        }
    }

    /// Adds one part's outcome to what the node has had done to it.
    fn count(
        &mut self,
        node: &NodeName,
        outcome: &StepOutcome,
        counts: Option<(u32, u32)>,
    ) -> Option<(u32, u32)> {
        let sum = self.tally.counts.entry(node.clone()).or_default();
        if let Some((changed, failed)) = counts {
            *sum = (sum.0 + changed, sum.1 + failed);
        }
        let sum = *sum;
        let known = self.tally.outcomes.entry(node.clone());
        let known = known.or_insert_with(|| outcome.clone());
        if !(*known == StepOutcome::Changed && *outcome == StepOutcome::InSync) {
            known.clone_from(outcome);
        }
        if *outcome != StepOutcome::InSync && !self.tally.stepped.contains(node) {
            self.tally.stepped.push(node.clone());
        }
        Some(sum)
    }

    /// The node's place once this is all that happened.
    fn update(&mut self, node: &NodeName, rolling: &Rolling<'_>) -> NodeUpdate {
        let outcome = self.tally.outcomes.get(node).cloned();
        let outcome = outcome.unwrap_or(StepOutcome::InSync);
        let mut update = outcome.update(None);
        let part = rolling.parts.get(node).copied().unwrap_or(Part::WHOLE);
        if outcome.is_good() && !self.is_last(node, part) {
            update.state = NodeState::Between;
        } else if outcome.is_good() {
            self.tally.done.insert(node.clone());
        }
        update
    }

    /// A step that failed leaves the node as it is, but not out of service: whether it serves is for
    /// those who ask it to find out. Nobody waits for it.
    fn put_back(&mut self, node: &NodeName, rolling: &Rolling<'_>) {
        if rolling.forming || !rolling.disturbed.contains(node) {
            return;
        }
        let recorder = self.recorder.clone();
        let back: Vec<(JobId, Health)> = each_once(&self.policies_now(node), |p| &p.undrain)
            .into_iter()
            .map(|health| (self.steps.next(&recorder, node), health))
            .collect();
        let node = node.clone();
        self.recorder.shared.drivers.spawn(async move {
            if let Ok(Err(why)) = in_turn(&recorder, &node, back).await {
                tracing::warn!(%node, why, "cannot be put back into service");
            }
        });
    }

    fn is_last(&self, node: &NodeName, part: Part) -> bool {
        let compiled = self.snapshot.compilation.catalogs.get(node);
        let length = compiled.map_or(0, |compiled| compiled.catalog.resources.len());
        part.to as usize >= length
    }

    pub(super) fn new_conditions(&self, node: &NodeName) -> Vec<Health> {
        self.targets
            .get(node)
            .map(|target| conditions(&target.policies))
            .unwrap_or_default()
    }

    /// How the states of today say that a node is treated, whatever it has.
    pub(super) fn policies_now(&self, node: &NodeName) -> Vec<Policy> {
        let compiled = self.snapshot.compilation.catalogs.get(node);
        compiled
            .map(|compiled| compiled.policies.clone())
            .unwrap_or_default()
    }
}

impl Rolling<'_> {
    fn spawn(
        &mut self,
        died: Input,
        work: impl Future<Output = Result<Told, StoreError>> + Send + 'static,
    ) {
        let id = self.tasks.spawn(work).id();
        self.died.insert(id, died);
    }
}

fn bug() -> String {
    "the server failed, which is a bug".to_owned()
}

fn not_drained(why: &str) -> Step {
    Step {
        outcome: StepOutcome::Failed(format!("it cannot be taken out of service: {why}")),
        counts: Some((0, 1)),
    }
}

fn each_once(policies: &[Policy], of: fn(&Policy) -> &Vec<Health>) -> Vec<Health> {
    let mut found: Vec<Health> = Vec::new();
    for health in policies.iter().flat_map(of) {
        if !found.contains(health) {
            found.push(health.clone());
        }
    }
    found
}

/// How much of its catalog a node is to apply.
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) last: bool,
    pub(super) approval: Approval,
}

/// Applies a part of one node's catalog.
async fn apply(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    target: Target,
    piece: Piece,
) -> Result<Step, StoreError> {
    let kind = if piece.last {
        JobKind::Apply
    } else {
        JobKind::Part
    };
    apply_as(recorder, node, id, target, piece, kind).await
}

/// Applies a catalog, recorded as that kind of job.
pub(super) async fn apply_as(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    target: Target,
    piece: Piece,
    kind: JobKind,
) -> Result<Step, StoreError> {
    let within = recorder.shared.limits.apply;
    let deadline = clock::now().plus(within);
    let store = &recorder.shared.store;
    store
        .open_job(node.clone(), id, kind, target.catalog, deadline)
        .await?;
    recorder.state(node, NodeState::Applying, None).await?;
    let task = Task::Apply {
        catalog: target.catalog,
        secrets: target.secrets,
        approval: piece.approval,
        part: piece.part,
        extent: if piece.last {
            Extent::Wholly
        } else {
            Extent::Partly
        },
    };
    let order = Order {
        node,
        id,
        task,
        within,
        shown: Some(NodeState::Applying),
    };
    let (outcome, counts) = match perform(recorder, order).await {
        Ok(result) => outcome::of_apply(&result),
        Err(error) => (StepOutcome::Failed(error.to_string()), None),
    };
    Ok(Step { outcome, counts })
}
