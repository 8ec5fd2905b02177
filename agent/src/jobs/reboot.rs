//! Rebooting the machine: a job that the agent's next life finishes.
//!
//! The journal has it as `Rebooting` before anything is asked of systemd. What comes of it is
//! decided by whoever opens the journal next (`state/journal.rs`).

use std::time::Duration;

use brine_wire::job::JobResult;
use tokio_util::sync::CancellationToken;

use super::task::Refusal;
use crate::host::RealHost;

/// Within that, everything is stopped or was killed: units have 90 s unless they say otherwise.
const GOES_DOWN: Duration = Duration::from_secs(15 * 60);

pub(super) fn run(host: &mut RealHost) -> Result<JobResult, Refusal> {
    host.reboot().map_err(Refusal::failed)?;
    Ok(JobResult::Acted("the machine goes down".to_owned()))
}

/// None once the machine goes down: the result is the next life's to tell.
pub(super) async fn outcome(asked: JobResult, stop: &CancellationToken) -> Option<JobResult> {
    if !matches!(asked, JobResult::Acted(_)) {
        return Some(asked);
    }
    tokio::select! {
        () = stop.cancelled() => None,
        () = tokio::time::sleep(GOES_DOWN) => {
            let minutes = GOES_DOWN.as_secs() / 60;
            Some(JobResult::Failed(format!(
                "systemd was asked to reboot, and the machine still runs after {minutes} min"
            )))
        }
    }
}
