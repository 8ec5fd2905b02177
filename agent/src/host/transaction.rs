//! Package transactions, from the unit's side: what `brine-agent package-transaction` does.
//!
//! 1. Wait for the locks, telling who holds them; finish a dpkg that was interrupted.
//! 2. `apt-get update`, where lists are missing, a package has no candidate or a download fails;
//!    once.
//! 3. Download everything, and only then install; then set the holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use brine_model::digest::Digest;
use brine_model::host::{HostError, HostResult, PackageRequest, Program};
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::dpkg::Dpkg;
use super::{locks, packages, programs};
use crate::state::atomic;

const LOCKS: Duration = Duration::from_secs(15 * 60);
const UPDATE: Duration = Duration::from_secs(10 * 60);
const DOWNLOAD: Duration = Duration::from_secs(45 * 60);
const INSTALL: Duration = Duration::from_secs(60 * 60);
const SHORT: Duration = Duration::from_secs(60);

/// How much of apt's output goes into an error, in lines: the end, where the reason is.
const LINES: usize = 40;

/// Nobody is there to answer, old configuration files stay, and nothing but what is asked for is
/// restarted.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("NEEDRESTART_SUSPEND", "1"),
    ("UCF_FORCE_CONFFOLD", "1"),
    ("LC_ALL", "C.UTF-8"),
];

/// For every `apt-get`. Brine never removes what it was not told to: an installation that takes a
/// removal fails and says so.
const OPTIONS: &[&str] = &[
    "--yes",
    "--quiet",
    "--no-remove",
    "--option=Dpkg::Options::=--force-confold",
    "--option=DPkg::Lock::Timeout=300",
    "--option=Dpkg::Use-Pty=0",
    "--option=Acquire::Retries=2",
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: Digest,
    pub(super) packages: Vec<PackageRequest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Result {
    pub(super) id: Digest,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Done,
    Failed(HostError),
}

/// The directory in which request, result and output lie.
pub struct Transaction {
    directory: PathBuf,
}

impl Transaction {
    pub(super) fn new(state: &Path) -> Self {
        Self {
            directory: state.join("transaction"),
        }
    }

    /// Carries out the request in `directory` and leaves the result there. Never fails for what
    /// apt says: that is the result.
    ///
    /// # Errors
    /// The request cannot be read, or the result not be written.
    pub fn execute(directory: &Path) -> HostResult<()> {
        let transaction = Self {
            directory: directory.to_owned(),
        };
        let request: Request = transaction
            .read("request")?
            .ok_or_else(|| HostError::failed("read the package request", "there is none"))?;
        let steps = Steps {
            root: Path::new("/"),
            accounts: Accounts::new(Path::new("/")),
            log: transaction.directory.join("output"),
        };
        let outcome = match steps.run(&request.packages) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        };
        transaction.write(
            "result",
            &Result {
                id: request.id,
                outcome,
            },
        )
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn write_request(&self, request: &Request) -> HostResult<()> {
        atomic::directory(&self.directory)
            .and_then(|()| atomic::remove(&self.directory.join("result")))
            .map_err(|error| HostError::failed("prepare a package transaction", error))?;
        self.write("request", request)
    }

    /// Whether it was written down.
    pub(super) fn is_begun(&self) -> bool {
        self.directory.join("request").exists()
    }

    pub(super) fn result(&self) -> HostResult<Option<Result>> {
        self.read("result")
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> HostResult<Option<T>> {
        let path = self.directory.join(name);
        let failed = |cause: String| HostError::failed(format!("read {}", path.display()), cause);
        match atomic::read(&path).map_err(|error| failed(error.to_string()))? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| failed(error.to_string())),
            None => Ok(None),
        }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> HostResult<()> {
        let path = self.directory.join(name);
        let failed = |cause: String| HostError::failed(format!("write {}", path.display()), cause);
        let bytes = serde_json::to_vec(value).map_err(|error| failed(error.to_string()))?;
        atomic::write(&path, &bytes).map_err(|error| failed(error.to_string()))
    }
}

struct Steps<'a> {
    root: &'a Path,
    accounts: Accounts,
    log: PathBuf,
}

impl Steps<'_> {
    fn run(&self, requests: &[PackageRequest]) -> HostResult<()> {
        let _ = atomic::remove(&self.log);
        locks::wait(self.root, LOCKS)?;
        // apt repairs what this cannot (a dependency that is missing), and says why if not.
        let unfinished = self.finish_interrupted().err();
        self.hold(requests, false)?;
        self.install(requests)
            .map_err(|error| unfinished.unwrap_or(error))?;
        self.hold(requests, true)
    }

    fn finish_interrupted(&self) -> HostResult<()> {
        if !Dpkg::new(self.root).is_interrupted()? {
            return Ok(());
        }
        let argv = ["dpkg", "--force-confold", "--configure", "--pending"];
        self.demand("finish what dpkg was interrupted at", &argv, INSTALL)
    }

    fn install(&self, requests: &[PackageRequest]) -> HostResult<()> {
        let wanted: Vec<&PackageRequest> =
            requests.iter().filter(|request| request.install).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let arguments = self.arguments(&wanted)?;
        let names: Vec<&str> = wanted.iter().map(|request| request.name.as_str()).collect();
        let names = names.join(", ");
        let apt = |more: &[&'static str]| -> Vec<String> {
            let options = OPTIONS.iter().chain(more).map(|&option| option.to_owned());
            std::iter::once("apt-get".to_owned())
                .chain(options)
                .collect()
        };
        let fresh = self.needs_update(&wanted)?;
        if fresh {
            self.update(&apt(&["update"]))?;
        }
        let mut download = apt(&["--download-only", "install"]);
        download.extend(arguments.iter().cloned());
        let fetching = format!("download {names}");
        if let Err(error) = self.demand(&fetching, &texts(&download), DOWNLOAD) {
            if fresh {
                return Err(error);
            }
            // The lists may be older than the mirror.
            self.update(&apt(&["update"]))?;
            self.demand(&fetching, &texts(&download), DOWNLOAD)?;
        }
        let mut install = apt(&["--fix-broken", "install"]);
        install.extend(arguments);
        self.demand(&format!("install {names}"), &texts(&install), INSTALL)
    }

    fn update(&self, argv: &[String]) -> HostResult<()> {
        locks::wait(self.root, LOCKS)?;
        self.demand("fetch the lists of packages", &texts(argv), UPDATE)
    }

    fn needs_update(&self, wanted: &[&PackageRequest]) -> HostResult<bool> {
        if !has_lists(self.root) {
            return Ok(true);
        }
        let names: Vec<&str> = wanted.iter().map(|request| request.name.as_str()).collect();
        let candidates = packages::ask(&names, &self.accounts)?;
        Ok(names
            .iter()
            .any(|&name| candidates.get(name).is_none_or(Option::is_none)))
    }

    /// Options that depend on what is asked for, then the packages.
    fn arguments(&self, wanted: &[&PackageRequest]) -> HostResult<Vec<String>> {
        let dpkg = Dpkg::new(self.root);
        let mut arguments = Vec::new();
        if wanted.iter().any(|request| request.version.is_some()) {
            arguments.push("--allow-downgrades".to_owned());
        }
        for request in wanted {
            if dpkg.package(&request.name)?.held {
                arguments.push("--allow-change-held-packages".to_owned());
                break;
            }
        }
        arguments.push("--".to_owned());
        arguments.extend(wanted.iter().map(|request| match &request.version {
            Some(version) => format!("{}={version}", request.name),
            None => request.name.clone(),
        }));
        Ok(arguments)
    }

    fn hold(&self, requests: &[PackageRequest], hold: bool) -> HostResult<()> {
        let names = requests.iter().filter(|request| request.hold == Some(hold));
        let names: Vec<&str> = names.map(|request| request.name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut argv = vec!["apt-mark", if hold { "hold" } else { "unhold" }];
        argv.extend(names);
        self.demand("set the holds of packages", &argv, SHORT)
    }

    /// `what` is for messages; the whole command line is in the log.
    fn demand(&self, what: &str, argv: &[&str], limit: Duration) -> HostResult<()> {
        let mut program: Program = programs::program(argv, limit);
        for (name, value) in ENVIRONMENT {
            program
                .environment
                .insert((*name).to_owned(), (*value).to_owned());
        }
        tracing::info!(command = argv.join(" "), "running");
        let output = programs::run(&program, &self.accounts)?;
        self.keep(argv, &output.stdout, &output.stderr);
        if output.code == 0 {
            return Ok(());
        }
        Err(HostError::Program {
            operation: what.to_owned(),
            status: format!("{} says {}", argv.first().unwrap_or(&""), output.code),
            output: last_lines(&format!("{}{}", output.stdout, output.stderr)),
        })
    }

    /// For people who want to see more than an error's end. Bounded, as each output is.
    fn keep(&self, argv: &[&str], stdout: &str, stderr: &str) {
        let before = atomic::read(&self.log).ok().flatten().unwrap_or_default();
        let mut text = before;
        text.extend(format!("$ {}\n{stdout}{stderr}", argv.join(" ")).into_bytes());
        if let Err(error) = atomic::write(&self.log, &text) {
            tracing::warn!(%error, "cannot keep apt's output");
        }
    }
}

fn texts(argv: &[String]) -> Vec<&str> {
    argv.iter().map(String::as_str).collect()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Whether apt has ever fetched lists of packages here.
fn has_lists(root: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(root.join("var/lib/apt/lists")) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_result_survive_the_way() {
        let state = tempfile::tempdir().unwrap();
        let transaction = Transaction::new(state.path());
        let request = Request {
            id: Digest::of(b"1"),
            packages: Vec::new(),
        };
        transaction.write_request(&request).unwrap();
        assert_eq!(transaction.read("request"), Ok(Some(request.clone())));
        assert_eq!(transaction.result(), Ok(None));
        let outcome = Outcome::Failed(HostError::failed("a", "b"));
        let result = Result {
            id: request.id,
            outcome,
        };
        transaction.write("result", &result).unwrap();
        assert_eq!(transaction.result(), Ok(Some(result)));
        transaction.write_request(&request).unwrap();
        assert_eq!(
            transaction.result(),
            Ok(None),
            "an old result must not count"
        );
    }

    #[test]
    fn versions_and_holds_become_arguments() {
        let root = tempfile::tempdir().unwrap();
        let held = "Package: b\nStatus: hold ok installed\nVersion: 1\nArchitecture: all\n";
        std::fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
        std::fs::write(root.path().join("var/lib/dpkg/status"), held).unwrap();
        let steps = Steps {
            root: root.path(),
            accounts: Accounts::new(root.path()),
            log: root.path().join("log"),
        };
        let request = |name: &str, version: Option<&str>| PackageRequest {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            hold: None,
            install: true,
            keep_stopped: Vec::new(),
        };
        let (a, b) = (request("a", None), request("b", Some("2")));
        assert_eq!(steps.arguments(&[&a]).unwrap(), ["--", "a"]);
        assert_eq!(
            steps.arguments(&[&a, &b]).unwrap(),
            [
                "--allow-downgrades",
                "--allow-change-held-packages",
                "--",
                "a",
                "b=2"
            ]
        );
        assert!(!has_lists(root.path()));
    }

    #[test]
    fn the_end_of_the_output_is_kept() {
        let long: String = (0..100).map(|line| format!("{line}\n")).collect();
        let kept = last_lines(&long);
        assert!(kept.starts_with("60\n") && kept.ends_with("99"));
    }
}
