//! Making it so.

use brine_model::converge::{Approval, Part, ResourceOutcome, apply};
use brine_model::host::Host;
use brine_wire::job::JobResult;

use super::cancel::Cancel;
use super::materials::Materials;
use super::observer::Reporter;
use super::task::Refusal;

/// What may be done: how much of the catalog, and as far as was approved.
pub(super) struct Order {
    pub(super) approval: Approval,
    pub(super) part: Part,
    /// Nothing is left of the catalog after this: then it is the node's own.
    pub(super) last: bool,
}

pub(super) fn run(
    materials: &Materials,
    order: &Order,
    cancel: &Cancel,
    host: &mut dyn Host,
    mut reporter: Reporter,
) -> Result<JobResult, Refusal> {
    let Order {
        approval,
        part,
        last,
    } = order;
    let report = apply(
        &materials.prepared,
        *part,
        Some(approval),
        host,
        &mut reporter,
    );
    if report.succeeded() && !last {
        return Ok(JobResult::Applied(report));
    }
    if report.succeeded() {
        materials
            .applied
            .set(&materials.digest, &materials.secrets)
            .map_err(|error| {
                Refusal::Failed(format!(
                    "everything was applied, but that cannot be noted: {error}"
                ))
            })?;
        materials.sweep();
        return Ok(JobResult::Applied(report));
    }
    let cut = report
        .stopped_at()
        .is_some_and(|applied| applied.outcome == ResourceOutcome::Cancelled);
    if cancel.is_set() && cut {
        Ok(JobResult::Cancelled(Some(report)))
    } else {
        Ok(JobResult::Applied(report))
    }
}
