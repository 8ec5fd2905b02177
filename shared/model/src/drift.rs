//! What a node is otherwise than its last applied catalog says, since when, and what was done.
//!
//! A pure ledger: the agent tells it what it saw and did, and keeps it on disk, so that neither a
//! restart nor a server that is away loses since when something is so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::converge::{Applied, PlanOutcome, Planned, ResourceOutcome};
use crate::inventory::shortened;
use crate::name::FormulaName;
use crate::resource::{Change, Diff, ResourceId};
use crate::time::Timestamp;

/// Whoever changes something so often within [`FIGHT`] is not to be fought: it is left, and told.
pub const TRIES: usize = 5;
pub const FIGHT: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Why the node cannot be compared with what it should be, and since when.
    pub blind: Option<Blind>,
    pub drifted: BTreeMap<ResourceId, Drifted>,
    pub healed: BTreeMap<ResourceId, Healed>,
    /// Until when an operator has it left as it is.
    paused_until: Option<Timestamp>,
    /// Why mending failed, the last time.
    failing: BTreeMap<ResourceId, String>,
    /// When healing was tried, within [`FIGHT`].
    tries: BTreeMap<ResourceId, Vec<Timestamp>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    pub since: Timestamp,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    pub formula: FormulaName,
    pub since: Timestamp,
    pub state: State,
    /// For people: `content differs; mode 0600 → 0644`.
    pub how: String,
    /// Where a text may be shown.
    pub diff: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Until the next apply.
    Left,
    /// It is about to be mended.
    Healing,
    /// It would be mended, but an operator has paused its node.
    Paused,
    /// Mending it would interrupt a service, or is not a matter of this node alone.
    NeedsRun,
    /// Mended [`TRIES`] times within [`FIGHT`], and otherwise again.
    GivenUp,
    /// It cannot be looked at.
    Unknown,
}

impl State {
    /// Each, in the order of the type.
    pub const ALL: [Self; 6] = [
        Self::Left,
        Self::Healing,
        Self::Paused,
        Self::NeedsRun,
        Self::GivenUp,
        Self::Unknown,
    ];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Left => "drifted",
            Self::Healing => "healing",
            Self::Paused => "paused",
            Self::NeedsRun => "needs a run",
            Self::GivenUp => "given up",
            Self::Unknown => "unknown",
        }
    }
}

/// What was mended, the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    pub formula: FormulaName,
    pub since: Timestamp,
    pub at: Timestamp,
    pub times: u32,
    pub how: String,
}

/// What healing may do about a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// No role enforces it.
    None,
    /// It would take a run.
    Run,
    Heal,
}

impl Ledger {
    /// Takes in what was seen, in the order of the catalog; `remedy` says what may be done about what
    /// differs, `requires` what must be right before.
    ///
    /// Behind something of its formula that cannot be looked at or mended, nothing is mended: an apply
    /// would stop there as well. (A directory on a disk that cannot be mounted would be made under it.)
    pub fn saw(
        &mut self,
        planned: &[Planned],
        remedy: &dyn Fn(&Planned) -> Remedy,
        requires: &dyn Fn(&ResourceId) -> Vec<ResourceId>,
        now: Timestamp,
    ) {
        let mut stopped = BTreeSet::new();
        self.blind = None;
        self.forget_tries(now);
        let paused = self.paused_until.is_some_and(|until| until > now);
        for one in planned {
            let (mut how, diff, failed) = match &one.outcome {
                PlanOutcome::InSync => {
                    self.drifted.remove(&one.id);
                    self.failing.remove(&one.id);
                    continue;
                }
                PlanOutcome::Failed(why) => (why.clone(), None, true),
                other => (words(other.changes()), diff(other.changes()), false),
            };
            let tries = self.tries.get(&one.id).map_or(0, Vec::len);
            let waits = |id: &ResourceId| {
                let state = self.drifted.get(id).map(|drifted| drifted.state);
                state.is_some_and(|state| state != State::Healing)
            };
            let state = match remedy(one) {
                _ if failed => State::Unknown,
                Remedy::None => State::Left,
                Remedy::Run => State::NeedsRun,
                Remedy::Heal
                    if stopped.contains(&one.formula) || requires(&one.id).iter().any(waits) =>
                {
                    State::NeedsRun
                }
                Remedy::Heal if paused => State::Paused,
                Remedy::Heal if tries >= TRIES => State::GivenUp,
                Remedy::Heal => State::Healing,
            };
            let fails = self.failing.get(&one.id);
            if let Some(why) = fails {
                how = format!("{how}; healing failed: {why}");
            }
            let stops = matches!(state, State::Unknown | State::NeedsRun);
            if stops || (state == State::GivenUp && fails.is_some()) {
                stopped.insert(one.formula.clone());
            }
            let since = self.drifted.get(&one.id).map_or(now, |before| before.since);
            let drifted = Drifted {
                formula: one.formula.clone(),
                since,
                state,
                how,
                diff,
            };
            self.drifted.insert(one.id.clone(), drifted);
        }
    }

    /// Drops what the catalog does not have any more.
    pub fn keep_only(&mut self, known: &dyn Fn(&ResourceId) -> bool) {
        self.drifted.retain(|id, _| known(id));
        self.healed.retain(|id, _| known(id));
        self.failing.retain(|id, _| known(id));
        self.tries.retain(|id, _| known(id));
    }

    /// Nothing can be said for this reason, and what was said is no longer so.
    pub fn blinded(&mut self, why: String, now: Timestamp) {
        self.dimmed(why, now);
        self.drifted.clear();
    }

    /// Nothing new can be said for this reason.
    pub fn dimmed(&mut self, why: String, now: Timestamp) {
        let since = self.blind.as_ref().map_or(now, |blind| blind.since);
        self.blind = Some(Blind { since, why });
    }

    /// An operator has done something: whoever was fought may be so again. Whether anybody was.
    pub fn forgive(&mut self) -> bool {
        !std::mem::take(&mut self.tries).is_empty()
    }

    /// Nothing is known to be otherwise.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.blind.is_none() && self.drifted.is_empty()
    }

    /// Until when nothing is mended.
    #[must_use]
    pub const fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    pub const fn pause(&mut self, until: Option<Timestamp>) {
        self.paused_until = until;
    }

    /// What is to be mended now.
    #[must_use]
    pub fn due(&self) -> Vec<ResourceId> {
        let due = self
            .drifted
            .iter()
            .filter(|(_, drifted)| drifted.state == State::Healing);
        due.map(|(id, _)| id.clone()).collect()
    }

    /// Takes in what mending came to.
    pub fn mended(&mut self, report: &[Applied], now: Timestamp) {
        for one in report {
            match &one.outcome {
                ResourceOutcome::Changed(changes) => {
                    self.tries.entry(one.id.clone()).or_default().push(now);
                    self.failing.remove(&one.id);
                    let since = self.drifted.remove(&one.id).map_or(now, |d| d.since);
                    let times = self.healed.get(&one.id).map_or(0, |healed| healed.times);
                    let healed = Healed {
                        formula: one.formula.clone(),
                        since,
                        at: now,
                        times: times.saturating_add(1),
                        how: words(changes),
                    };
                    self.healed.insert(one.id.clone(), healed);
                }
                ResourceOutcome::Failed { message, .. } => {
                    self.tries.entry(one.id.clone()).or_default().push(now);
                    if let Some(drifted) = self.drifted.get_mut(&one.id) {
                        drifted.how = format!("{}; healing failed: {message}", drifted.how);
                    }
                    self.failing.insert(one.id.clone(), message.clone());
                }
                ResourceOutcome::NotApproved(_) => {
                    if let Some(drifted) = self.drifted.get_mut(&one.id) {
                        drifted.state = State::NeedsRun;
                    }
                }
                ResourceOutcome::InSync => {
                    self.drifted.remove(&one.id);
                }
                ResourceOutcome::Skipped { .. } | ResourceOutcome::Cancelled => {}
            }
        }
    }

    fn forget_tries(&mut self, now: Timestamp) {
        for tries in self.tries.values_mut() {
            tries.retain(|at| now.since(*at) < FIGHT);
        }
        self.tries.retain(|_, tries| !tries.is_empty());
    }
}

fn words(changes: &[Change]) -> String {
    let texts: Vec<&str> = changes.iter().map(|change| change.text.as_str()).collect();
    texts.join("; ")
}

fn diff(changes: &[Change]) -> Option<String> {
    let mut diffs = changes.iter().filter_map(|change| change.diff.as_ref());
    diffs.find_map(|diff| match diff {
        // What is longer is not told either, and a storm must not fill the disk.
        Diff::Text(text) => Some(shortened(text).to_owned()),
        Diff::Sensitive | Diff::Binary { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn id() -> ResourceId {
        ResourceId::new("file", "/a")
    }

    fn planned(outcome: PlanOutcome) -> Planned {
        Planned {
            id: id(),
            formula: "base".parse().unwrap(),
            outcome,
        }
    }

    fn alone(_: &ResourceId) -> Vec<ResourceId> {
        Vec::new()
    }

    fn differs(text: &str) -> Planned {
        planned(PlanOutcome::Changes(vec![Change::new("content", text)]))
    }

    fn changed() -> Applied {
        Applied {
            id: id(),
            formula: "base".parse().unwrap(),
            outcome: ResourceOutcome::Changed(vec![Change::new("content", "content differs")]),
        }
    }

    #[test]
    fn since_the_first_time_until_it_is_in_sync() {
        let mut ledger = Ledger::default();
        let left = |_: &Planned| Remedy::None;
        ledger.saw(&[differs("a")], &left, &alone, at(10));
        ledger.saw(&[differs("b")], &left, &alone, at(20));
        let drifted = &ledger.drifted[&id()];
        assert_eq!((drifted.since, drifted.how.as_str()), (at(10), "b"));
        assert_eq!(drifted.state, State::Left);
        // What was not looked at stays.
        ledger.saw(&[], &left, &alone, at(30));
        assert_eq!(ledger.drifted.len(), 1);
        ledger.saw(&[planned(PlanOutcome::InSync)], &left, &alone, at(40));
        assert!(ledger.drifted.is_empty());
        ledger.saw(
            &[planned(PlanOutcome::Failed("gone".into()))],
            &left,
            &alone,
            at(50),
        );
        assert_eq!(ledger.drifted[&id()].state, State::Unknown);
        ledger.keep_only(&|_| false);
        assert!(ledger.drifted.is_empty());
    }

    #[test]
    fn whoever_insists_is_let_be_for_a_while() {
        let mut ledger = Ledger::default();
        let heal = |_: &Planned| Remedy::Heal;
        for time in 1..=5 {
            ledger.saw(&[differs("a")], &heal, &alone, at(time));
            assert_eq!(ledger.due(), [id()]);
            ledger.mended(&[changed()], at(time));
            assert!(ledger.drifted.is_empty());
        }
        assert_eq!(ledger.healed[&id()].times, 5);
        ledger.saw(&[differs("a")], &heal, &alone, at(6));
        assert_eq!(ledger.drifted[&id()].state, State::GivenUp);
        assert!(ledger.due().is_empty());
        let mut forgiven = ledger.clone();
        forgiven.forgive();
        forgiven.saw(&[differs("a")], &heal, &alone, at(7));
        assert_eq!(forgiven.due(), [id()]);
        ledger.saw(&[differs("a")], &heal, &alone, at(606));
        assert_eq!(ledger.due(), [id()]);
        assert_eq!(ledger.drifted[&id()].since, at(6));
    }

    #[test]
    fn a_paused_node_is_left_as_it_is() {
        let mut ledger = Ledger::default();
        ledger.pause(Some(at(10)));
        ledger.saw(&[differs("a")], &|_| Remedy::Heal, &alone, at(9));
        assert_eq!(ledger.drifted[&id()].state, State::Paused);
        assert!(ledger.due().is_empty());
        ledger.saw(&[differs("a")], &|_| Remedy::Heal, &alone, at(10));
        assert_eq!(ledger.due(), [id()]);
    }

    #[test]
    fn what_healing_could_not_do_is_told() {
        let mut ledger = Ledger::default();
        ledger.saw(&[differs("a")], &|_| Remedy::Heal, &alone, at(1));
        let outcome = |outcome| Applied {
            outcome,
            ..changed()
        };
        let failed = ResourceOutcome::Failed {
            message: "read-only".into(),
            changes: Vec::new(),
        };
        ledger.mended(&[outcome(failed)], at(2));
        assert_eq!(ledger.drifted[&id()].how, "a; healing failed: read-only");
        ledger.mended(&[outcome(ResourceOutcome::NotApproved(Vec::new()))], at(2));
        assert_eq!(ledger.drifted[&id()].state, State::NeedsRun);
        ledger.blinded("an apply is under way".into(), at(5));
        ledger.blinded("an apply is under way".into(), at(6));
        assert_eq!(ledger.blind.as_ref().unwrap().since, at(5));
        assert!(ledger.drifted.is_empty());
    }

    #[test]
    fn behind_what_cannot_be_mended_nothing_is() {
        let one = |name: &str, formula: &str, outcome: PlanOutcome| Planned {
            id: ResourceId::new("file", name),
            formula: formula.parse().unwrap(),
            outcome,
        };
        let differs = || PlanOutcome::Changes(vec![Change::new("create", "create it")]);
        let seen = |mount: PlanOutcome| {
            [
                one("mount", "disk", mount),
                one("directory", "disk", differs()),
                one("other", "base", differs()),
                one("needs-mount", "app", differs()),
            ]
        };
        let requires = |id: &ResourceId| match id.name() {
            "needs-mount" => vec![ResourceId::new("file", "mount")],
            _ => Vec::new(),
        };
        let heal = |_: &Planned| Remedy::Heal;
        let due = |ledger: &Ledger| -> Vec<String> {
            ledger.due().iter().map(|id| id.name().to_owned()).collect()
        };
        let mut ledger = Ledger::default();
        let unknown = PlanOutcome::Failed("no answer".into());
        ledger.saw(&seen(unknown), &heal, &requires, at(1));
        assert_eq!(due(&ledger), ["other"]);
        // It can be looked at again: all of them, in order.
        ledger.saw(&seen(differs()), &heal, &requires, at(2));
        assert_eq!(due(&ledger).len(), 4);
        // Mending it fails until it is given up: what is behind it waits for a run.
        let failed = Applied {
            id: ResourceId::new("file", "mount"),
            formula: "disk".parse().unwrap(),
            outcome: ResourceOutcome::Failed {
                message: "no such device".into(),
                changes: Vec::new(),
            },
        };
        for _ in 0..TRIES {
            ledger.mended(std::slice::from_ref(&failed), at(3));
        }
        ledger.saw(&seen(differs()), &heal, &requires, at(4));
        assert_eq!(due(&ledger), ["other"]);
        let mount = &ledger.drifted[&ResourceId::new("file", "mount")];
        assert_eq!(mount.how, "create it; healing failed: no such device");
        ledger.saw(&seen(PlanOutcome::InSync), &heal, &requires, at(5));
        assert_eq!(due(&ledger).len(), 3);
    }
}
