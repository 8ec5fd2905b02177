//! A state tree, read by somebody else: this crate touches no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use brine_model::digest::Digest;

/// The files of a state tree by their path relative to its root, with `/` between components.
#[derive(Debug, Clone, Default)]
pub struct StateTree {
    pub files: BTreeMap<String, Arc<[u8]>>,
}

impl StateTree {
    /// Names the snapshot: equal trees have equal digests.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_parts(
            self.files
                .iter()
                .flat_map(|(path, bytes)| [path.as_bytes(), bytes.as_ref()]),
        )
    }
}

impl<P: Into<String>, B: AsRef<[u8]>> FromIterator<(P, B)> for StateTree {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        let files = files
            .into_iter()
            .map(|(path, bytes)| (path.into(), bytes.as_ref().into()));
        Self {
            files: files.collect(),
        }
    }
}
