//! What a job's result means for its run, in words.

use brine_model::converge::{ApplyReport, Plan, ResourceOutcome};
use brine_wire::job::JobResult;
use brine_wire::run::NodeState;

use super::plans::BOOTSTRAP;
use crate::store::NodeUpdate;

/// How an apply ended on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    InSync,
    Changed,
    Failed(String),
    Cancelled,
}

impl StepOutcome {
    #[must_use]
    pub(crate) const fn is_good(&self) -> bool {
        matches!(self, Self::InSync | Self::Changed)
    }

    /// The node's place in the run's record once this is all that happened.
    #[must_use]
    pub(crate) fn update(&self, counts: Option<(u32, u32)>) -> NodeUpdate {
        let (state, reason) = match self {
            Self::InSync => (NodeState::InSync, None),
            Self::Changed => (NodeState::Changed, None),
            Self::Failed(why) => (NodeState::Failed, Some(why.clone())),
            Self::Cancelled => (
                NodeState::Failed,
                Some("cancelled before it was done".to_owned()),
            ),
        };
        NodeUpdate {
            state,
            reason,
            counts,
        }
    }
}

/// The outcome of an apply job, with the number of changed and failed resources.
#[must_use]
pub(crate) fn of_apply(result: &JobResult) -> (StepOutcome, Option<(u32, u32)>) {
    match result {
        JobResult::Applied(report) => (of_report(report), Some(counts(report))),
        JobResult::Cancelled(report) => (
            StepOutcome::Cancelled,
            Some(report.as_ref().map_or((0, 0), counts)),
        ),
        JobResult::Failed(why) => (StepOutcome::Failed(why.clone()), None),
        JobResult::Planned(_)
        | JobResult::Health { .. }
        | JobResult::Executed { .. }
        | JobResult::Live(_)
        | JobResult::Acted(_) => (
            StepOutcome::Failed("the agent answered another question".to_owned()),
            None,
        ),
    }
}

/// A plan, or why there is none.
///
/// # Errors
/// The agent could not plan at all, or at least one resource.
pub(crate) fn of_plan(result: &JobResult) -> Result<&Plan, String> {
    match result {
        JobResult::Planned(plan) => match plan.failures().next() {
            None => Ok(plan),
            Some((id, why)) => Err(format!("{id}: {why}")),
        },
        JobResult::Failed(why) => Err(why.clone()),
        JobResult::Cancelled(_) => Err("cancelled".to_owned()),
        _ => Err("the agent answered another question".to_owned()),
    }
}

fn of_report(report: &ApplyReport) -> StepOutcome {
    let Some(stopped) = report.stopped_at() else {
        let changed = report.changed() > 0;
        return if changed {
            StepOutcome::Changed
        } else {
            StepOutcome::InSync
        };
    };
    let id = &stopped.id;
    match &stopped.outcome {
        ResourceOutcome::Cancelled => StepOutcome::Cancelled,
        ResourceOutcome::Failed { message, .. } => StepOutcome::Failed(format!("{id}: {message}")),
        ResourceOutcome::NotApproved(changes) => {
            let verbs: Vec<&str> = changes.iter().map(|change| change.verb.as_str()).collect();
            let why = if verbs.contains(&BOOTSTRAP) {
                "but its role has a cluster already, which this node does not see"
            } else {
                "which was not approved: plan again"
            };
            StepOutcome::Failed(format!("{id}: would {}, {why}", verbs.join(", ")))
        }
        ResourceOutcome::Skipped { after } => {
            StepOutcome::Failed(format!("{id}: skipped after {after}"))
        }
        ResourceOutcome::InSync | ResourceOutcome::Changed(_) => StepOutcome::Changed,
    }
}

fn counts(report: &ApplyReport) -> (u32, u32) {
    let failed = report.resources.iter().filter(|applied| {
        matches!(
            applied.outcome,
            ResourceOutcome::Failed { .. } | ResourceOutcome::NotApproved(_)
        )
    });
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(report.changed()), number(failed.count()))
}
