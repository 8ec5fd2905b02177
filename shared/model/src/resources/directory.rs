//! `directory`: a directory with its mode and owner.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::{Account, Mode};
use super::managed::{accounts, check_accounts, drift, ownership, wrong_kind};
use crate::deserialize::Error;
use crate::digest::Digest;
use crate::host::{FileKind, Fingerprint, Host, HostResult, Ownership, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, Subject};

/// `directory: /etc/etcd/tls`. What lies in it is not its business.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Default: root.
    owner: Option<Account>,
    /// Default: root.
    group: Option<Account>,
    /// Default: 0755.
    mode: Option<Mode>,
}

struct Directory {
    path: AbsolutePath,
    ownership: Ownership,
}

impl Declaration for Fields {
    const NAME: &'static str = "directory";
    const HEALS: bool = true;
    const DOC: &'static str = "A directory with its mode and owner.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let ownership = ownership(
            self.mode.as_ref(),
            0o755,
            self.owner.as_ref(),
            self.group.as_ref(),
        );
        Ok(Box::new(Directory {
            path: place.path()?,
            ownership,
        }))
    }
}

impl Directory {
    fn change(&self, verb: &str, text: String) -> Change {
        let Ownership { mode, owner, group } = self.ownership.clone();
        Change::new(verb, text).with_effects([Effect::Directory {
            path: self.path.clone(),
            mode,
            owner,
            group,
        }])
    }
}

impl Resource for Directory {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Path(self.path.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let parent = self.path.parent().map(Subject::Path);
        parent
            .into_iter()
            .chain(accounts(&self.ownership))
            .collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        match host.stat(&self.path)? {
            None => {
                check_accounts(&self.path, &self.ownership, host)?;
                Ok(self.intent())
            }
            Some(state) if state.kind == FileKind::Directory => {
                let drifts = drift(&self.path, &state, &self.ownership, host)?;
                Ok(drifts
                    .into_iter()
                    .map(|(verb, text)| self.change(verb, text))
                    .collect())
            }
            Some(state) => Err(wrong_kind(&self.path, "a directory", &state.kind)),
        }
    }

    fn intent(&self) -> Vec<Change> {
        vec![self.change("create", format!("create {}", self.path))]
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        if changes.iter().any(|change| change.verb == "create") {
            host.make_directory(&self.path, &self.ownership)
        } else {
            host.set_ownership(&self.path, &self.ownership)
        }
    }

    /// Mode and owner; never what lies in it.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let Some(state) = host.stat(&self.path)? else {
            return Ok(Fingerprint {
                digest: Digest::of(b""),
                changed_at: None,
            });
        };
        let text = format!("{:o} {}:{}", state.mode, state.owner, state.group);
        // The ctime also moves with each file that comes or goes: without a record, a dependant
        // may be restarted once too often.
        Ok(Fingerprint {
            digest: Digest::of(text.as_bytes()),
            changed_at: Some(state.changed_at),
        })
    }
}
