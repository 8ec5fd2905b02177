//! `symlink`: a symbolic link.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::managed::{kind_in_words, wrong_kind};
use crate::deserialize::{Error, Located};
use crate::digest::Digest;
use crate::host::{FileKind, Fingerprint, Host, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, Subject};

/// `symlink: /opt/webapp/current`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Where it points: absolute, or relative to the directory that the link lies in.
    target: Located<String>,
}

struct Symlink {
    path: AbsolutePath,
    target: String,
}

impl Declaration for Fields {
    const NAME: &'static str = "symlink";
    const HEALS: bool = true;
    const DOC: &'static str = "A symbolic link, replaced atomically.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        if self.target.value.is_empty() || self.target.value.contains('\0') {
            return Err(Error::new(self.target.span, "a link points to a path"));
        }
        Ok(Box::new(Symlink {
            path: place.path()?,
            target: self.target.value,
        }))
    }
}

impl Symlink {
    fn change(&self, verb: &str, text: String) -> Vec<Change> {
        let effect = Effect::Symlink {
            path: self.path.clone(),
            target: self.target.clone(),
        };
        vec![Change::new(verb, text).with_effects([effect])]
    }
}

impl Resource for Symlink {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Path(self.path.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        self.path.parent().map(Subject::Path).into_iter().collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let Some(state) = host.stat(&self.path)? else {
            return Ok(self.intent());
        };
        match state.kind {
            FileKind::Symlink { target } if target == self.target => Ok(Vec::new()),
            FileKind::Symlink { target } => {
                Ok(self.change("target", format!("target {target} → {}", self.target)))
            }
            FileKind::File => {
                let found = kind_in_words(&state.kind);
                Ok(self.change(
                    "replace",
                    format!("replace {found} by a link to {}", self.target),
                ))
            }
            other => Err(wrong_kind(&self.path, "a symbolic link", &other)),
        }
    }

    fn intent(&self) -> Vec<Change> {
        self.change("create", format!("create {} → {}", self.path, self.target))
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        host.make_symlink(&self.path, &self.target)
    }

    /// Where it points, not what lies there.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        Ok(match host.stat(&self.path)? {
            Some(state) => Fingerprint {
                digest: Digest::of(kind_in_words(&state.kind).as_bytes()),
                changed_at: Some(state.changed_at),
            },
            None => Fingerprint {
                digest: Digest::of(b""),
                changed_at: None,
            },
        })
    }
}
