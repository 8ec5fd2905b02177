//! Waiting until a member is healthy.

use std::time::Duration;

use brine_model::catalog::Health;
use brine_model::host::Host;
use brine_wire::job::JobResult;

use super::cancel::Cancel;
use super::observer::Reporter;

const BETWEEN: Duration = Duration::from_secs(1);

/// Asks all until all hold at the same time, or one that does not has had its time.
pub(super) fn run(
    conditions: &[Health],
    cancel: &Cancel,
    host: &mut dyn Host,
    reporter: Reporter,
) -> JobResult {
    let start = host.elapsed();
    loop {
        let failing = failing(conditions, host);
        if failing.is_empty() {
            return JobResult::Health {
                failing: Vec::new(),
            };
        }
        let waited = host.elapsed().saturating_sub(start);
        let late = |health: &Health| waited >= Duration::from_secs(health.within.into());
        if failing.iter().any(|(health, _)| late(health)) {
            return JobResult::Health {
                failing: failing.into_iter().map(|(_, why)| why).collect(),
            };
        }
        if cancel.is_set() {
            return JobResult::Cancelled(None);
        }
        let good = conditions.len() - failing.len();
        if let Some((_, why)) = failing.first() {
            reporter.tell(good, conditions.len(), format!("waiting: {why}"));
        }
        host.pause(BETWEEN);
    }
}

fn failing<'a>(conditions: &'a [Health], host: &dyn Host) -> Vec<(&'a Health, String)> {
    let why = |health: &Health| match host.probe(&health.probe) {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(error) => Some(error.to_string()),
    };
    let asked = conditions
        .iter()
        .filter_map(|health| Some((health, why(health)?)));
    asked
        .map(|(health, why)| (health, format!("{}: {why}", health.formula)))
        .collect()
}
