//! Results that fit into a message: where they do not, diffs go first.

use brine_model::converge::{ApplyReport, Plan, PlanOutcome, ResourceOutcome};
use brine_model::resource::{Change, Diff};
use brine_transport::limits;
use brine_wire::codec;
use brine_wire::job::JobResult;

/// With room for the envelope.
const MOST: usize = limits::FRAME - (64 << 10);

/// Diffs are for people to read: nobody reads so many.
pub(super) fn shrink(mut result: JobResult) -> JobResult {
    if fits(&result, MOST) {
        return result;
    }
    match &mut result {
        JobResult::Planned(plan) => without_diffs(plan),
        JobResult::Applied(report) | JobResult::Cancelled(Some(report)) => {
            report_without_diffs(report);
        }
        _ => {}
    }
    if fits(&result, MOST) {
        result
    } else {
        JobResult::Failed("the job was done, but its result is too large to be sent".to_owned())
    }
}

fn fits(result: &JobResult, most: usize) -> bool {
    codec::encode(result).is_ok_and(|bytes| bytes.len() <= most)
}

fn without_diffs(plan: &mut Plan) {
    for planned in &mut plan.resources {
        match &mut planned.outcome {
            PlanOutcome::Changes(changes)
            | PlanOutcome::After {
                intent: changes, ..
            } => {
                strip(changes);
            }
            PlanOutcome::InSync | PlanOutcome::Failed(_) => {}
        }
    }
}

fn report_without_diffs(report: &mut ApplyReport) {
    for applied in &mut report.resources {
        match &mut applied.outcome {
            ResourceOutcome::Changed(changes)
            | ResourceOutcome::NotApproved(changes)
            | ResourceOutcome::Failed { changes, .. } => strip(changes),
            _ => {}
        }
    }
}

fn strip(changes: &mut [Change]) {
    for change in changes {
        if matches!(change.diff, Some(Diff::Text(_))) {
            change.diff = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use brine_model::converge::Planned;
    use brine_model::resource::{Impact, ResourceId};

    use super::*;

    #[test]
    fn diffs_go_first() {
        let change = Change {
            verb: "content".to_owned(),
            text: "content changed".to_owned(),
            diff: Some(Diff::Text("x".repeat(64 << 10))),
            impact: Impact::None,
            effects: Vec::new(),
        };
        let planned = |number: usize| Planned {
            id: ResourceId::new("file", format!("/{number}")),
            formula: "base".parse().unwrap(),
            outcome: PlanOutcome::Changes(vec![change.clone()]),
        };
        let small = JobResult::Planned(Plan {
            resources: vec![planned(0)],
            released: Vec::new(),
        });
        assert_eq!(shrink(small.clone()), small);
        let resources = (0..300).map(planned).collect();
        let JobResult::Planned(plan) = shrink(JobResult::Planned(Plan {
            resources,
            released: Vec::new(),
        })) else {
            panic!("still a plan");
        };
        assert_eq!(plan.resources.len(), 300);
        assert_eq!(plan.resources[7].outcome.changes()[0].diff, None);
    }
}
