//! How the last run went here, for those who watch.

use std::path::Path;

use brine_model::converge::{ApplyReport, ResourceOutcome};
use brine_model::time::Timestamp;
use brine_wire::job::RunId;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::error::StateError;

const NAME: &str = "last";

/// A run's parts on this node, taken together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastApply {
    pub(crate) run: RunId,
    /// When its last part ended.
    pub(crate) at: Timestamp,
    /// How long its parts took together, in milliseconds.
    pub(crate) took: u64,
    pub(crate) succeeded: bool,
    /// Resources.
    pub(crate) changed: u64,
    pub(crate) failed: u64,
}

impl LastApply {
    /// With one more part of the run; `report` is none where it did not come to one.
    pub(crate) fn with(
        before: Option<Self>,
        run: RunId,
        report: Option<&ApplyReport>,
        at: Timestamp,
        took: u64,
    ) -> Self {
        let mut last = before.filter(|before| before.run == run).unwrap_or(Self {
            run,
            at,
            took: 0,
            succeeded: true,
            changed: 0,
            failed: 0,
        });
        last.at = at;
        last.took += took;
        last.succeeded &= report.is_some_and(ApplyReport::succeeded);
        for applied in report.iter().flat_map(|report| &report.resources) {
            match applied.outcome {
                ResourceOutcome::Changed(_) => last.changed += 1,
                ResourceOutcome::Failed { .. } => last.failed += 1,
                _ => {}
            }
        }
        last
    }
}

/// None where nothing was applied, or what was noted makes no sense any more.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(state: &Path) -> Result<Option<LastApply>, StateError> {
    let path = state.join(NAME);
    let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// # Errors
/// It cannot be written.
pub(crate) fn write(state: &Path, last: &LastApply) -> Result<(), StateError> {
    let path = state.join(NAME);
    let bytes = serde_json::to_vec(last).map_err(|error| StateError::damaged(&path, error))?;
    atomic::write(&path, &bytes).map_err(StateError::io("write", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_run_add_up() {
        let report = ApplyReport::default();
        let at = Timestamp::from_secs(10);
        let first = LastApply::with(None, RunId(1), Some(&report), at, 100);
        assert!(first.succeeded);
        let both = LastApply::with(Some(first), RunId(1), None, Timestamp::from_secs(20), 50);
        assert_eq!(
            (both.took, both.succeeded, both.at),
            (150, false, Timestamp::from_secs(20))
        );
        let next = LastApply::with(Some(both), RunId(2), Some(&report), at, 7);
        assert_eq!((next.took, next.succeeded), (7, true));
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        write(directory.path(), &next).unwrap();
        assert_eq!(read(directory.path()).unwrap(), Some(next));
    }
}
