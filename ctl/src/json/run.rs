//! Runs, their plans, their reports, their events.

use brine_model::converge::{ApplyReport, Plan, PlanOutcome, ResourceOutcome};
use brine_model::resource::{Change, Diff, ResourceId};
use brine_wire::run::{Event, Happening, Output, RunDetail, RunNode, RunSummary};
use serde_json::{Map, Value, json};

use super::{diagnostics, time};
use crate::show::time::rfc3339;

#[must_use]
pub fn runs(runs: &[RunSummary]) -> Value {
    runs.iter().map(summary).collect()
}

#[must_use]
pub fn summary(run: &RunSummary) -> Value {
    json!({
        "id": run.id.0,
        "kind": run.kind,
        "target": run.target,
        "operator": run.operator,
        "phase": run.phase,
        "started": rfc3339(run.started),
        "ended": time(run.ended),
        "snapshot": run.snapshot,
        "reason": run.reason,
        "nodes": run.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn node(node: &RunNode) -> Value {
    json!({
        "name": node.name,
        "roles": node.roles,
        "state": node.state,
        "reason": node.reason,
        "changed": node.changed,
        "failed": node.failed,
    })
}

#[must_use]
pub fn run(run: &RunDetail) -> Value {
    let plans: Map<_, _> = run
        .plans
        .iter()
        .map(|(n, p)| (n.to_string(), plan(p)))
        .collect();
    let reports: Map<_, _> = run
        .reports
        .iter()
        .map(|(n, r)| (n.to_string(), report(r)))
        .collect();
    let catalogs: Map<_, _> = run
        .catalogs
        .iter()
        .map(|(n, digest)| (n.to_string(), digest.to_string().into()))
        .collect();
    let outputs: Map<_, _> = run
        .outputs
        .iter()
        .map(|(n, o)| (n.to_string(), output(o)))
        .collect();
    json!({
        "run": summary(&run.summary),
        "diagnostics": diagnostics(&run.diagnostics),
        "plans": plans,
        "reports": reports,
        "catalogs": catalogs,
        "outputs": outputs,
    })
}

fn output(output: &Output) -> Value {
    json!({ "code": output.code, "stdout": output.stdout, "stderr": output.stderr })
}

#[must_use]
pub fn plan(plan: &Plan) -> Value {
    let planned = |planned: &brine_model::converge::Planned| {
        let outcome = match &planned.outcome {
            PlanOutcome::InSync => json!({ "outcome": "in_sync" }),
            PlanOutcome::Changes(list) => json!({ "outcome": "changes", "changes": changes(list) }),
            PlanOutcome::After { resource, intent } => json!({
                "outcome": "after", "after": resource, "changes": changes(intent),
            }),
            PlanOutcome::Failed(message) => json!({ "outcome": "failed", "message": message }),
        };
        resource(&planned.id, planned.formula.as_str(), outcome)
    };
    json!({
        "resources": plan.resources.iter().map(planned).collect::<Vec<_>>(),
        "released": plan.released,
    })
}

#[must_use]
pub fn report(report: &ApplyReport) -> Value {
    let applied = |applied: &brine_model::converge::Applied| {
        let outcome = match &applied.outcome {
            ResourceOutcome::InSync => json!({ "outcome": "in_sync" }),
            ResourceOutcome::Changed(list) => {
                json!({ "outcome": "changed", "changes": changes(list) })
            }
            ResourceOutcome::Failed {
                message,
                changes: list,
            } => {
                json!({ "outcome": "failed", "message": message, "changes": changes(list) })
            }
            ResourceOutcome::Skipped { after } => json!({ "outcome": "skipped", "after": after }),
            ResourceOutcome::NotApproved(list) => {
                json!({ "outcome": "not_approved", "changes": changes(list) })
            }
            ResourceOutcome::Cancelled => json!({ "outcome": "cancelled" }),
        };
        resource(&applied.id, applied.formula.as_str(), outcome)
    };
    report.resources.iter().map(applied).collect()
}

/// One line of `apply` and `runs watch`.
#[must_use]
pub fn event(event: &Event) -> Value {
    let mut line = match &event.what {
        Happening::Phase { phase, reason } => {
            json!({ "type": "phase", "phase": phase, "reason": reason })
        }
        Happening::Node {
            node,
            state,
            reason,
        } => {
            json!({ "type": "node", "node": node, "state": state, "reason": reason })
        }
        Happening::Progress { node, progress } => json!({
            "type": "progress", "node": node,
            "done": progress.done, "total": progress.total, "doing": progress.doing,
        }),
        Happening::Note(text) => json!({ "type": "note", "text": text }),
    };
    if let Value::Object(line) = &mut line {
        line.insert("sequence".to_owned(), event.sequence.into());
        line.insert("at".to_owned(), rfc3339(event.at).into());
    }
    line
}

fn resource(id: &ResourceId, formula: &str, mut outcome: Value) -> Value {
    if let Value::Object(fields) = &mut outcome {
        fields.insert("resource".to_owned(), id.to_string().into());
        fields.insert("formula".to_owned(), formula.into());
    }
    outcome
}

fn changes(changes: &[Change]) -> Vec<Value> {
    let change = |change: &Change| {
        let diff = match &change.diff {
            None => Value::Null,
            Some(Diff::Text(text)) => json!({ "text": text }),
            Some(Diff::Sensitive) => json!({ "sensitive": true }),
            Some(Diff::Binary { before, after }) => json!({ "before": before, "after": after }),
        };
        json!({ "verb": change.verb, "text": change.text, "impact": change.impact, "diff": diff })
    };
    changes.iter().map(change).collect()
}
