//! `absent`: nothing lies at a path.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::managed::kind_in_words;
use crate::deserialize::Error;
use crate::digest::Digest;
use crate::host::{FileKind, Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, Subject};

/// `absent: /etc/nginx/sites-enabled/default`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Remove a directory with all that lies in it.
    #[serde(default)]
    recursive: bool,
}

struct Absent {
    path: AbsolutePath,
    recursive: bool,
}

impl Declaration for Fields {
    const NAME: &'static str = "absent";
    const HEALS: bool = true;
    const DOC: &'static str = "Removes a file, a link or, if `recursive`, a directory.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let path = place.path()?;
        let top_level = path.parent().is_none_or(|parent| parent.as_str() == "/");
        if self.recursive && top_level {
            let message = format!("removing `{path}` with all that lies in it ends the machine");
            return Err(place.error("recursive", message));
        }
        Ok(Box::new(Absent {
            path,
            recursive: self.recursive,
        }))
    }
}

impl Absent {
    fn remove(&self, what: Option<&FileKind>) -> Vec<Change> {
        let what = what
            .map(|kind| format!(", {}", kind_in_words(kind)))
            .unwrap_or_default();
        vec![
            Change::new("remove", format!("remove {}{what}", self.path)).with_effects([
                Effect::Absent {
                    path: self.path.clone(),
                },
            ]),
        ]
    }
}

impl Resource for Absent {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Path(self.path.clone())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        match host.stat(&self.path)? {
            None => Ok(Vec::new()),
            Some(state) if state.kind == FileKind::Directory && !self.recursive => {
                Err(HostError::failed(
                    format!("remove {}", self.path),
                    "it is a directory: `recursive: true` removes it with all that lies in it",
                ))
            }
            Some(state) => Ok(self.remove(Some(&state.kind))),
        }
    }

    fn intent(&self) -> Vec<Change> {
        self.remove(None)
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        host.remove(&self.path, self.recursive)
    }

    /// A removal shows in the ctime of the directory only; other files move that, too, so that
    /// without a record a dependant may be restarted once too often.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let there = host.stat(&self.path)?.is_some();
        let parent = self
            .path
            .parent()
            .map(|parent| host.stat(&parent))
            .transpose()?
            .flatten();
        Ok(Fingerprint {
            digest: Digest::of(if there { b"there" } else { b"" }),
            changed_at: parent.map(|state| state.changed_at),
        })
    }
}
