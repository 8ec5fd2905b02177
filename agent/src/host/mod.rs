//! The machine itself: the only code in Brine that changes one.
//!
//! [`RealHost`] is a table of contents: each question and each change is a function in a file of
//! its own. Looking forks nothing, but for guards, command probes and apt's candidates.
//! It is for one thread at a time; jobs run one by one anyway.

mod accounts;
mod apt;
mod certificates;
mod dpkg;
mod http;
mod issuer;
mod jobs;
mod locks;
mod look;
mod machine;
mod packages;
mod place;
mod probes;
mod programs;
mod records;
mod remove;
mod stamp;
mod systemd;
mod tail;
mod temporary;
#[cfg(test)]
mod tests;
mod transaction;
mod units;
mod users;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brine_model::digest::Digest;
use brine_model::host::{
    CertificateOrder, CertificateState, Content, FileState, GroupState, Host, HostResult,
    HttpAnswer, HttpRequest, Ownership, PackageRequest, PackageState, Probe, ProbeOutcome, Program,
    ProgramOutput, ReadHost, RestartRecord, UnitState, UnitVerb, UserRequest, UserState,
};
use brine_model::live;
use brine_model::path::AbsolutePath;
use brine_model::time::Timestamp;

use self::accounts::Accounts;
use self::apt::Apt;
use self::dpkg::Dpkg;
use self::packages::Candidates;
use self::records::Records;
use self::systemd::Systemd;
use self::write::Files;
use crate::clock;
use crate::state::blobs::Blobs;

pub use self::apt::VERB as TRANSACTION_VERB;
pub(crate) use self::issuer::Issuer;
pub(crate) use self::locks::holder;
pub(crate) use self::machine::ThisMachine;
pub(crate) use self::programs::run_once;
pub(crate) use self::systemd::{subscribed, virtualisation};
pub use self::transaction::Transaction;

/// This machine.
pub struct RealHost {
    /// `/`, but in tests.
    root: PathBuf,
    state: PathBuf,
    accounts: Accounts,
    dpkg: Dpkg,
    candidates: Candidates,
    systemd: Systemd,
    records: Records,
    blobs: Blobs,
    /// None where only looking is meant.
    issuer: Option<Issuer>,
    start: Instant,
}

impl RealHost {
    /// The machine, with the agent's state directory.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self::rooted(Path::new("/"), state)
    }

    /// For tests: files, accounts and packages are those under `root`. Programs are the machine's.
    #[must_use]
    pub fn rooted(root: &Path, state: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state: state.to_owned(),
            accounts: Accounts::new(root),
            dpkg: Dpkg::new(root),
            candidates: Candidates::default(),
            systemd: Systemd::new(root),
            records: Records::new(state),
            blobs: Blobs::new(state),
            issuer: None,
            start: Instant::now(),
        }
    }

    /// With a way to have certificates made.
    #[must_use]
    pub(crate) fn with_issuer(mut self, issuer: Issuer) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Whether the machine is `starting`, `running`, `stopping`, in systemd's words; empty where there is
    /// no systemd.
    pub(crate) fn system_state(&self) -> String {
        if self.systemd.is_there() {
            self.systemd.state()
        } else {
            String::new()
        }
    }

    /// Begins to reboot the machine; systemd then stops everything, this agent included.
    ///
    /// # Errors
    /// systemd refuses.
    pub(crate) fn reboot(&mut self) -> HostResult<()> {
        units::reboot(&self.systemd)
    }

    /// Waits for a package transaction that an earlier life of this agent has begun. To be called
    /// before anything else is done; on a machine without systemd there can be none.
    ///
    /// # Errors
    /// It does not end.
    pub fn wait_for_transaction(&self) -> HostResult<()> {
        if self.systemd.is_there() {
            self.apt().wait_for_running()
        } else {
            Ok(())
        }
    }

    /// Whether systemd answers.
    ///
    /// # Errors
    /// It does not.
    pub fn ask_systemd(&self) -> HostResult<()> {
        units::state(&self.systemd, "basic.target").map(drop)
    }

    fn files(&self) -> Files<'_> {
        Files {
            root: &self.root,
            accounts: &self.accounts,
        }
    }

    fn apt(&self) -> Apt<'_> {
        Apt {
            systemd: &self.systemd,
            files: self.files(),
            state: &self.state,
        }
    }
}

impl ReadHost for RealHost {
    fn stat(&self, path: &AbsolutePath) -> HostResult<Option<FileState>> {
        look::stat(&self.root, path, &self.accounts)
    }

    fn read(&self, path: &AbsolutePath) -> HostResult<Option<Vec<u8>>> {
        look::read(&self.root, path)
    }

    fn digest(&self, path: &AbsolutePath) -> HostResult<Option<Digest>> {
        look::digest(&self.root, path)
    }

    fn package(&self, name: &str) -> HostResult<PackageState> {
        self.dpkg.package(name)
    }

    fn candidate(&self, name: &str) -> HostResult<Option<String>> {
        self.candidates.get(name, &self.accounts)
    }

    fn unit(&self, name: &str) -> HostResult<UnitState> {
        units::state(&self.systemd, name)
    }

    fn user(&self, name: &str) -> HostResult<Option<UserState>> {
        self.accounts.user(name)
    }

    fn group(&self, name: &str) -> HostResult<Option<GroupState>> {
        self.accounts.group(name)
    }

    fn observe(&self, program: &Program) -> HostResult<ProgramOutput> {
        programs::run(program, &self.accounts)
    }

    fn probe(&self, probe: &Probe) -> HostResult<ProbeOutcome> {
        Ok(match probe {
            Probe::Tcp(address) => probes::tcp(address),
            Probe::Http { url, status } => probes::http(url, *status),
            Probe::Command(program) => match programs::demand(program, &self.accounts) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Probe::Service(unit) => match self.unit(unit)? {
                state if state.active == "active" => Ok(()),
                state => Err(format!("{unit} is {} ({})", state.active, state.sub)),
            },
            Probe::Live(question) => live::probe(question, self),
        })
    }

    fn restart_record(&self, unit: &str) -> HostResult<Option<RestartRecord>> {
        self.records.restart(unit)
    }

    fn mark(&self, key: &str) -> HostResult<Option<Digest>> {
        self.records.mark(key)
    }

    fn http_get(&self, url: &str, timeout: Duration) -> HostResult<HttpAnswer> {
        http::get(url, timeout)
    }

    fn certificate(
        &self,
        path: &AbsolutePath,
        key: &AbsolutePath,
        authority: &AbsolutePath,
    ) -> HostResult<Option<CertificateState>> {
        certificates::state(&self.root, path, key, authority)
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn blob(&self, digest: &Digest) -> HostResult<Vec<u8>> {
        self.blobs.get(digest)
    }
}

impl Host for RealHost {
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
        match content {
            Content::Bytes(bytes) => self.files().write(path, bytes, ownership, validate),
            Content::Blob(digest) => {
                self.files()
                    .write(path, &self.blobs.get(digest)?, ownership, validate)
            }
        }
    }

    fn set_ownership(&mut self, path: &AbsolutePath, ownership: &Ownership) -> HostResult<()> {
        self.files().set_ownership(path, ownership)
    }

    fn make_directory(&mut self, path: &AbsolutePath, ownership: &Ownership) -> HostResult<()> {
        self.files().make_directory(path, ownership)
    }

    fn make_symlink(&mut self, path: &AbsolutePath, target: &str) -> HostResult<()> {
        self.files().make_symlink(path, target)
    }

    fn remove(&mut self, path: &AbsolutePath, recursive: bool) -> HostResult<()> {
        remove::remove(&self.root, path, recursive)
    }

    fn packages(&mut self, requests: &[PackageRequest]) -> HostResult<()> {
        self.candidates.forget();
        self.apt().run(requests)
    }

    fn unit_verb(&mut self, unit: &str, verb: UnitVerb) -> HostResult<()> {
        units::run(&self.systemd, unit, verb, &self.accounts)
    }

    fn daemon_reload(&mut self) -> HostResult<()> {
        units::daemon_reload(&self.systemd)
    }

    fn set_restart_record(&mut self, unit: &str, record: &RestartRecord) -> HostResult<()> {
        self.records.set_restart(unit, record)
    }

    fn set_mark(&mut self, key: &str, digest: Digest) -> HostResult<()> {
        self.records.set_mark(key, digest)
    }

    fn set_user(&mut self, name: &str, request: &UserRequest) -> HostResult<()> {
        users::set_user(name, request, &self.accounts)
    }

    fn set_group(&mut self, name: &str, gid: Option<u32>, system: bool) -> HostResult<()> {
        users::set_group(name, gid, system, &self.accounts)
    }

    fn http_send(&mut self, request: &HttpRequest) -> HostResult<HttpAnswer> {
        http::send(request)
    }

    fn order_certificate(&mut self, order: &CertificateOrder) -> HostResult<()> {
        certificates::order(order, self.issuer.as_ref(), &self.files())
    }

    fn execute(&mut self, program: &Program) -> HostResult<ProgramOutput> {
        programs::run(program, &self.accounts)
    }

    fn pause(&mut self, span: Duration) {
        std::thread::sleep(span);
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
