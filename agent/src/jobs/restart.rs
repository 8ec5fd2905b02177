//! Restarting a unit because somebody said so.

use std::time::Duration;

use brine_model::host::{Host, UnitVerb};
use brine_wire::job::JobResult;

use super::observer::Reporter;
use super::task::Refusal;

/// A program that dies of its configuration mostly does so at once.
const SETTLES: Duration = Duration::from_secs(1);

pub(super) fn run(
    unit: &str,
    host: &mut dyn Host,
    reporter: Reporter,
) -> Result<JobResult, Refusal> {
    let before = host.unit(unit).map_err(Refusal::failed)?;
    if !before.is_active() {
        let state = if before.exists() {
            format!("{unit} is {} ({})", before.active, before.sub)
        } else {
            format!("there is no unit {unit}")
        };
        return Err(Refusal::Failed(format!(
            "only what runs is restarted: {state}"
        )));
    }
    reporter.tell(0, 1, format!("restarting {unit}"));
    host.unit_verb(unit, UnitVerb::Restart)
        .map_err(Refusal::failed)?;
    host.pause(SETTLES);
    let after = host.unit(unit).map_err(Refusal::failed)?;
    if after.active != "active" {
        return Err(Refusal::Failed(format!(
            "{unit} was restarted, and is {} ({}) now",
            after.active, after.sub
        )));
    }
    Ok(JobResult::Acted(format!("restarted {unit}")))
}
