//! What would change.

use serde::{Deserialize, Serialize};

use super::apply::Part;
use super::approval::Approval;
use super::predicted::Predicted;
use super::prepare::{Item, Prepared};
use crate::host::{HostError, ReadHost};
use crate::name::FormulaName;
use crate::resource::{Change, Effect, Impact, ResourceId};

/// What one catalog would change on one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// In the order of the catalog, with those in sync.
    pub resources: Vec<Planned>,
    /// What the catalog before had and this one has not: left in place, and reported. The caller
    /// fills it from [`released`](super::released), for only he knows the catalog before.
    pub released: Vec<ResourceId>,
}

/// What one resource would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub id: ResourceId,
    pub formula: FormulaName,
    pub outcome: PlanOutcome,
}

/// How a resource stands to the machine. [`Change::effects`] is always empty here: effects hold
/// plain digests of content, and those of sensitive files must not leave the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanOutcome {
    InSync,
    /// Never empty.
    Changes(Vec<Change>),
    /// Not knowable before `resource` is applied; `intent` is what would be done as far as known.
    After {
        resource: ResourceId,
        intent: Vec<Change>,
    },
    Failed(String),
}

impl PlanOutcome {
    /// The changes, known or intended.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Changes(changes)
            | Self::After {
                intent: changes, ..
            } => changes,
            Self::InSync | Self::Failed(_) => &[],
        }
    }
}

impl Plan {
    /// What it says of a part of the catalog.
    #[must_use]
    pub fn part(&self, part: Part) -> Self {
        Self {
            resources: part.of(&self.resources).to_vec(),
            released: self.released.clone(),
        }
    }

    /// Whether nothing would change, and that is certain. What is only released counts as in sync.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.resources
            .iter()
            .all(|planned| planned.outcome == PlanOutcome::InSync)
    }

    /// The greatest impact of all changes, known or intended.
    #[must_use]
    pub fn impact(&self) -> Impact {
        self.resources
            .iter()
            .flat_map(|planned| planned.outcome.changes())
            .map(|change| change.impact)
            .max()
            .unwrap_or_default()
    }

    /// What an operator approves by saying yes to this plan.
    #[must_use]
    pub fn approval(&self) -> Approval {
        Approval::of(self)
    }

    /// The resources that could not be planned, with why.
    pub fn failures(&self) -> impl Iterator<Item = (&ResourceId, &str)> {
        self.resources
            .iter()
            .filter_map(|planned| match &planned.outcome {
                PlanOutcome::Failed(message) => Some((&planned.id, message.as_str())),
                _ => None,
            })
    }
}

/// Plans a whole catalog: one resource that fails does not keep the others from being planned, so
/// all errors show at once.
#[must_use]
pub fn plan(prepared: &Prepared, host: &dyn ReadHost) -> Plan {
    Plan {
        resources: plan_some(prepared, &|_| true, host),
        released: Vec::new(),
    }
}

/// Plans those of `wanted`; what else there is counts as in sync, and is not looked at.
#[must_use]
pub fn plan_some(
    prepared: &Prepared,
    wanted: &dyn Fn(&ResourceId) -> bool,
    host: &dyn ReadHost,
) -> Vec<Planned> {
    let mut predicted = Predicted::new(prepared, host);
    let mut resources = Vec::new();
    for item in prepared.items().iter().filter(|item| wanted(&item.id)) {
        predicted.enter(&item.formula);
        let outcome = outcome(item, &predicted);
        predicted.learn(&item.id, &outcome);
        resources.push(Planned {
            id: item.id.clone(),
            formula: item.formula.clone(),
            outcome,
        });
    }
    for change in resources
        .iter_mut()
        .flat_map(|planned| changes_mut(&mut planned.outcome))
    {
        change.effects = Vec::new();
    }
    resources
}

/// One resource over what the earlier ones will have done.
///
/// A command makes nothing unknowable by itself, or else one would blur the rest of every plan.
/// Only what `require`s it is planned *after* it, unless it is in sync as it is.
fn outcome(item: &Item, predicted: &Predicted<'_>) -> PlanOutcome {
    let blurred = item.require.iter().find(|id| predicted.blurs(id));
    match (item.resource.plan(predicted), blurred) {
        (Err(HostError::NotYet(resource)), _) => PlanOutcome::After {
            resource,
            intent: item.resource.intent(),
        },
        (Err(_), Some(command)) => PlanOutcome::After {
            resource: command.clone(),
            intent: item.resource.intent(),
        },
        (Err(error), None) => PlanOutcome::Failed(error.to_string()),
        (Ok(changes), _) if changes.is_empty() => match asks_too_early(item, predicted) {
            Some(resource) => PlanOutcome::After {
                resource: resource.clone(),
                intent: item.resource.intent(),
            },
            None => PlanOutcome::InSync,
        },
        (Ok(changes), Some(command)) => PlanOutcome::After {
            resource: command.clone(),
            intent: changes,
        },
        (Ok(changes), None) => match may_start_by_itself(&changes, predicted) {
            Some(package) => PlanOutcome::After {
                resource: package.clone(),
                intent: changes,
            },
            None => PlanOutcome::Changes(changes),
        },
    }
}

/// A package starts its daemons when it is installed or upgraded. A `start` planned behind one may
/// turn out as a `restart`, should the daemon's configuration change in between.
fn may_start_by_itself<'a>(
    changes: &[Change],
    predicted: &'a Predicted<'_>,
) -> Option<&'a ResourceId> {
    let starts = changes.iter().any(|change| change.verb == "start");
    predicted.arriving_here().filter(|_| starts)
}

/// There is nothing to do now, and may be once an earlier change is made: what a guard that was
/// asked requires, or what a package brings that is to be absent.
fn asks_too_early<'a>(item: &'a Item, predicted: &'a Predicted<'_>) -> Option<&'a ResourceId> {
    let intent = item.resource.intent();
    let mut effects = intent.iter().flat_map(|change| &change.effects);
    effects.find_map(|effect| match effect {
        Effect::Unknown => item.require.iter().find(|id| predicted.is_pending(id)),
        Effect::Absent { .. } => predicted.arriving_here(),
        _ => None,
    })
}

fn changes_mut(outcome: &mut PlanOutcome) -> &mut [Change] {
    match outcome {
        PlanOutcome::Changes(changes)
        | PlanOutcome::After {
            intent: changes, ..
        } => changes,
        PlanOutcome::InSync | PlanOutcome::Failed(_) => &mut [],
    }
}
