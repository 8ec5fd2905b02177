//! Whom a target means, by registry, facts and what nodes have installed.

use brine_lang::target;
use brine_model::name::NodeName;

use crate::compile::Snapshot;
use crate::runs::StartError;
use crate::store::Store;

/// The nodes that `target` is true of, sorted by name.
///
/// # Errors
/// It makes no sense, or means nobody; or the database cannot be read.
pub(crate) async fn select(
    target: &str,
    snapshot: &Snapshot,
    store: &Store,
) -> Result<Vec<NodeName>, StartError> {
    let installed = store.installed(target::packages(target)).await?;
    target::select_by(target, &snapshot.fleet, &installed).map_err(StartError::Target)
}
