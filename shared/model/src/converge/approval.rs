//! What an operator has said yes to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::heal::remedy;
use super::plan::{Plan, PlanOutcome};
use crate::drift::Remedy;
use crate::resource::{Change, ResourceId};

/// For each resource, the kinds of change that may be made to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Approval(pub BTreeMap<ResourceId, BTreeSet<String>>);

/// Verbs that never need to be asked for: they change nothing that anyone could mind.
const FREE: &[&str] = &["wait", "daemon-reload"];

/// Who agrees to the first also agrees to the rest: it does less, or the first does it anyway.
const IMPLIED: &[(&str, &[&str])] = &[
    ("create", &["replace", "content", "target", "mode", "owner"]),
    (
        "create",
        &["uid", "gid", "group", "groups", "home", "shell", "comment"],
    ),
    ("replace", &["create", "content", "mode", "owner"]),
    ("install", &["upgrade", "hold", "unhold"]),
    ("restart", &["reload"]),
    // Who agrees to found a cluster also agrees to join it, should the others be quicker.
    ("bootstrap", &["join"]),
    ("issue", &["renew", "names", "mode", "owner"]),
];

/// Where a plan could only tell the intent, the real changes may take another way to the same
/// end: a service that the package has started by then is restarted instead of started.
const INTENDED: &[(&str, &[&str])] = &[
    ("start", &["unmask", "restart", "reload"]),
    ("enable", &["unmask"]),
    // Unmasked to be seen: `start: false` masks what a package brings.
    ("disable", &["unmask"]),
];

/// What an apply may do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Permission<'a> {
    Everything,
    Approved(&'a Approval),
    /// See [`remedy`](super::remedy).
    Healing,
}

impl Permission<'_> {
    pub(super) fn covers(self, id: &ResourceId, changes: &[Change]) -> bool {
        match self {
            Self::Everything => true,
            Self::Approved(approval) => approval.covers(id, changes),
            Self::Healing => remedy(id, changes) == Remedy::Heal,
        }
    }
}

impl Approval {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut approved: BTreeMap<ResourceId, BTreeSet<String>> = BTreeMap::new();
        for planned in &plan.resources {
            let verbs = approved.entry(planned.id.clone()).or_default();
            for change in planned.outcome.changes() {
                allow(verbs, &change.verb, IMPLIED);
                if matches!(planned.outcome, PlanOutcome::After { .. }) {
                    allow(verbs, &change.verb, INTENDED);
                }
            }
        }
        approved.retain(|_, verbs| !verbs.is_empty());
        Self(approved)
    }

    /// Whether everything that `other` allows is allowed here, too.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.0.iter().all(|(id, verbs)| {
            let mut asked = verbs.iter().filter(|verb| !FREE.contains(&verb.as_str()));
            let approved = self.0.get(id);
            asked.all(|verb| approved.is_some_and(|verbs| verbs.contains(verb)))
        })
    }

    /// Whether all these changes of `id` were approved.
    #[must_use]
    pub fn covers(&self, id: &ResourceId, changes: &[Change]) -> bool {
        let approved = self.0.get(id);
        changes.iter().all(|change| {
            FREE.contains(&change.verb.as_str())
                || approved.is_some_and(|verbs| verbs.contains(&change.verb))
        })
    }
}

fn allow(verbs: &mut BTreeSet<String>, verb: &str, table: &[(&str, &[&str])]) {
    verbs.insert(verb.to_owned());
    for (_, implied) in table.iter().filter(|(of, _)| *of == verb) {
        verbs.extend(implied.iter().map(|&verb| verb.to_owned()));
    }
}
