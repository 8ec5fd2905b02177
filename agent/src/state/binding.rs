//! State belongs to a machine: a clone's copy is moved aside, and the clone enrols as new.

use std::path::{Path, PathBuf};

use brine_model::digest::Digest;

use super::atomic;
use super::error::StateError;

/// The file that says whose state it is. Written first, and moved aside last.
const FILE: &str = "machine";
const ASIDE: &str = "moved-aside";

/// Of /etc/machine-id, hashed: the id itself is confidential (machine-id(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineId(String);

impl MachineId {
    /// # Errors
    /// There is none, or it is not set yet.
    pub fn read(root: &Path) -> Result<Self, StateError> {
        let path = root.join("etc/machine-id");
        let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
        let bytes = bytes.unwrap_or_default();
        let id = String::from_utf8_lossy(&bytes);
        let id = id.trim();
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(StateError::NoMachineId(path));
        }
        let parts = [b"brine machine-id".as_slice(), id.as_bytes()];
        Ok(Self(Digest::of_parts(parts).to_string()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose state lies in `directory`; none where nobody's does.
///
/// # Errors
/// It cannot be read.
pub fn owner(directory: &Path) -> Result<Option<MachineId>, StateError> {
    let path = directory.join(FILE);
    let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
    Ok(bytes.map(|bytes| MachineId(String::from_utf8_lossy(&bytes).trim().to_owned())))
}

pub(super) fn bind(directory: &Path, machine: &MachineId) -> Result<(), StateError> {
    let owner = owner(directory)?;
    // A key without an owner cannot be told from a copied one.
    let foreign = match &owner {
        Some(owner) => owner != machine,
        None => directory.join("key.pem").exists(),
    };
    if foreign {
        tracing::warn!(
            state = %directory.display(),
            "this state is another machine's, so this is a clone: moved aside, enrolling as new"
        );
        move_aside(directory)?;
    }
    if foreign || owner.is_none() {
        let path = directory.join(FILE);
        atomic::write(&path, machine.as_str().as_bytes())
            .map_err(StateError::io("write", &path))?;
    }
    Ok(())
}

/// Everything but the lock. A crash in between leaves the owner's name, so the next start goes on.
fn move_aside(directory: &Path) -> Result<(), StateError> {
    let entries = std::fs::read_dir(directory).map_err(StateError::io("list", directory))?;
    let mut moved: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StateError::io("list", directory))?;
        if ![ASIDE, FILE, "lock"]
            .iter()
            .any(|&kept| entry.file_name() == kept)
        {
            moved.push(entry.path());
        }
    }
    let owner = directory.join(FILE);
    if owner.exists() {
        moved.push(owner);
    }
    set_aside(directory, moved)
}

/// Moves what is there, in this order, over what was moved before.
pub(super) fn set_aside(directory: &Path, paths: Vec<PathBuf>) -> Result<(), StateError> {
    let aside = directory.join(ASIDE);
    atomic::directory(&aside).map_err(StateError::io("make", &aside))?;
    for path in paths.into_iter().filter(|path| path.exists()) {
        let target = aside.join(path.file_name().unwrap_or_default());
        clear(&target).map_err(StateError::io("remove", &target))?;
        std::fs::rename(&path, &target).map_err(StateError::io("move aside", &path))?;
    }
    Ok(())
}

/// What was moved aside before.
fn clear(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn machine(root: &Path, id: &str) -> Result<MachineId, StateError> {
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/machine-id"), format!("{id}\n")).unwrap();
        MachineId::read(root)
    }

    #[test]
    fn only_a_real_machine_id() {
        let root = tempfile::tempdir().unwrap();
        assert!(MachineId::read(root.path()).is_err());
        assert!(machine(root.path(), "uninitialized").is_err());
        let id = machine(root.path(), "0123456789abcdef0123456789abcdef").unwrap();
        assert!(!id.as_str().contains("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn a_clone_starts_anew() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("state");
        let first = machine(root.path(), &"1".repeat(32)).unwrap();
        let key = {
            let state = State::open(&directory, first.clone()).unwrap();
            assert!(
                State::open(&directory, first.clone()).is_err(),
                "one agent at a time"
            );
            state.key().unwrap().public().fingerprint()
        };
        let again = State::open(&directory, first)
            .unwrap()
            .key()
            .unwrap()
            .public()
            .fingerprint();
        assert_eq!(again, key);
        let clone = machine(root.path(), &"2".repeat(32)).unwrap();
        let state = State::open(&directory, clone).unwrap();
        assert_ne!(state.key().unwrap().public().fingerprint(), key);
        assert!(directory.join("moved-aside/key.pem").exists());
    }

    #[test]
    fn a_key_without_an_owner_is_not_trusted() {
        let root = tempfile::tempdir().unwrap();
        let id = machine(root.path(), &"1".repeat(32)).unwrap();
        let directory = root.path().join("state");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("key.pem"), "planted").unwrap();
        let state = State::open(&directory, id).unwrap();
        assert!(state.key().is_ok());
    }
}
