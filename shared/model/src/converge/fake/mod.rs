//! A machine in memory, for tests: of the resources here, and of whatever applies catalogs.
//!
//! It is faithful where convergence is decided: content and ctimes, dpkg's half-way states,
//! systemd's view of a unit as against the unit's files, and what each process has really read
//! (see [`FakeHost::stale`]), which no plan gets to see. It can die at any step
//! ([`FakeHost::crash_at`]) and reboot ([`FakeHost::reboot`]).
//!
//! Test support: it panics where a test is wrong.

mod packages;
mod read;
mod scene;
mod systemd;
mod write;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::digest::Digest;
use crate::host::{
    CertificateState, FileKind, GroupState, HostError, HostResult, HttpAnswer, PackageState,
    Program, ProgramOutput, RestartRecord, UserState,
};
use crate::path::AbsolutePath;
use crate::time::Timestamp;

pub use packages::FakePackage;
pub use scene::{Scene, check_converges, check_settles, summary};
pub use systemd::FakeUnit;

/// What lies where.
pub type Files = BTreeMap<AbsolutePath, FakeFile>;

/// A program: what it does to files, and what it says.
pub type Behaviour = Arc<dyn Fn(&Program, &mut Files) -> ProgramOutput + Send + Sync>;

/// An HTTP server: what it does to files (its state lies there, too), and what it says; none where
/// nothing listens. It sees the time, for what takes some.
pub type Site =
    Arc<dyn Fn(&FakeRequest<'_>, &mut Files, Duration) -> Option<HttpAnswer> + Send + Sync>;

/// What a [`Site`] is asked.
#[derive(Debug, Clone, Copy)]
pub struct FakeRequest<'a> {
    /// `GET`, `POST` or `PATCH`.
    pub method: &'a str,
    pub url: &'a str,
    pub body: Option<&'a str>,
    /// `user:password`
    pub credentials: Option<&'a str>,
}

/// Something at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeFile {
    pub kind: FileKind,
    pub content: Vec<u8>,
    pub mode: u32,
    pub owner: String,
    pub group: String,
    pub changed_at: Timestamp,
}

/// The machine. Fields are public: a test may do by hand what an administrator would.
#[derive(Clone, Default)]
pub struct FakeHost {
    pub files: Files,
    pub installed: BTreeMap<String, PackageState>,
    /// What apt could install.
    pub repository: BTreeMap<String, FakePackage>,
    pub units: BTreeMap<String, FakeUnit>,
    pub users: BTreeMap<String, UserState>,
    pub groups: BTreeMap<String, GroupState>,
    pub records: BTreeMap<String, RestartRecord>,
    pub marks: BTreeMap<String, (Digest, Timestamp)>,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    pub programs: BTreeMap<String, Behaviour>,
    /// What answers HTTP.
    pub site: Option<Site>,
    /// The names that the server certifies.
    pub certified: Vec<String>,
    /// Certificates, by path.
    pub certificates: BTreeMap<AbsolutePath, CertificateState>,
    /// Probes, by address, URL, program or unit, that hold only from this time on; others hold.
    pub holds_from: BTreeMap<String, Duration>,
    /// Every step that changed something, in words.
    pub log: Vec<String>,
    /// How many programs looking has started.
    pub observed: Cell<usize>,
    /// Restarts and reloads of a process that had read everything as it was.
    pub needless: Vec<String>,
    /// Nanoseconds; every step takes a second.
    pub clock: i64,
    crash: Option<Crash>,
    steps: usize,
    dead: bool,
}

#[derive(Clone, Copy)]
struct Crash {
    step: usize,
    /// Whether the step still has its effect.
    late: bool,
}

impl FakeHost {
    #[must_use]
    pub fn new() -> Self {
        let mut host = Self {
            clock: 1_000_000_000_000,
            ..Self::default()
        };
        host.groups.insert("root".to_owned(), GroupState { gid: 0 });
        host.users.insert("root".to_owned(), fake_user(0, "root"));
        for path in ["/etc/passwd", "/etc/group"] {
            host.put(path, "");
        }
        host
    }

    /// Dies at the `step`-th step from now, counted from 1: before it has an effect, or, `late`,
    /// after it had but before anyone learns. From then on every step fails.
    pub fn crash_at(&mut self, step: usize, late: bool) {
        self.crash = Some(Crash { step, late });
        self.steps = 0;
    }

    /// Whether it died since; from now on it lives.
    pub fn revive(&mut self) -> bool {
        self.crash = None;
        std::mem::take(&mut self.dead)
    }

    /// Puts a file there, as an administrator would.
    pub fn put(&mut self, path: &str, content: &str) {
        self.tick();
        let changed_at = self.present();
        self.files.insert(
            fake_path(path),
            FakeFile::new(content.as_bytes(), changed_at),
        );
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        let file = self.files.get(&fake_path(path))?;
        Some(String::from_utf8_lossy(&file.content).into_owned())
    }

    /// Teaches it a program.
    pub fn program(
        &mut self,
        name: &str,
        behaviour: impl Fn(&Program, &mut Files) -> ProgramOutput + Send + Sync + 'static,
    ) {
        self.programs.insert(name.to_owned(), Arc::new(behaviour));
    }

    /// Teaches it to answer HTTP.
    pub fn serve(
        &mut self,
        site: impl Fn(&FakeRequest<'_>, &mut Files, Duration) -> Option<HttpAnswer>
        + Send
        + Sync
        + 'static,
    ) {
        self.site = Some(Arc::new(site));
    }

    #[must_use]
    pub fn present(&self) -> Timestamp {
        Timestamp(self.clock)
    }

    fn tick(&mut self) {
        self.clock += 1_000_000_000;
    }

    /// One step that changes something: the unit in which the machine can die.
    fn step<T>(
        &mut self,
        words: String,
        effect: impl FnOnce(&mut Self) -> HostResult<T>,
    ) -> HostResult<T> {
        let crashed = || Err(HostError::failed(words.clone(), "the machine crashed"));
        self.steps += 1;
        let crash = self.crash.filter(|crash| crash.step == self.steps);
        if self.dead || crash.is_some_and(|crash| !crash.late) {
            self.dead = true;
            return crashed();
        }
        self.tick();
        let outcome = effect(self);
        self.log.push(words.clone());
        if crash.is_some() {
            self.dead = true;
            return crashed();
        }
        outcome
    }

    fn run(&mut self, program: &Program) -> HostResult<ProgramOutput> {
        let name = program.argv.first().cloned().unwrap_or_default();
        let Some(behaviour) = self.programs.get(&name).cloned() else {
            return Err(HostError::failed(
                format!("run {name}"),
                "there is no such program",
            ));
        };
        let before = self.files.clone();
        let output = behaviour(program, &mut self.files);
        let now = self.present();
        for (path, file) in &mut self.files {
            if before.get(path) != Some(file) {
                file.changed_at = now;
            }
        }
        Ok(output)
    }

    fn request(&mut self, request: &FakeRequest<'_>) -> HostResult<HttpAnswer> {
        let now = self.since_start();
        let site = self.site.clone();
        let answer = site.and_then(|site| site(request, &mut self.files, now));
        let url = request.url;
        answer.ok_or_else(|| HostError::failed(format!("ask {url}"), "nothing listens there"))
    }

    fn numbers(&self) -> BTreeSet<u32> {
        let users = self.users.values().map(|user| user.uid);
        users
            .chain(self.groups.values().map(|group| group.gid))
            .collect()
    }
}

impl FakeFile {
    #[must_use]
    pub fn new(content: &[u8], changed_at: Timestamp) -> Self {
        Self {
            kind: FileKind::File,
            content: content.to_vec(),
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            changed_at,
        }
    }
}

/// An exit code and nothing said.
#[must_use]
pub fn exit(code: i32) -> ProgramOutput {
    ProgramOutput {
        code,
        stdout: String::new(),
        stderr: String::new(),
    }
}

/// A path that the test knows to be one.
///
/// # Panics
/// It is not.
#[must_use]
pub fn fake_path(path: &str) -> AbsolutePath {
    path.parse().expect("tests name absolute paths")
}

fn fake_user(uid: u32, group: &str) -> UserState {
    UserState {
        uid,
        group: group.to_owned(),
        home: "/".to_owned(),
        shell: "/bin/sh".to_owned(),
        comment: String::new(),
        groups: Vec::new(),
    }
}
