//! `group`: a group of the system.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::Account;
use super::user::account_fingerprint;
use crate::deserialize::Error;
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::resource::{Change, Effect, Resource, Subject};

/// `group: webapp`. Members are the business of `user`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Default: the next free one.
    gid: Option<u32>,
    /// Take the number from those for daemons; only for a group that is yet to be made.
    #[serde(default)]
    system: bool,
}

struct Group {
    name: String,
    gid: Option<u32>,
    system: bool,
}

impl Declaration for Fields {
    const NAME: &'static str = "group";
    const HEALS: bool = true;
    const DOC: &'static str = "A group of the system.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let name = place.name::<Account>()?.0;
        Ok(Box::new(Group {
            name,
            gid: self.gid,
            system: self.system,
        }))
    }
}

impl Group {
    fn change(&self, verb: &str, text: String) -> Vec<Change> {
        vec![Change::new(verb, text).with_effects([Effect::Group {
            name: self.name.clone(),
        }])]
    }
}

impl Resource for Group {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Group(self.name.clone())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        match (host.group(&self.name), self.gid) {
            // A package that is yet to come may bring it; it is made here in any case.
            (Err(HostError::NotYet(_)) | Ok(None), _) => Ok(self.intent()),
            (Err(error), _) => Err(error),
            (Ok(Some(found)), Some(gid)) if found.gid != gid => {
                Ok(self.change("gid", format!("gid {} → {gid}", found.gid)))
            }
            (Ok(Some(_)), _) => Ok(Vec::new()),
        }
    }

    fn intent(&self) -> Vec<Change> {
        self.change("create", format!("create group {}", self.name))
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        host.set_group(&self.name, self.gid, self.system)
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let gid = host.group(&self.name)?.map(|group| group.gid);
        account_fingerprint(&format!("{gid:?}"), host)
    }
}
