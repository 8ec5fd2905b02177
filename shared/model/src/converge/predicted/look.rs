//! Looking at the machine as it will be.

use std::time::Duration;

use super::{LATER, Path, Pending, Predicted};
use crate::converge::known::{self, hand_on};
use crate::digest::Digest;
use crate::host::{
    CertificateState, FileState, Fingerprint, GroupState, HostError, HostResult, HttpAnswer,
    PackageState, Probe, ProbeOutcome, Program, ProgramOutput, ReadHost, RestartRecord, UnitState,
    UserState,
};
use crate::path::AbsolutePath;
use crate::resource::{ResourceId, Subject};
use crate::time::Timestamp;

impl ReadHost for Predicted<'_> {
    fn stat(&self, path: &AbsolutePath) -> HostResult<Option<FileState>> {
        match self.path(path) {
            Some((_, Path::There(state, _))) => Ok(Some(state.clone())),
            Some((_, Path::Absent)) => Ok(None),
            None if self.is_removed(path) => Ok(None),
            None => self.host.stat(path),
        }
    }

    fn read(&self, path: &AbsolutePath) -> HostResult<Option<Vec<u8>>> {
        match self.path(path) {
            Some((id, Path::There(..))) => Err(HostError::NotYet(id.clone())),
            Some((_, Path::Absent)) => Ok(None),
            None if self.is_removed(path) => Ok(None),
            None => self.host.read(path),
        }
    }

    fn digest(&self, path: &AbsolutePath) -> HostResult<Option<Digest>> {
        match self.path(path) {
            Some((_, Path::There(_, Some(digest)))) => Ok(Some(*digest)),
            Some((id, Path::There(_, None))) => Err(HostError::NotYet(id.clone())),
            Some((_, Path::Absent)) => Ok(None),
            None if self.is_removed(path) => Ok(None),
            None => self.host.digest(path),
        }
    }

    fn package(&self, name: &str) -> HostResult<PackageState> {
        self.packages
            .get(name)
            .map_or_else(|| self.host.package(name), |state| Ok(state.clone()))
    }

    fn unit(&self, name: &str) -> HostResult<UnitState> {
        if let Some(state) = self.units.get(name) {
            return Ok(state.clone());
        }
        let state = self.host.unit(name)?;
        match self.unit_files.get(name) {
            // The resource that changes a loaded unit's definition also has it loaded anew.
            Some(_) if state.load == "loaded" => Ok(UnitState {
                need_daemon_reload: false,
                ..state
            }),
            Some(id) if id.kind() == "unit" => Err(HostError::NotYet(id.clone())),
            // A drop-in alone makes no unit.
            _ if state.exists() => Ok(state),
            _ => {
                let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                self.bringer(stem).map_or(Ok(state), Err)
            }
        }
    }

    fn user(&self, name: &str) -> HostResult<Option<UserState>> {
        let to_be = || UserState {
            uid: u32::MAX,
            group: String::new(),
            home: String::new(),
            shell: String::new(),
            comment: String::new(),
            groups: Vec::new(),
        };
        match self.host.user(name)? {
            Some(user) => Ok(Some(user)),
            None if self.users.contains_key(name) => Ok(Some(to_be())),
            None => self.bringer(name).map_or(Ok(None), Err),
        }
    }

    fn group(&self, name: &str) -> HostResult<Option<GroupState>> {
        match self.host.group(name)? {
            Some(group) => Ok(Some(group)),
            // A user that is created brings a group of its name.
            None if self.groups.contains(name) || self.users.contains_key(name) => {
                Ok(Some(GroupState { gid: u32::MAX }))
            }
            None => self.bringer(name).map_or(Ok(None), Err),
        }
    }

    fn observe(&self, program: &Program) -> HostResult<ProgramOutput> {
        let output = self.host.observe(program);
        output.map_err(|error| self.needed_by(program).unwrap_or(error))
    }

    fn coming(&self, missing: &Subject) -> Option<ResourceId> {
        let brought = |name: &str| match self.bringer(name) {
            Some(HostError::NotYet(id)) => Some(id),
            _ => None,
        };
        match missing {
            // A package named after the program whose directory it is, else the likeliest.
            Subject::Path(path) => brought(path.file_name()),
            Subject::Part { path, .. } => brought(path.file_name()),
            Subject::Package(name) => {
                let mut arriving = self.arriving.iter();
                arriving
                    .rfind(|package| package.id.name() == name)
                    .map(|package| package.id.clone())
            }
            Subject::Service(unit) => self.starting.get(unit).cloned(),
            Subject::User(name) | Subject::Group(name) | Subject::UnitFile(name) => brought(name),
            Subject::Nothing(id) => self.pending.contains_key(id).then(|| id.clone()),
        }
    }

    fn fingerprint(&self, resource: &ResourceId) -> HostResult<Fingerprint> {
        match self.pending.get(resource) {
            Some(Pending::Unknown) => Err(HostError::NotYet(resource.clone())),
            Some(Pending::Command | Pending::Different) => {
                let digest = Digest::of_parts([b"to be".as_slice(), resource.name().as_bytes()]);
                Ok(Fingerprint {
                    digest,
                    changed_at: Some(LATER),
                })
            }
            Some(Pending::Known) | None => known::fingerprint(self.prepared, self, resource),
        }
    }

    hand_on! { read:
        candidate(name: &str) -> HostResult<Option<String>>;
        probe(probe: &Probe) -> HostResult<ProbeOutcome>;
        restart_record(unit: &str) -> HostResult<Option<RestartRecord>>;
        mark(key: &str) -> HostResult<Option<Digest>>;
        marked_at(key: &str) -> HostResult<Option<Timestamp>>;
        http_get(url: &str, timeout: Duration) -> HostResult<HttpAnswer>;
        certificate(path: &AbsolutePath, key: &AbsolutePath, authority: &AbsolutePath) -> HostResult<Option<CertificateState>>;
        now() -> Timestamp;
        blob(digest: &Digest) -> HostResult<Vec<u8>>;
    }
}
