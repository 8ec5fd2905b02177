//! The join token: how a machine without a history finds its server.

use std::path::{Path, PathBuf};

use brine_transport::join::JoinToken;

/// A token and the file that it was in.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token: JoinToken,
    pub(crate) path: PathBuf,
    /// Put there for this one use: removed once it has served.
    pub(crate) removable: bool,
}

/// A file that should hold a token and does not.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub(crate) struct Unusable {
    pub(crate) path: PathBuf,
    pub(crate) why: String,
}

/// Where a token may be, first found first: passed in by the hypervisor or container manager, by
/// systemd to this unit, or put down by whoever made the image or the machine.
pub(crate) fn places(root: &Path) -> Vec<(PathBuf, bool)> {
    let mut places = vec![(root.join("run/credentials/@system/brine.join"), false)];
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        places.push((PathBuf::from(directory).join("brine.join"), false));
    }
    places.push((root.join("etc/brine/join"), true));
    places
}

/// The first token there is.
pub(crate) fn find(root: &Path) -> Result<Option<Found>, Unusable> {
    for (path, removable) in places(root) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Unusable {
                    path,
                    why: error.to_string(),
                });
            }
        };
        return match text.parse() {
            Ok(token) => Ok(Some(Found {
                token,
                path,
                removable,
            })),
            Err(error) => Err(Unusable {
                path,
                why: error.to_string(),
            }),
        };
    }
    Ok(None)
}
