//! What a run is about to do: each node's plan, and what is done once.

use std::collections::BTreeMap;

use brine_lang::Compiled;
use brine_model::converge::{Approval, Part, Plan, PlanOutcome, Planned};
use brine_model::name::NodeName;
use brine_model::resource::{Change, Impact, Resource, ResourceId};
use brine_model::resources;
use brine_model::span::{Span, Spanned};
use brine_model::value::Value;

use crate::rollout::Work;

/// The verb of a change that founds a cluster. It is done only where a role is being formed, whoever
/// approves it.
pub(super) const BOOTSTRAP: &str = "bootstrap";

#[derive(Debug, Clone, Default)]
pub(super) struct Plans {
    pub(super) nodes: BTreeMap<NodeName, Plan>,
    /// With the member that was asked, or that stands for those that could not be.
    pub(super) once: BTreeMap<ResourceId, (NodeName, Planned)>,
}

impl Plans {
    pub(super) fn in_sync(&self) -> bool {
        self.nodes.values().all(Plan::in_sync) && self.once.values().all(|(_, one)| is_quiet(one))
    }

    /// What is done once is shown, and approved, with the plan of the member that does it.
    pub(super) fn shown(&self, node: &NodeName, compiled: &Compiled) -> Plan {
        let mut plan = self.nodes.get(node).cloned().unwrap_or_default();
        let mut added = 0;
        for once in &compiled.once {
            let Some((member, planned)) = self.once.get(&once.entry.id) else {
                continue;
            };
            if member == node {
                let place = (once.place as usize + added).min(plan.resources.len());
                plan.resources.insert(place, planned.clone());
                added += 1;
            }
        }
        plan
    }

    /// Says of what waits for a change that is made once that it may have to change, too: it cannot
    /// be known before.
    pub(super) fn amend(&mut self, compiled: &BTreeMap<NodeName, Compiled>) -> bool {
        let mut amended = false;
        for (node, plan) in &mut self.nodes {
            let Some(compiled) = compiled.get(node) else {
                continue;
            };
            for (planned, entry) in plan.resources.iter_mut().zip(&compiled.catalog.resources) {
                let waits_for = entry.require.iter().find(|id| {
                    let once = self.once.get(*id);
                    once.is_some_and(|(_, once)| !is_quiet(once))
                });
                if let (Some(once), PlanOutcome::InSync) = (waits_for, &planned.outcome) {
                    let intent = intent(entry);
                    if !intent.is_empty() {
                        amended = true;
                        planned.outcome = PlanOutcome::After {
                            resource: once.clone(),
                            intent,
                        };
                    }
                }
            }
        }
        amended
    }
}

/// Nothing would change.
pub(super) fn is_quiet(planned: &Planned) -> bool {
    planned.outcome == PlanOutcome::InSync
}

/// What a resource would do, as far as its declaration alone tells.
pub(super) fn intent(entry: &brine_model::catalog::Entry) -> Vec<Change> {
    let fields = Spanned::from_value(Value::Map(entry.fields.clone()), Span::default());
    let resource = resources::kind(entry.id.kind())
        .and_then(|kind| kind.decode(&entry.id, &fields, None).ok());
    let mut intent = resource.map_or_else(Vec::new, |resource| Resource::intent(&*resource));
    for change in &mut intent {
        change.effects = Vec::new();
    }
    intent
}

/// How much anybody would feel of a part of a plan.
pub(super) fn work(plan: &Plan, part: Part) -> Work {
    let plan = plan.part(part);
    if plan.in_sync() {
        Work::Confirm
    } else if plan.impact() == Impact::None && !may_restart(&plan) {
        Work::Quiet
    } else {
        Work::Disturb
    }
}

/// Whether a service that waits for an earlier change may turn out to be running, and restart: that it is
/// to start approves a restart, too.
fn may_restart(plan: &Plan) -> bool {
    plan.resources.iter().any(|planned| match &planned.outcome {
        PlanOutcome::After { intent, .. } => intent.iter().any(|change| change.verb == "start"),
        _ => false,
    })
}

/// The first change of a plan that would certainly found a cluster.
pub(super) fn founds(plan: &Plan) -> Option<(&ResourceId, &Change)> {
    plan.resources
        .iter()
        .filter(|planned| matches!(planned.outcome, PlanOutcome::Changes(_)))
        .flat_map(|planned| {
            planned
                .outcome
                .changes()
                .iter()
                .map(|change| (&planned.id, change))
        })
        .find(|(_, change)| change.verb == BOOTSTRAP)
}

/// The approval of a plan, without what nobody can approve in a role that exists.
pub(super) fn approval(plan: &Plan, forming: bool) -> Approval {
    let mut approval = plan.approval();
    if !forming {
        for verbs in approval.0.values_mut() {
            verbs.remove(BOOTSTRAP);
        }
    }
    approval
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(outcome: PlanOutcome) -> Plan {
        let planned = Planned {
            id: "service:web".parse().expect("an id"),
            formula: "web".parse().expect("a name"),
            outcome,
        };
        Plan {
            resources: vec![planned],
            released: vec![],
        }
    }

    fn change(verb: &str, impact: Impact) -> Change {
        Change {
            verb: verb.into(),
            text: verb.into(),
            diff: None,
            impact,
            effects: vec![],
        }
    }

    fn after(intent: Change) -> PlanOutcome {
        PlanOutcome::After {
            resource: "package:web".parse().expect("an id"),
            intent: vec![intent],
        }
    }

    #[test]
    fn who_might_feel_it() {
        for (outcome, expected) in [
            (PlanOutcome::InSync, Work::Confirm),
            (
                PlanOutcome::Changes(vec![change("mode", Impact::None)]),
                Work::Quiet,
            ),
            (
                PlanOutcome::Changes(vec![change("restart", Impact::Restart)]),
                Work::Disturb,
            ),
            // It is certain that the service is not running.
            (
                PlanOutcome::Changes(vec![change("start", Impact::None)]),
                Work::Quiet,
            ),
            // By its turn it may be running, and the same approval lets it be restarted.
            (after(change("start", Impact::None)), Work::Disturb),
            (after(change("mode", Impact::None)), Work::Quiet),
        ] {
            let plan = planned(outcome);
            assert_eq!(work(&plan, Part::WHOLE), expected, "{plan:?}");
            assert_eq!(work(&plan, Part { from: 1, to: 2 }), Work::Confirm);
        }
    }
}
