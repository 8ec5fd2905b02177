//! What can go wrong with the agent's own files.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("another agent uses {}", .0.display())]
    InUse(PathBuf),
    #[error("{} holds no machine-id; `systemd-machine-id-setup` makes one", .0.display())]
    NoMachineId(PathBuf),
    #[error("cannot make a key")]
    Key(#[source] brine_transport::identity::IdentityError),
}

impl StateError {
    /// For `map_err`.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}
