//! What was applied last: the catalog's digest, and the secrets in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use brine_model::catalog::Catalog;
use brine_model::digest::Digest;
use brine_wire::codec;
use brine_wire::job::Secret;

use super::atomic;
use super::blobs::Blobs;
use super::error::StateError;

/// Cheap to clone: a directory and what is in it.
#[derive(Debug, Clone)]
pub struct Applied {
    directory: PathBuf,
    blobs: Blobs,
}

impl Applied {
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            directory: state.to_owned(),
            blobs: Blobs::new(state),
        }
    }

    /// One that cannot be understood counts as none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn digest(&self) -> Result<Option<Digest>, StateError> {
        let path = self.directory.join("applied");
        let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
        Ok(bytes.and_then(|bytes| String::from_utf8_lossy(&bytes).trim().parse().ok()))
    }

    /// The catalog itself; none where nothing was applied, or its blob is lost.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn catalog(&self) -> Result<Option<Catalog>, StateError> {
        let bytes = self
            .digest()?
            .and_then(|digest| self.blobs.get(&digest).ok());
        Ok(bytes.and_then(|bytes| codec::decode(&bytes, codec::MAX).ok()))
    }

    /// The secrets in it.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn secrets(&self) -> Result<Vec<Secret>, StateError> {
        let path = self.directory.join("secrets");
        let Some(bytes) = atomic::read(&path).map_err(StateError::io("read", &path))? else {
            return Ok(Vec::new());
        };
        serde_json::from_slice(&bytes).map_err(|error| StateError::damaged(&path, error))
    }

    /// Notes that the node is on its way to a catalog: until all of it is applied, neither this one
    /// nor the one before tells what the node is to be.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&self, catalog: &Digest) -> Result<(), StateError> {
        let (applied, begun) = (self.digest()?, self.begun()?);
        // Applied again as it is, or gone on with.
        if begun == Some(*catalog) || (begun.is_none() && applied == Some(*catalog)) {
            return Ok(());
        }
        let before = applied.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
        let path = self.directory.join("begun");
        atomic::write(&path, format!("{before} {catalog}\n").as_bytes())
            .map_err(StateError::io("write", &path))
    }

    /// The catalog that was begun, and not applied wholly.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn begun(&self) -> Result<Option<Digest>, StateError> {
        let path = self.directory.join("begun");
        let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        let Some((before, catalog)) = text.trim().split_once(' ') else {
            return Ok(None);
        };
        let Ok(catalog) = catalog.parse::<Digest>() else {
            return Ok(None);
        };
        // A crash may have come between the two notes of a successful apply. Where the way led back to
        // the catalog of before, that cannot be told: then the next apply settles it.
        let is_done = self.digest()? == Some(catalog) && before != catalog.to_string();
        Ok((!is_done).then_some(catalog))
    }

    /// Notes a successful apply.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set(&self, catalog: &Digest, secrets: &[Secret]) -> Result<(), StateError> {
        let path = self.directory.join("secrets");
        let bytes =
            serde_json::to_vec(secrets).map_err(|error| StateError::damaged(&path, error))?;
        atomic::write(&path, &bytes).map_err(StateError::io("write", &path))?;
        let path = self.directory.join("applied");
        atomic::write(&path, format!("{catalog}\n").as_bytes())
            .map_err(StateError::io("write", &path))?;
        let path = self.directory.join("begun");
        atomic::remove(&path).map_err(StateError::io("remove", &path))
    }

    /// Removes blobs that neither the applied catalog nor `current` names.
    ///
    /// # Errors
    /// The blobs cannot be listed or removed.
    pub fn sweep(&self, digest: &Digest, current: &Catalog) -> Result<(), StateError> {
        let mut kept: BTreeSet<Digest> = current.blobs().into_iter().collect();
        kept.insert(*digest);
        if let Some(applied) = self.digest()? {
            kept.insert(applied);
            kept.extend(
                self.catalog()?
                    .map(|catalog| catalog.blobs())
                    .unwrap_or_default(),
            );
        }
        self.blobs
            .keep_only(&kept)
            .map_err(StateError::io("sweep", &self.directory.join("blobs")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_that_was_begun_is_none_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let applied = Applied::new(folder.path());
        let [a, b] = [b"a", b"b"].map(|text| Digest::of(text));
        applied.begin(&a).unwrap();
        assert_eq!(applied.begun().unwrap(), Some(a));
        applied.set(&a, &[]).unwrap();
        applied.begin(&a).unwrap();
        assert_eq!(applied.begun().unwrap(), None);
        applied.begin(&b).unwrap();
        // Back to the one before, which counts for nothing until all of it is there again.
        applied.begin(&a).unwrap();
        assert_eq!(applied.begun().unwrap(), Some(a));
        applied.set(&a, &[]).unwrap();
        assert_eq!(applied.begun().unwrap(), None);
        // Power fails between the two notes.
        applied.begin(&b).unwrap();
        let begun = std::fs::read(folder.path().join("begun")).unwrap();
        applied.set(&b, &[]).unwrap();
        std::fs::write(folder.path().join("begun"), begun).unwrap();
        assert_eq!(applied.begun().unwrap(), None);
    }
}
