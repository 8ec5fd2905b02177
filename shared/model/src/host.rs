//! What a machine looks like, and the ways to change it.
//!
//! A plan gets a [`ReadHost`], so it cannot write; only the agent has a [`Host`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::Entry;
use crate::digest::Digest;
use crate::path::AbsolutePath;
use crate::resource::{ResourceId, Subject};
use crate::time::Timestamp;
use crate::value::SecretText;

/// Why a machine could not be looked at or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum HostError {
    /// Not an error of the machine: an earlier change decides it, so a plan cannot know yet.
    #[error("not known before `{0}` is applied")]
    NotYet(ResourceId),
    /// `operation` names what was tried and on what: `read /etc/passwd`.
    #[error("cannot {operation}: {cause}")]
    Failed { operation: String, cause: String },
    /// A program said no; `output` is its own words, bounded.
    #[error("{operation}: {status}{}{output}", if output.is_empty() { "" } else { "\n" })]
    Program {
        operation: String,
        status: String,
        output: String,
    },
}

impl HostError {
    pub fn failed(operation: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Failed {
            operation: operation.into(),
            cause: cause.to_string(),
        }
    }
}

pub type HostResult<T> = Result<T, HostError>;

/// What lies at a path; a symbolic link is itself, never what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    pub kind: FileKind,
    /// Permission bits with set-uid, set-gid and sticky: at most `0o7777`.
    pub mode: u32,
    /// User name, or the number where no user has it.
    pub owner: String,
    /// Group name, or the number where no group has it.
    pub group: String,
    /// Bytes.
    pub size: u64,
    /// The inode's ctime: it cannot be set back, and a rename over the path moves it.
    pub changed_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    Symlink {
        target: String,
    },
    /// Device, socket, pipe.
    Other,
}

/// A Debian package, as dpkg's and apt's own files tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageState {
    /// Version of the completely installed package.
    pub installed: Option<String>,
    /// Half-installed, unpacked, half-configured, …: dpkg has to be finished first.
    pub broken: bool,
    pub held: bool,
}

/// A systemd unit, as the manager tells over D-Bus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    pub sub: String,
    /// `enabled`, `disabled`, `static`, `masked`, …; empty where there is no unit file.
    pub enabled: String,
    /// New at every start; empty where the unit never ran since boot.
    pub invocation: String,
    /// Start of the main process; none where there is none.
    pub started_at: Option<Timestamp>,
    /// When its state last changed; a reload is such a change. None where nobody tells.
    pub state_changed_at: Option<Timestamp>,
    pub need_daemon_reload: bool,
    pub can_reload: bool,
}

impl UnitState {
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.load.is_empty() && self.load != "not-found"
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "activating")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    pub uid: u32,
    /// Name of the primary group, or its number.
    pub group: String,
    pub home: String,
    pub shell: String,
    pub comment: String,
    /// Supplementary groups, sorted.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    pub gid: u32,
}

/// A child process: never a shell string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub argv: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub directory: Option<AbsolutePath>,
    pub user: Option<String>,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    /// Exit code; 128 + signal where one ended it.
    pub code: i32,
    /// Bounded to the last 64 KiB.
    pub stdout: String,
    pub stderr: String,
}

/// A question about whether something works, asked once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Probe {
    /// Something accepts connections at `host:port`.
    Tcp(String),
    /// A GET answers with this status (any 2xx or 3xx where none is given).
    Http { url: String, status: Option<u16> },
    /// The program exits with 0.
    Command(Program),
    /// The systemd unit is active.
    Service(String),
    /// Something holds of the member's own live facts. Asked of the resources that tell them: a
    /// bare host knows no resources and fails.
    Live(LiveQuestion),
}

/// A condition over live facts, with what tells them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveQuestion {
    /// Resources that offer live facts; without secrets.
    pub sources: Vec<Entry>,
    /// As written: `patroni.streaming and patroni.lag < 1048576`.
    pub condition: String,
}

/// `Err` says why it does not hold, in words for people.
pub type ProbeOutcome = Result<(), String>;

/// What an HTTP server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    /// At most 1 MiB.
    pub body: String,
}

/// A request that may change what it asks. Plain HTTP/1.1: for services of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: HttpMethod,
    /// `http://host:port/path`
    pub url: String,
    /// JSON.
    pub body: Option<String>,
    pub credentials: Option<Credentials>,
    /// For the whole of the answer.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    Post,
    Patch,
}

/// HTTP's basic authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: SecretText,
}

/// A certificate on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateState {
    /// DNS names and addresses that it is for, sorted.
    pub names: Vec<String>,
    pub starts: Timestamp,
    pub expires: Timestamp,
    /// Whether the key beside it is its own, and the authority beside it has signed it.
    pub consistent: bool,
}

/// A certificate to be had from the server, for a key that is made here and never leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateOrder {
    /// What asks for it: the server takes the names from its own catalog.
    pub resource: ResourceId,
    pub certificate: AbsolutePath,
    pub key: AbsolutePath,
    /// Where the authority's own certificate goes.
    pub authority: AbsolutePath,
    /// Of the certificate; the key has the same owner and group, and never a mode beyond 0640.
    pub ownership: Ownership,
}

/// What a service was last known to run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRecord {
    /// The unit's InvocationID when this was written.
    pub invocation: String,
    /// [`UnitState::state_changed_at`] then: another one means that somebody has reloaded it.
    #[serde(default)]
    pub state_changed_at: Option<Timestamp>,
    /// Fingerprint of each resource under `restart_on` and `reload_on`. One by one, so that a
    /// formula that watches one thing more restarts nothing for that alone.
    pub watched: BTreeMap<ResourceId, Digest>,
}

/// What a dependant compares, and since when it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    pub digest: Digest,
    /// When the content last changed; none where the machine does not tell.
    pub changed_at: Option<Timestamp>,
}

/// A machine to look at. Nothing here changes it, and (but for [`ReadHost::observe`] and a
/// command probe) nothing starts a process.
pub trait ReadHost {
    fn stat(&self, path: &AbsolutePath) -> HostResult<Option<FileState>>;
    /// The content of a regular file, none where nothing is there; refuses files over 64 MiB.
    fn read(&self, path: &AbsolutePath) -> HostResult<Option<Vec<u8>>>;
    /// Digest of a regular file's content, none where nothing is there; any size.
    fn digest(&self, path: &AbsolutePath) -> HostResult<Option<Digest>>;
    fn package(&self, name: &str) -> HostResult<PackageState>;
    /// The version that apt would install now; none where it knows none. May read apt's lists.
    fn candidate(&self, name: &str) -> HostResult<Option<String>>;
    fn unit(&self, name: &str) -> HostResult<UnitState>;
    fn user(&self, name: &str) -> HostResult<Option<UserState>>;
    fn group(&self, name: &str) -> HostResult<Option<GroupState>>;
    /// Runs a guard (`unless`, `only_if`): a program that promises to change nothing.
    fn observe(&self, program: &Program) -> HostResult<ProgramOutput>;
    fn probe(&self, probe: &Probe) -> HostResult<ProbeOutcome>;
    fn restart_record(&self, unit: &str) -> HostResult<Option<RestartRecord>>;
    /// A mark kept by [`Host::set_mark`], for resources that must remember something.
    fn mark(&self, key: &str) -> HostResult<Option<Digest>>;
    /// When [`Host::set_mark`] last set it; none where there is no mark or the machine does not
    /// tell. Then dependants of a command are rather restarted once too often.
    fn marked_at(&self, _key: &str) -> HostResult<Option<Timestamp>> {
        Ok(None)
    }
    /// A GET over plain HTTP; any status is an answer.
    fn http_get(&self, url: &str, timeout: Duration) -> HostResult<HttpAnswer>;
    /// The certificate at `path`, judged by the key and the authority that lie at the other two;
    /// none where there is none, or where it cannot be read as one.
    fn certificate(
        &self,
        path: &AbsolutePath,
        key: &AbsolutePath,
        authority: &AbsolutePath,
    ) -> HostResult<Option<CertificateState>>;
    /// The machine's clock: for what expires, nothing else.
    fn now(&self) -> Timestamp;
    /// What an earlier change of the same plan is to bring, though it is not there now: the package
    /// that may come with a file, the service that is yet to start. A machine itself has no plans.
    fn coming(&self, _missing: &Subject) -> Option<ResourceId> {
        None
    }
    /// Bytes that came with the catalog.
    fn blob(&self, digest: &Digest) -> HostResult<Vec<u8>>;
    /// What a dependant of `resource` compares. Answered by the overlay that a plan runs over
    /// (it knows the catalog); a bare machine does not know resources and fails.
    fn fingerprint(&self, resource: &ResourceId) -> HostResult<Fingerprint> {
        Err(HostError::failed(
            format!("fingerprint {resource}"),
            "not part of this catalog",
        ))
    }
}

/// Content to write.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    Blob(Digest),
}

/// How a file must be owned and protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    pub mode: u32,
    pub owner: String,
    pub group: String,
}

/// One package of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRequest {
    pub name: String,
    /// Exactly this version; none takes the candidate.
    pub version: Option<String>,
    /// Some: put on or take off hold.
    pub hold: Option<bool>,
    /// Install or upgrade; false only sets the hold.
    pub install: bool,
    /// Units that must not start by themselves when the package arrives.
    pub keep_stopped: Vec<String>,
}

/// What to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnitVerb {
    Start,
    Stop,
    Restart,
    Reload,
    Enable,
    Disable,
    Mask,
    Unmask,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserRequest {
    pub uid: Option<u32>,
    pub group: Option<String>,
    pub home: Option<String>,
    pub shell: Option<String>,
    pub comment: Option<String>,
    pub groups: Option<Vec<String>>,
    pub system: bool,
    pub create_home: bool,
}

/// A machine to change. Every call returns when what it says has happened, or with why not.
pub trait Host: ReadHost {
    /// For calls that only look.
    fn as_read(&self) -> &dyn ReadHost;

    /// Replaces a file atomically and durably: a temporary file in the same directory, 0600
    /// before the first byte, `validate`d if asked (`{}` stands for the temporary path), fsync,
    /// rename. Never writes through a symbolic link.
    fn write_file(
        &mut self,
        path: &AbsolutePath,
        content: &Content,
        ownership: &Ownership,
        validate: Option<&Program>,
    ) -> HostResult<()>;
    /// Sets mode, owner and group of what is there, without following a symbolic link.
    fn set_ownership(&mut self, path: &AbsolutePath, ownership: &Ownership) -> HostResult<()>;
    fn make_directory(&mut self, path: &AbsolutePath, ownership: &Ownership) -> HostResult<()>;
    /// Replaces whatever link or file is there atomically; refuses a directory.
    fn make_symlink(&mut self, path: &AbsolutePath, target: &str) -> HostResult<()>;
    /// Removes a file, link or, if `recursive`, directory tree; nothing there is fine.
    fn remove(&mut self, path: &AbsolutePath, recursive: bool) -> HostResult<()>;

    /// One package transaction, in a unit that outlives the agent.
    fn packages(&mut self, requests: &[PackageRequest]) -> HostResult<()>;

    fn unit_verb(&mut self, unit: &str, verb: UnitVerb) -> HostResult<()>;
    fn daemon_reload(&mut self) -> HostResult<()>;
    fn set_restart_record(&mut self, unit: &str, record: &RestartRecord) -> HostResult<()>;
    fn set_mark(&mut self, key: &str, digest: Digest) -> HostResult<()>;

    /// Creates or changes a user.
    fn set_user(&mut self, name: &str, request: &UserRequest) -> HostResult<()>;
    fn set_group(&mut self, name: &str, gid: Option<u32>, system: bool) -> HostResult<()>;

    /// Sends a request that may change something; any status is an answer.
    fn http_send(&mut self, request: &HttpRequest) -> HostResult<HttpAnswer>;
    /// Makes a key, has the server certify it, and writes key, certificate and authority so that a
    /// crash in between leaves the old three or is seen as not consistent.
    fn order_certificate(&mut self, order: &CertificateOrder) -> HostResult<()>;
    /// Runs a program that changes the machine.
    fn execute(&mut self, program: &Program) -> HostResult<ProgramOutput>;
    /// Waits a moment before a probe is asked again; a fake host returns at once.
    fn pause(&mut self, span: Duration);
    /// Monotonic time since some fixed point, for deadlines.
    fn elapsed(&self) -> Duration;
}
