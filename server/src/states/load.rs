//! One consistent reading of the state tree.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brine_lang::StateTree;
use brine_model::digest::Digest;

use super::git::{self, Revision};

/// A tree with more is not a tree of states but a mistake: `/` as the states directory, say.
const FILES: usize = 20_000;
const FILE_BYTES: u64 = 64 << 20;
const BYTES: u64 = 512 << 20;
const DEPTH: usize = 16;

/// Somebody may be writing (a `git pull`): read again, so often and so far apart.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// An immutable snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub tree: Arc<StateTree>,
    pub digest: Digest,
    pub revision: Option<Revision>,
}

impl Loaded {
    /// For records: `4be1…`, and the commit where there is one.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{} ({revision})", self.digest.short()),
            None => self.digest.short(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot read the states in {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is a symbolic link: states are plain files", path = .0.display())]
    Link(PathBuf),
    #[error("the name of {path} is not UTF-8", path = .0.display())]
    Name(PathBuf),
    #[error("{path} has {size} bytes; at most {FILE_BYTES} fit", path = path.display())]
    TooLarge { path: PathBuf, size: u64 },
    #[error("{path} holds more than {FILES} files or {BYTES} bytes: is it a state tree?", path = .0.display())]
    TooMuch(PathBuf),
    #[error("the states in {path} change faster than they can be read", path = .0.display())]
    Unsteady(PathBuf),
}

/// Reads the tree under `root`, without what begins with a dot. Blocks.
///
/// # Errors
/// Something cannot be read, is no plain file, is too large, or keeps changing.
pub(crate) fn load(root: &Path) -> Result<Loaded, LoadError> {
    for _ in 0..ATTEMPTS {
        let before = walk(root)?;
        match read(root, &before) {
            Ok(tree) if walk(root)? == before => {
                let digest = tree.digest();
                let revision = git::revision(root);
                return Ok(Loaded {
                    tree: Arc::new(tree),
                    digest,
                    revision,
                });
            }
            // A file that has just been replaced is not there for a moment.
            Err(LoadError::Read { path, source }) if source.kind() != io::ErrorKind::NotFound => {
                return Err(LoadError::Read { path, source });
            }
            Ok(_) | Err(LoadError::Read { .. }) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Err(LoadError::Unsteady(root.to_owned()))
}

/// What tells that a file is another: inode, size and change time.
type Stamp = (u64, u64, i64, i64);

fn walk(root: &Path) -> Result<BTreeMap<String, Stamp>, LoadError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    let mut bytes = 0;
    while let Some((folder, prefix, depth)) = folders.pop() {
        let failed = |source| LoadError::Read {
            path: folder.clone(),
            source,
        };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| LoadError::Name(path.clone()))?;
            if name.starts_with('.') {
                continue;
            }
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(LoadError::Read { path, source }),
            };
            let relative = format!("{prefix}{name}");
            if metadata.is_symlink() {
                return Err(LoadError::Link(path));
            } else if metadata.is_dir() && depth < DEPTH {
                folders.push((path, format!("{relative}/"), depth + 1));
            } else if metadata.is_file() {
                let size = metadata.len();
                if size > FILE_BYTES {
                    return Err(LoadError::TooLarge { path, size });
                }
                bytes += size;
                let stamp = (
                    metadata.ino(),
                    size,
                    metadata.ctime(),
                    metadata.ctime_nsec(),
                );
                found.insert(relative, stamp);
            }
            if found.len() > FILES || bytes > BYTES {
                return Err(LoadError::TooMuch(root.to_owned()));
            }
        }
    }
    Ok(found)
}

fn read(root: &Path, files: &BTreeMap<String, Stamp>) -> Result<StateTree, LoadError> {
    let one = |relative: &String| {
        let path = root.join(relative);
        let bytes = fs::read(&path).map_err(|source| LoadError::Read { path, source })?;
        Ok((relative.clone(), Arc::from(bytes)))
    };
    Ok(StateTree {
        files: files.keys().map(one).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_files_are_no_states_and_links_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("roles")).expect("made");
        fs::create_dir_all(root.join(".git/objects")).expect("made");
        fs::write(root.join("roles/db.yaml"), "role: db").expect("written");
        fs::write(root.join(".git/config"), "x").expect("written");
        fs::write(root.join("roles/.db.yaml.swp"), "x").expect("written");
        let loaded = load(root).expect("loaded");
        assert_eq!(
            loaded.tree.files.keys().collect::<Vec<_>>(),
            ["roles/db.yaml"]
        );
        let again = load(root).expect("loaded");
        assert_eq!(again.digest, loaded.digest);
        fs::write(root.join("roles/db.yaml"), "role: dc").expect("written");
        assert_ne!(load(root).expect("loaded").digest, loaded.digest);
        std::os::unix::fs::symlink("/etc/passwd", root.join("roles/x.yaml")).expect("linked");
        assert!(matches!(load(root), Err(LoadError::Link(_))));
        assert!(matches!(
            load(&root.join("none")),
            Err(LoadError::Read { .. })
        ));
    }
}
