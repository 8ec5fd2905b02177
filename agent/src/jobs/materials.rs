//! A catalog with what it needs, ready to plan or apply.

use std::path::Path;

use brine_model::catalog::Catalog;
use brine_model::converge::{Prepared, prepare, released};
use brine_model::digest::Digest;
use brine_model::resource::ResourceId;
use brine_model::value::{SecretRef, SecretText};
use brine_wire::codec;
use brine_wire::job::Secret;

use super::task::Refusal;
use super::worker::Place;
use crate::state::applied::Applied;
use crate::state::blobs::Blobs;

pub(super) struct Materials {
    pub(super) digest: Digest,
    pub(super) catalog: Catalog,
    pub(super) secrets: Vec<Secret>,
    pub(super) prepared: Prepared,
    pub(super) applied: Applied,
}

impl Materials {
    /// Decodes the catalog and renders its templates. `_fetched`: the blobs are here.
    pub(super) fn read(
        place: &Place,
        digest: Digest,
        _fetched: (),
        secrets: Vec<Secret>,
    ) -> Result<Self, Refusal> {
        let (catalog, prepared) = read(&place.state, digest, &secrets).map_err(Refusal::Failed)?;
        if let Some(node) = &*place.node.borrow()
            && *node != catalog.node
        {
            let why = format!(
                "the catalog is for {}, and this node is {node}",
                catalog.node
            );
            return Err(Refusal::Failed(why));
        }
        let applied = Applied::new(&place.state);
        Ok(Self {
            digest,
            catalog,
            secrets,
            prepared,
            applied,
        })
    }

    /// What the catalog applied last had, and this one has not.
    pub(super) fn released(&self) -> Vec<ResourceId> {
        match self.applied.catalog() {
            Ok(Some(old)) => released(&old, &self.catalog),
            Ok(None) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "cannot tell what is released");
                Vec::new()
            }
        }
    }

    /// Removes blobs that are no longer needed; what stays is only disk space.
    pub(super) fn sweep(&self) {
        if let Err(error) = self.applied.sweep(&self.digest, &self.catalog) {
            tracing::warn!(%error, "cannot remove old blobs");
        }
    }
}

/// A catalog out of the blobs, with its templates rendered.
///
/// # Errors
/// What cannot be read, decoded or rendered, in words for people.
pub(crate) fn read(
    state: &Path,
    digest: Digest,
    secrets: &[Secret],
) -> Result<(Catalog, Prepared), String> {
    let blobs = Blobs::new(state);
    let bytes = blobs.get(&digest).map_err(|error| error.to_string())?;
    let catalog: Catalog = codec::decode(&bytes, codec::MAX).map_err(|error| error.to_string())?;
    let text = |reference: &_| text_of(secrets, reference);
    let prepared = prepare(&catalog, &|blob| blobs.get(blob), &text).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    Ok((catalog, prepared))
}

/// The text of a secret that came along.
pub(super) fn text_of(secrets: &[Secret], reference: &SecretRef) -> Option<SecretText> {
    let found = secrets
        .iter()
        .find(|secret| secret.reference == *reference)?;
    Some(found.text.clone())
}
