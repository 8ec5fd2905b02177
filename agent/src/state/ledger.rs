//! The ledger of drift, kept: since when something is so must outlive the agent.

use std::path::Path;

use brine_model::drift::Ledger;

use super::atomic;
use super::error::StateError;

const NAME: &str = "drift";

/// An empty one where there is none, or where it makes no sense any more.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(state: &Path) -> Result<Ledger, StateError> {
    let path = state.join(NAME);
    let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
    Ok(bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default())
}

/// # Errors
/// It cannot be written.
pub(crate) fn write(state: &Path, ledger: &Ledger) -> Result<(), StateError> {
    let path = state.join(NAME);
    let bytes = serde_json::to_vec(ledger).map_err(|error| StateError::damaged(&path, error))?;
    atomic::write(&path, &bytes).map_err(StateError::io("write", &path))
}
