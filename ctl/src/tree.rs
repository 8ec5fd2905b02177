//! Reads a state tree from the disk, within bounds, as the server does.

use std::io;
use std::path::{Path, PathBuf};

use brine_lang::StateTree;

/// Bounds that no sane tree comes near: a mistaken `ctl check /` must end soon.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 64 << 20;
const MAX_DEPTH: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("no state tree in {}: there is neither `roles` nor `formulas`", path.display())]
    NoTree { path: PathBuf },
    #[error("{} is neither a file nor a folder", path.display())]
    Special { path: PathBuf },
    #[error("the name of {} is not UTF-8", path.display())]
    Name { path: PathBuf },
    #[error("{} holds more than a state tree may: {bound}", path.display())]
    TooLarge { path: PathBuf, bound: &'static str },
}

impl TreeError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTree { .. } => Some("name its folder: `ctl check path/to/states`".to_owned()),
            Self::Special { .. } => {
                Some("a state tree holds plain files; copy what a link points to".to_owned())
            }
            Self::TooLarge { .. } => Some("is this the folder that you meant?".to_owned()),
            Self::Read { .. } | Self::Name { .. } => None,
        }
    }
}

/// The folder to check: the one named, else `states` in `here`, else `here` itself.
#[must_use]
pub fn folder(named: Option<PathBuf>, here: &Path) -> PathBuf {
    named.unwrap_or_else(|| {
        let states = here.join("states");
        if states.is_dir() {
            states
        } else {
            here.to_owned()
        }
    })
}

/// All files below `root`; what starts with a dot (an editor's, Git's) is no part of the tree.
///
/// # Errors
/// Something cannot be read, is no plain file, or there is too much of it.
pub fn load(root: &Path) -> Result<StateTree, TreeError> {
    if !["roles", "formulas"]
        .iter()
        .any(|name| root.join(name).is_dir())
    {
        // A folder that is not there at all is the better reason.
        std::fs::read_dir(root).map_err(|source| TreeError::Read {
            path: root.to_owned(),
            source,
        })?;
        return Err(TreeError::NoTree {
            path: root.to_owned(),
        });
    }
    let mut loader = Loader {
        root,
        tree: StateTree::default(),
        bytes: 0,
    };
    loader.folder(root, "", 0)?;
    Ok(loader.tree)
}

struct Loader<'a> {
    root: &'a Path,
    tree: StateTree,
    bytes: u64,
}

impl Loader<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), TreeError> {
        if depth > MAX_DEPTH {
            return Err(self.too_large("folders in folders"));
        }
        let failed = |source| TreeError::Read {
            path: folder.to_owned(),
            source,
        };
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let file_name = entry.file_name();
            let name = file_name
                .to_str()
                .ok_or_else(|| TreeError::Name { path: path.clone() })?;
            if name.starts_with('.') {
                continue;
            }
            let relative = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.folder(&path, &relative, depth + 1)?;
            } else if kind.is_file() {
                self.file(&path, relative)?;
            } else {
                return Err(TreeError::Special { path });
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, relative: String) -> Result<(), TreeError> {
        let failed = |source| TreeError::Read {
            path: path.to_owned(),
            source,
        };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MAX_BYTES {
            return Err(self.too_large("64 MiB"));
        }
        if self.tree.files.len() >= MAX_FILES {
            return Err(self.too_large("20000 files"));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        self.tree.files.insert(relative, bytes.into());
        Ok(())
    }

    fn too_large(&self, bound: &'static str) -> TreeError {
        TreeError::TooLarge {
            path: self.root.to_owned(),
            bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_files_without_dots() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join("roles/.git")).expect("made");
        for name in ["roles/db.yaml", "roles/.db.yaml.swp", "roles/.git/config"] {
            std::fs::write(root.join(name), name).expect("written");
        }
        let tree = load(root).expect("a tree");
        assert_eq!(tree.files.keys().collect::<Vec<_>>(), ["roles/db.yaml"]);
        std::os::unix::fs::symlink("/etc/passwd", root.join("roles/link")).expect("linked");
        assert!(matches!(load(root), Err(TreeError::Special { .. })));
    }

    #[test]
    fn what_is_no_tree() {
        let root = tempfile::tempdir().expect("a folder");
        assert!(matches!(load(root.path()), Err(TreeError::NoTree { .. })));
        assert!(matches!(
            load(&root.path().join("no")),
            Err(TreeError::Read { .. })
        ));
    }

    #[test]
    fn the_usual_folder() {
        let here = tempfile::tempdir().expect("a folder");
        assert_eq!(folder(None, here.path()), here.path());
        std::fs::create_dir(here.path().join("states")).expect("made");
        assert_eq!(folder(None, here.path()), here.path().join("states"));
        assert_eq!(folder(Some("x".into()), here.path()), Path::new("x"));
    }
}
