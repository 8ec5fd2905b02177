//! A machine that also knows the resources of one catalog.

use std::time::Duration;

use super::prepare::Prepared;
use crate::digest::Digest;
use crate::host::{
    CertificateOrder, CertificateState, Content, FileState, Fingerprint, GroupState, Host,
    HostError, HostResult, HttpAnswer, HttpRequest, Ownership, PackageRequest, PackageState, Probe,
    ProbeOutcome, Program, ProgramOutput, ReadHost, RestartRecord, UnitState, UnitVerb,
    UserRequest, UserState,
};
use crate::path::AbsolutePath;
use crate::resource::ResourceId;
use crate::time::Timestamp;

/// What an apply works on: the machine as it is, plus [`ReadHost::fingerprint`].
pub(super) struct Known<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) host: &'a mut dyn Host,
}

pub(super) fn fingerprint(
    prepared: &Prepared,
    host: &dyn ReadHost,
    id: &ResourceId,
) -> HostResult<Fingerprint> {
    match prepared.resource(id) {
        Some(resource) => resource.fingerprint(host),
        None => Err(HostError::failed(
            format!("look at {id}"),
            "it is not part of this catalog",
        )),
    }
}

/// Hands each listed method on to the machine behind.
macro_rules! hand_on {
    (read: $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        fn $name(&self, $($arg: $type),*) -> $result {
            self.host.$name($($arg),*)
        }
    )*};
    (write: $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        fn $name(&mut self, $($arg: $type),*) -> $result {
            self.host.$name($($arg),*)
        }
    )*};
}

pub(super) use hand_on;

impl ReadHost for Known<'_> {
    hand_on! { read:
        stat(path: &AbsolutePath) -> HostResult<Option<FileState>>;
        read(path: &AbsolutePath) -> HostResult<Option<Vec<u8>>>;
        digest(path: &AbsolutePath) -> HostResult<Option<Digest>>;
        package(name: &str) -> HostResult<PackageState>;
        candidate(name: &str) -> HostResult<Option<String>>;
        unit(name: &str) -> HostResult<UnitState>;
        user(name: &str) -> HostResult<Option<UserState>>;
        group(name: &str) -> HostResult<Option<GroupState>>;
        observe(program: &Program) -> HostResult<ProgramOutput>;
        probe(probe: &Probe) -> HostResult<ProbeOutcome>;
        restart_record(unit: &str) -> HostResult<Option<RestartRecord>>;
        mark(key: &str) -> HostResult<Option<Digest>>;
        marked_at(key: &str) -> HostResult<Option<Timestamp>>;
        http_get(url: &str, timeout: Duration) -> HostResult<HttpAnswer>;
        certificate(path: &AbsolutePath, key: &AbsolutePath, authority: &AbsolutePath) -> HostResult<Option<CertificateState>>;
        now() -> Timestamp;
        blob(digest: &Digest) -> HostResult<Vec<u8>>;
    }

    fn fingerprint(&self, resource: &ResourceId) -> HostResult<Fingerprint> {
        fingerprint(self.prepared, self, resource)
    }
}

impl Host for Known<'_> {
    fn as_read(&self) -> &dyn ReadHost {
        self
    }

    fn write_file(
        &mut self,
        path: &AbsolutePath,
        content: &Content,
        ownership: &Ownership,
        validate: Option<&Program>,
    ) -> HostResult<()> {
        self.host.write_file(path, content, ownership, validate)
    }

    hand_on! { write:
        set_ownership(path: &AbsolutePath, ownership: &Ownership) -> HostResult<()>;
        make_directory(path: &AbsolutePath, ownership: &Ownership) -> HostResult<()>;
        make_symlink(path: &AbsolutePath, target: &str) -> HostResult<()>;
        remove(path: &AbsolutePath, recursive: bool) -> HostResult<()>;
        packages(requests: &[PackageRequest]) -> HostResult<()>;
        unit_verb(unit: &str, verb: UnitVerb) -> HostResult<()>;
        daemon_reload() -> HostResult<()>;
        set_restart_record(unit: &str, record: &RestartRecord) -> HostResult<()>;
        set_mark(key: &str, digest: Digest) -> HostResult<()>;
        set_user(name: &str, request: &UserRequest) -> HostResult<()>;
        set_group(name: &str, gid: Option<u32>, system: bool) -> HostResult<()>;
        http_send(request: &HttpRequest) -> HostResult<HttpAnswer>;
        order_certificate(order: &CertificateOrder) -> HostResult<()>;
        execute(program: &Program) -> HostResult<ProgramOutput>;
        pause(span: Duration) -> ();
    }

    fn elapsed(&self) -> Duration {
        self.host.elapsed()
    }
}
