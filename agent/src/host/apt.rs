//! Package transactions, from the agent's side.
//!
//! apt runs in a transient unit of its own, so that neither the agent's death nor its upgrade cuts
//! dpkg in half. What the unit runs is this program's `package-transaction` (see `transaction`):
//! the request goes there in a file and the result comes back in one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brine_model::digest::Digest;
use brine_model::host::{HostError, HostResult, PackageRequest};
use brine_model::path::AbsolutePath;
use zbus::zvariant::Value;

use super::packages::{is_name, is_version};
use super::systemd::Systemd;
use super::transaction::{Outcome, Request, Result as Ended, Transaction};
use super::units;
use super::write::Files;

/// The transient unit.
pub(super) const UNIT: &str = "brine-apt.service";

/// The hidden verb of this program that the unit runs.
pub const VERB: &str = "package-transaction";

/// Longer than all the steps of a transaction together may take.
const LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

const TICK: Duration = Duration::from_millis(300);

/// systemd cannot be asked while it re-executes itself, which its own upgrade makes it do.
const SILENCE: Duration = Duration::from_secs(90);

pub(super) struct Apt<'a> {
    pub(super) systemd: &'a Systemd,
    pub(super) files: Files<'a>,
    pub(super) state: &'a Path,
}

impl Apt<'_> {
    pub(super) fn run(&self, packages: &[PackageRequest]) -> HostResult<()> {
        check(packages)?;
        self.wait_for_running()?;
        self.keep_stopped(packages)?;
        let transaction = Transaction::new(self.state);
        let request = Request {
            id: fresh_id(packages),
            packages: packages.to_vec(),
        };
        transaction.write_request(&request)?;
        self.start(&transaction)?;
        match transaction.result()? {
            Some(Ended { id, outcome }) if id == request.id => match outcome {
                Outcome::Done => Ok(()),
                Outcome::Failed(error) => Err(error),
            },
            _ => Err(HostError::failed(
                "install packages",
                format!("{UNIT} ended without a result; see `journalctl --unit={UNIT}`"),
            )),
        }
    }

    /// Waits for a transaction that an earlier life of this agent has begun.
    pub(super) fn wait_for_running(&self) -> HostResult<()> {
        let start = Instant::now();
        let mut answered = Instant::now();
        let mut told = false;
        loop {
            match units::state(self.systemd, UNIT) {
                Ok(state) => {
                    answered = Instant::now();
                    let running =
                        matches!(&*state.active, "active" | "activating" | "deactivating");
                    if !running {
                        return Ok(());
                    }
                }
                Err(error) if answered.elapsed() >= SILENCE => return Err(error),
                // Nothing was ever begun here: systemd is simply not there.
                Err(error) if !told && start.elapsed() >= TICK * 4 => return Err(error),
                Err(_) => {}
            }
            if start.elapsed() >= LIMIT {
                let operation = format!("wait for {UNIT}");
                let cause = format!("it still runs after {} s", LIMIT.as_secs());
                return Err(HostError::failed(operation, cause));
            }
            if !told {
                tracing::info!(unit = UNIT, "waiting for a package transaction");
            }
            told = true;
            std::thread::sleep(TICK);
        }
    }

    /// Masks what must not start by itself. It stays masked, across a crash too, until the
    /// `service` resource takes over.
    fn keep_stopped(&self, packages: &[PackageRequest]) -> HostResult<()> {
        let mut masked = false;
        let units = packages.iter().filter(|package| package.install);
        for unit in units.flat_map(|package| &package.keep_stopped) {
            let path = format!("/etc/systemd/system/{}", units::full_name(unit));
            let path = AbsolutePath::try_from(path)
                .map_err(|error| HostError::failed(format!("mask {unit}"), error))?;
            if super::look::stat(self.files.root, &path, self.files.accounts)?.is_none() {
                self.files.make_symlink(&path, "/dev/null")?;
                masked = true;
            }
        }
        if masked {
            units::daemon_reload(self.systemd)
        } else {
            Ok(())
        }
    }

    fn start(&self, transaction: &Transaction) -> HostResult<()> {
        let operation = format!("start {UNIT}");
        let program = own_program().map_err(|error| HostError::failed(&operation, error))?;
        let program = program.to_string_lossy().into_owned();
        let argv = vec![
            program.clone(),
            VERB.to_owned(),
            transaction.directory().to_string_lossy().into_owned(),
        ];
        let properties: Vec<(&str, Value<'_>)> = vec![
            ("Description", Value::from("Brine: install packages")),
            ("Type", Value::from("oneshot")),
            ("ExecStart", Value::from(vec![(program, argv, false)])),
            // A failed one must not be in the way of the next.
            ("CollectMode", Value::from("inactive-or-failed")),
        ];
        let auxiliary: Vec<(&str, Vec<(&str, Value<'_>)>)> = Vec::new();
        let body = (UNIT, "fail", properties, auxiliary);
        match self.systemd.job("StartTransientUnit", &body, LIMIT) {
            // Whether it did well is in its result.
            Ok(_) => Ok(()),
            // The connection broke: apt may well have upgraded systemd itself.
            Err(error) if error.name.is_empty() && transaction.is_begun() => {
                tracing::debug!(error = error.message, "lost systemd during a transaction");
                self.wait_for_running()
            }
            Err(error) => Err(error.into_host(operation)),
        }
    }
}

/// No package's name or version is ever an option of apt's.
fn check(packages: &[PackageRequest]) -> HostResult<()> {
    for package in packages {
        let name = &package.name;
        if !is_name(name) {
            return Err(HostError::failed(
                format!("install `{name}`"),
                "not a package's name",
            ));
        }
        if let Some(version) = package
            .version
            .as_ref()
            .filter(|version| !is_version(version))
        {
            let operation = format!("install {name} `{version}`");
            return Err(HostError::failed(operation, "not a package's version"));
        }
    }
    Ok(())
}

/// Tells this transaction's result from an older one's.
fn fresh_id(packages: &[PackageRequest]) -> Digest {
    let now = format!("{:?}", std::time::SystemTime::now());
    let all = format!("{packages:?}");
    Digest::of_parts([now.as_bytes(), all.as_bytes()])
}

/// Where an upgrade has replaced it, the new one at the same path.
fn own_program() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_not_packages() {
        let request = |name: &str, version: Option<&str>| PackageRequest {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            hold: None,
            install: true,
            keep_stopped: Vec::new(),
        };
        assert_eq!(check(&[request("haproxy", Some("2.6.12-1"))]), Ok(()));
        assert!(check(&[request("-oDebug=1", None)]).is_err());
        assert!(check(&[request("haproxy", Some("-o"))]).is_err());
    }
}
