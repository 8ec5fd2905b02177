//! Blobs that came with catalogs, in files named by their digests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use brine_model::digest::Digest;
use brine_model::host::{HostError, HostResult};

use super::atomic;

/// Content is checked when it comes and again when it is used: a disk may lie.
#[derive(Debug, Clone)]
pub struct Blobs {
    directory: PathBuf,
}

impl Blobs {
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            directory: state.join("blobs"),
        }
    }

    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// # Errors
    /// It is not here, or not what its name says; then it is gone afterwards, to be fetched anew.
    pub fn get(&self, digest: &Digest) -> HostResult<Vec<u8>> {
        let failed =
            |cause: String| HostError::failed(format!("read blob {}", digest.short()), cause);
        let path = self.path(digest);
        let bytes = atomic::read(&path)
            .map_err(|error| failed(error.to_string()))?
            .ok_or_else(|| failed("it is not here".to_owned()))?;
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        let _ = atomic::remove(&path);
        Err(failed("its content is damaged".to_owned()))
    }

    /// # Errors
    /// `bytes` are not what `digest` says, or cannot be written.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> HostResult<()> {
        let failed =
            |cause: String| HostError::failed(format!("keep blob {}", digest.short()), cause);
        if Digest::of(bytes) != *digest {
            return Err(failed("what came is not what was asked for".to_owned()));
        }
        atomic::directory(&self.directory).map_err(|error| failed(error.to_string()))?;
        atomic::write(&self.path(digest), bytes).map_err(|error| failed(error.to_string()))
    }

    /// Removes all but `kept`.
    ///
    /// # Errors
    /// The directory cannot be listed, or a file not be removed.
    pub fn keep_only(&self, kept: &BTreeSet<Digest>) -> std::io::Result<()> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let digest: Option<Digest> = name.to_str().and_then(|name| name.parse().ok());
            if !digest.is_some_and(|digest| kept.contains(&digest)) {
                atomic::remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_its_name_says() {
        let state = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(state.path());
        let digest = Digest::of(b"content");
        assert!(blobs.get(&digest).is_err());
        assert!(blobs.put(&digest, b"other").is_err());
        blobs.put(&digest, b"content").unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), b"content");
        std::fs::write(blobs.path(&digest), "damaged").unwrap();
        assert!(blobs.get(&digest).is_err());
        assert!(!blobs.has(&digest), "a damaged one is fetched anew");
    }

    #[test]
    fn the_rest_is_removed() {
        let state = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(state.path());
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        blobs.keep_only(&BTreeSet::new()).unwrap();
        blobs.put(&one, b"1").unwrap();
        blobs.put(&two, b"2").unwrap();
        blobs.keep_only(&BTreeSet::from([two])).unwrap();
        assert_eq!((blobs.has(&one), blobs.has(&two)), (false, true));
    }
}
