//! The state machine itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use brine_model::name::NodeName;

use super::gate::Moment;
use super::waves::waves;
use super::{Action, End, Input, Rank, Setup, Standing, Verdict, Work};
use crate::runs::outcome::StepOutcome;

/// One rollout, from its first question to its end.
#[derive(Debug)]
pub(crate) struct Rollout {
    setup: Setup,
    /// Nodes to come, wave by wave; the first is the present one.
    waves: VecDeque<BTreeSet<NodeName>>,
    applying: BTreeSet<NodeName>,
    checking: BTreeSet<NodeName>,
    /// Answers for the step at hand, and who has yet to answer.
    standings: BTreeMap<NodeName, Standing>,
    ranks: BTreeMap<NodeName, Rank>,
    asked: BTreeSet<NodeName>,
    /// Why no further step begins.
    stop: Option<Verdict>,
    finished: bool,
}

impl Rollout {
    #[must_use]
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            waves: waves(&setup).into(),
            setup,
            applying: BTreeSet::new(),
            checking: BTreeSet::new(),
            standings: BTreeMap::new(),
            ranks: BTreeMap::new(),
            asked: BTreeSet::new(),
            stop: None,
            finished: false,
        }
    }

    /// What to do first.
    pub(crate) fn start(&mut self) -> Vec<Action> {
        self.next()
    }

    /// Takes in what happened; says what to do now.
    pub(crate) fn input(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Standing(name, standing, rank) => {
                if self.asked.remove(&name) {
                    self.ranks.insert(name.clone(), rank);
                    self.standings.insert(name, standing);
                }
            }
            Input::Applied(name, outcome) => actions.extend(self.applied(name, outcome)),
            Input::Settled(name, settled) => self.settled(name, settled),
            Input::Cancel(who) => {
                self.stop.get_or_insert(Verdict::Cancelled(who));
                actions.extend(self.applying.iter().cloned().map(Action::CancelJob));
            }
        }
        actions.extend(self.next());
        actions
    }

    fn applied(&mut self, name: NodeName, outcome: StepOutcome) -> Option<Action> {
        if !self.applying.remove(&name) {
            return None;
        }
        let confirmed = self.work(&name) == Some(Work::Confirm) && outcome == StepOutcome::InSync;
        match outcome {
            StepOutcome::Failed(why) => self.fail(format!("{name} failed: {why}")),
            StepOutcome::Cancelled => self.fail(format!("{name} stopped before it was done")),
            StepOutcome::InSync | StepOutcome::Changed if confirmed => self.done(&name),
            StepOutcome::InSync | StepOutcome::Changed => {
                self.checking.insert(name.clone());
                return Some(Action::Check(name));
            }
        }
        None
    }

    fn settled(&mut self, name: NodeName, settled: Result<(), String>) {
        if !self.checking.remove(&name) {
            return;
        }
        match settled {
            Ok(()) => self.done(&name),
            Err(why) => self.fail(format!(
                "{name} did not become healthy after its step: {why}"
            )),
        }
    }

    /// From here on the member counts, in roles that were formed when the rollout began: the first
    /// member of a role that is just being formed must not make the others wait for it.
    fn done(&mut self, name: &NodeName) {
        let rules = self.setup.roles.iter();
        let formed: BTreeSet<_> = rules
            .filter(|(_, rule)| !rule.forming)
            .map(|(role, _)| role.clone())
            .collect();
        if let Some(member) = self.setup.members.get_mut(name) {
            member
                .formed
                .extend(member.roles.intersection(&formed).cloned());
        }
        // Answers from before it came back do not speak of it: ask again.
        self.standings.clear();
        self.asked.clear();
    }

    fn fail(&mut self, why: String) {
        self.stop.get_or_insert(Verdict::Failed(why));
    }

    fn work(&self, name: &NodeName) -> Option<Work> {
        self.setup.members.get(name)?.work
    }

    fn next(&mut self) -> Vec<Action> {
        let idle = self.applying.is_empty() && self.checking.is_empty();
        if self.stop.is_some() || self.finished {
            return if idle { self.finish() } else { Vec::new() };
        }
        if idle {
            while self.waves.front().is_some_and(BTreeSet::is_empty) {
                self.waves.pop_front();
            }
        }
        let Some(wave) = self.waves.front() else {
            return self.finish();
        };
        if wave.is_empty() {
            return Vec::new();
        }
        let calm: Vec<NodeName> = wave
            .iter()
            .filter(|name| self.work(name) != Some(Work::Disturb))
            .cloned()
            .collect();
        if !calm.is_empty() {
            return self.begin(calm);
        }
        // What changes nothing that anyone feels goes first; its failures stop the rest.
        let in_step = self.applying.union(&self.checking);
        if in_step
            .clone()
            .any(|name| self.work(name) != Some(Work::Disturb))
        {
            return Vec::new();
        }
        self.step()
    }

    /// Begins the steps that may begin, or asks what must be known for that.
    fn step(&mut self) -> Vec<Action> {
        let in_step: BTreeSet<NodeName> = self.applying.union(&self.checking).cloned().collect();
        let moment = Moment {
            setup: &self.setup,
            standings: &self.standings,
            in_step: &in_step,
        };
        let wave: Vec<NodeName> = self.waves.front().into_iter().flatten().cloned().collect();
        let members = &self.setup.members;

        let forming = |name: &&NodeName| {
            members
                .get(*name)
                .is_some_and(|member| moment.formed_roles(member).next().is_none())
        };
        let forming: Vec<NodeName> = wave.iter().filter(forming).cloned().collect();
        if !forming.is_empty() {
            return self.begin(forming);
        }

        let roomy = |name: &&NodeName| {
            members.get(*name).is_some_and(|member| {
                moment
                    .formed_roles(member)
                    .all(|role| moment.has_room(role))
            })
        };
        let mut candidates: Vec<NodeName> = wave.iter().filter(roomy).cloned().collect();
        if candidates.is_empty() || !self.asked.is_empty() {
            return Vec::new();
        }
        if self.standings.is_empty() {
            return self.ask(&candidates, &in_step);
        }
        // What is out anyway first: mending it takes nothing away and brings something back.
        let turn = |name: &NodeName| {
            let rank = self.ranks.get(name).copied().unwrap_or_default();
            (moment.is_missed(name), rank)
        };
        candidates.sort_by_key(|name| (turn(name), name.clone()));
        // Whoever comes later by its rank waits until those before are done, not just begun. Those
        // who cannot be reached are waited for by nobody.
        let gone =
            |name: &NodeName| matches!(self.standings.get(name), Some(Standing::Disconnected));
        if let Some(now) = candidates.iter().find(|name| !gone(name)).map(turn) {
            candidates.retain(|name| gone(name) || turn(name) == now);
        }
        let (begun, refused) = self.admit(&candidates, in_step);
        if !begun.is_empty() {
            return self.begin(begun);
        }
        self.standings.clear();
        if self.applying.is_empty() && self.checking.is_empty() {
            self.stop.get_or_insert(Verdict::Closed(refused));
            return self.finish();
        }
        Vec::new()
    }

    /// The candidates that may begin, each counted for the next; else why none may.
    fn admit(
        &self,
        candidates: &[NodeName],
        mut in_step: BTreeSet<NodeName>,
    ) -> (Vec<NodeName>, String) {
        let mut begun = Vec::new();
        // The gate's words say more than that a target is gone itself.
        let (mut closed, mut gone) = (None, None);
        for name in candidates {
            let moment = Moment {
                setup: &self.setup,
                standings: &self.standings,
                in_step: &in_step,
            };
            match (moment.check(name), self.standings.get(name)) {
                (Ok(()), _) => {
                    in_step.insert(name.clone());
                    begun.push(name.clone());
                }
                (Err(why), Some(Standing::Disconnected)) => {
                    gone.get_or_insert(why);
                }
                (Err(why), _) => {
                    closed.get_or_insert(why);
                }
            }
        }
        (begun, closed.or(gone).unwrap_or_default())
    }

    /// Asks everybody whose answer bears on the candidates' roles.
    fn ask(&mut self, candidates: &[NodeName], in_step: &BTreeSet<NodeName>) -> Vec<Action> {
        let members = &self.setup.members;
        let roles: BTreeSet<_> = candidates
            .iter()
            .filter_map(|name| members.get(name))
            .flat_map(|m| &m.roles)
            .collect();
        let concerned = |name: &NodeName| {
            let counts = members
                .get(name)
                .is_some_and(|member| member.formed.iter().any(|role| roles.contains(role)));
            (counts || candidates.contains(name)) && !in_step.contains(name)
        };
        self.asked = members
            .keys()
            .filter(|name| concerned(name))
            .cloned()
            .collect();
        self.asked.iter().cloned().map(Action::Ask).collect()
    }

    fn begin(&mut self, names: Vec<NodeName>) -> Vec<Action> {
        for name in &names {
            if let Some(wave) = self.waves.front_mut() {
                wave.remove(name);
            }
            self.applying.insert(name.clone());
        }
        // Answers are good for one decision.
        self.standings.clear();
        self.asked.clear();
        names.into_iter().map(Action::Apply).collect()
    }

    fn finish(&mut self) -> Vec<Action> {
        if std::mem::replace(&mut self.finished, true) {
            return Vec::new();
        }
        let untouched: Vec<NodeName> = self.waves.iter().flatten().cloned().collect();
        let verdict = self.stop.clone().unwrap_or(Verdict::Succeeded);
        vec![Action::Finish(End { verdict, untouched })]
    }
}
