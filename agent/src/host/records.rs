//! Marks and restart records: small files in the state directory, one each.
//!
//! Their names are digests, so that no unit's or key's name is ever a path.

use std::path::PathBuf;

use brine_model::digest::Digest;
use brine_model::host::{HostError, HostResult, RestartRecord};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::state::atomic;

/// Both have the plain name in them: for people who look, and against mix-ups.
#[derive(Serialize, Deserialize)]
struct Named<T> {
    name: String,
    value: T,
}

pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    pub(super) fn new(state: &std::path::Path) -> Self {
        Self {
            directory: state.join("records"),
        }
    }

    pub(super) fn restart(&self, unit: &str) -> HostResult<Option<RestartRecord>> {
        self.get("restart", unit)
    }

    pub(super) fn set_restart(&self, unit: &str, record: &RestartRecord) -> HostResult<()> {
        self.set("restart", unit, record)
    }

    pub(super) fn mark(&self, key: &str) -> HostResult<Option<Digest>> {
        self.get("mark", key)
    }

    pub(super) fn set_mark(&self, key: &str, digest: Digest) -> HostResult<()> {
        self.set("mark", key, &digest)
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.directory
            .join(format!("{kind}-{}", Digest::of(name.as_bytes())))
    }

    /// One that cannot be understood counts as none: then it is observed anew.
    fn get<T: DeserializeOwned>(&self, kind: &str, name: &str) -> HostResult<Option<T>> {
        let path = self.path(kind, name);
        let bytes = atomic::read(&path)
            .map_err(|error| HostError::failed(format!("read {}", path.display()), error))?;
        let named: Option<Named<T>> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(named
            .filter(|named| named.name == name)
            .map(|named| named.value))
    }

    fn set<T: Serialize>(&self, kind: &str, name: &str, value: &T) -> HostResult<()> {
        let path = self.path(kind, name);
        let failed = |error: &dyn std::fmt::Display| {
            HostError::failed(format!("write {}", path.display()), error)
        };
        let named = Named {
            name: name.to_owned(),
            value,
        };
        let bytes = serde_json::to_vec(&named).map_err(|error| failed(&error))?;
        atomic::directory(&self.directory).map_err(|error| failed(&error))?;
        atomic::write(&path, &bytes).map_err(|error| failed(&error))
    }
}
