//! Making it so.

use brine_model::converge::{Approval, apply};
use brine_model::host::Host;
use brine_wire::job::JobResult;

use super::cancel::Cancel;
use super::materials::Materials;
use super::observer::Reporter;
use super::task::Refusal;

pub(super) fn run(
    materials: &Materials,
    approval: &Approval,
    cancel: &Cancel,
    host: &mut dyn Host,
    mut reporter: Reporter,
) -> Result<JobResult, Refusal> {
    let report = apply(&materials.prepared, Some(approval), host, &mut reporter);
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
    let cut = report.stopped_at().is_some_and(|applied| {
        applied.outcome == brine_model::converge::ResourceOutcome::Cancelled
    });
    if cancel.is_set() && cut {
        Ok(JobResult::Cancelled(Some(report)))
    } else {
        Ok(JobResult::Applied(report))
    }
}
