//! Saying what would change.

use brine_model::converge::plan;
use brine_model::host::ReadHost;
use brine_wire::job::JobResult;

use super::materials::Materials;
use super::task::Refusal;

/// A plan gets a host that it can only look at.
pub(super) fn run(materials: &Materials, host: &dyn ReadHost) -> Result<JobResult, Refusal> {
    let mut plan = plan(&materials.prepared, host);
    plan.released = materials.released();
    materials.sweep();
    Ok(JobResult::Planned(plan))
}
