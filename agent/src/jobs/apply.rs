//! Making it so.

use brine_model::converge::{Approval, Part, ResourceOutcome, apply};
use brine_model::host::Host;
use brine_wire::job::{Extent, JobResult};

use super::cancel::Cancel;
use super::materials::Materials;
use super::observer::Reporter;
use super::task::Refusal;

/// What may be done: how much of the catalog, and as far as was approved.
pub(super) struct Order {
    pub(super) approval: Approval,
    pub(super) part: Part,
    pub(super) extent: Extent,
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
        extent,
    } = order;
    // Durable before the first change: from here on the catalog of before is not to be kept.
    if *extent != Extent::Once {
        let noted = materials.applied.begin(&materials.digest);
        noted.map_err(|error| Refusal::Failed(format!("nothing was done: {error}")))?;
    }
    let report = apply(
        &materials.prepared,
        *part,
        Some(approval),
        host,
        &mut reporter,
    );
    if report.succeeded() && *extent != Extent::Wholly {
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
