//! Looking at the fake machine.

use std::time::Duration;

use super::{FakeHost, FakeRequest};
use crate::digest::Digest;
use crate::host::{
    CertificateState, FileKind, FileState, GroupState, HostError, HostResult, HttpAnswer,
    PackageState, Probe, ProbeOutcome, Program, ProgramOutput, ReadHost, RestartRecord, UnitState,
    UserState,
};
use crate::path::AbsolutePath;
use crate::time::Timestamp;

impl FakeHost {
    pub(super) fn since_start(&self) -> Duration {
        Duration::from_nanos(self.clock.unsigned_abs())
    }
}

impl ReadHost for FakeHost {
    fn stat(&self, path: &AbsolutePath) -> HostResult<Option<FileState>> {
        Ok(self.files.get(path).map(|file| FileState {
            kind: file.kind.clone(),
            mode: file.mode,
            owner: file.owner.clone(),
            group: file.group.clone(),
            size: file.content.len() as u64,
            changed_at: file.changed_at,
        }))
    }

    fn read(&self, path: &AbsolutePath) -> HostResult<Option<Vec<u8>>> {
        match self.files.get(path) {
            Some(file) if file.kind == FileKind::File => Ok(Some(file.content.clone())),
            Some(_) => Err(HostError::failed(
                format!("read {path}"),
                "it is not a file",
            )),
            None => Ok(None),
        }
    }

    fn digest(&self, path: &AbsolutePath) -> HostResult<Option<Digest>> {
        Ok(self.read(path)?.map(|content| Digest::of(&content)))
    }

    fn package(&self, name: &str) -> HostResult<PackageState> {
        Ok(self.installed.get(name).cloned().unwrap_or_default())
    }

    fn candidate(&self, name: &str) -> HostResult<Option<String>> {
        Ok(self
            .repository
            .get(name)
            .and_then(|package| package.versions.last().cloned()))
    }

    fn unit(&self, name: &str) -> HostResult<UnitState> {
        Ok(self.unit_state(name))
    }

    fn user(&self, name: &str) -> HostResult<Option<UserState>> {
        Ok(self.users.get(name).cloned())
    }

    fn group(&self, name: &str) -> HostResult<Option<GroupState>> {
        Ok(self.groups.get(name).cloned())
    }

    /// # Panics
    /// The guard changed something.
    fn observe(&self, program: &Program) -> HostResult<ProgramOutput> {
        self.observed.set(self.observed.get() + 1);
        let mut copy = self.clone();
        let output = copy.run(program);
        assert_eq!(copy.files, self.files, "a guard must not change anything");
        output
    }

    fn probe(&self, probe: &Probe) -> HostResult<ProbeOutcome> {
        let what = match probe {
            Probe::Tcp(what) | Probe::Http { url: what, .. } | Probe::Service(what) => what,
            Probe::Command(program) => &program.argv[0],
            Probe::Live(question) => return Ok(crate::live::probe(question, self)),
        };
        let from = self.holds_from.get(what).copied().unwrap_or_default();
        let holds = self.since_start() >= from;
        Ok(if holds {
            Ok(())
        } else {
            Err(format!("{what} does not answer"))
        })
    }

    fn restart_record(&self, unit: &str) -> HostResult<Option<RestartRecord>> {
        Ok(self.records.get(unit).cloned())
    }

    fn mark(&self, key: &str) -> HostResult<Option<Digest>> {
        Ok(self.marks.get(key).map(|(digest, _)| *digest))
    }

    fn marked_at(&self, key: &str) -> HostResult<Option<Timestamp>> {
        Ok(self.marks.get(key).map(|(_, at)| *at))
    }

    /// # Panics
    /// A GET changed something.
    fn http_get(&self, url: &str, _: Duration) -> HostResult<HttpAnswer> {
        let mut copy = self.clone();
        let answer = copy.request(&FakeRequest {
            method: "GET",
            url,
            body: None,
            credentials: None,
        });
        assert_eq!(copy.files, self.files, "a GET must not change anything");
        answer
    }

    fn certificate(
        &self,
        path: &AbsolutePath,
        _: &AbsolutePath,
        _: &AbsolutePath,
    ) -> HostResult<Option<CertificateState>> {
        Ok(self.certificates.get(path).cloned())
    }

    fn now(&self) -> Timestamp {
        self.present()
    }

    fn blob(&self, digest: &Digest) -> HostResult<Vec<u8>> {
        let missing = || HostError::failed(format!("read blob {}", digest.short()), "not here");
        self.blobs.get(digest).cloned().ok_or_else(missing)
    }
}
