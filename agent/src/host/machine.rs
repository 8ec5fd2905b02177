//! The machine as collectors of the inventory look at it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use brine_model::catalog::{Catalog, Entry};
use brine_model::drift::Ledger;
use brine_model::inventory::{Certificate, Kind, Machine, Unit};
use brine_model::live::LiveFacts;
use brine_transport::workload;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use zbus::zvariant::OwnedObjectPath;

use super::RealHost;
use super::systemd::Systemd;
use crate::state::applied::Applied;
use crate::state::ledger;

/// The most that is read of a file.
const MOST: u64 = 64 << 20;

/// This machine, below a root; one for each thread that looks.
pub(crate) struct ThisMachine {
    root: PathBuf,
    state: PathBuf,
    systemd: Systemd,
}

/// A line of systemd's ListUnits: name, description, load, active and sub state, and what follows
/// from its jobs.
type Listed = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

impl ThisMachine {
    /// `state`: the agent's own directory.
    pub(crate) fn new(root: &Path, state: &Path) -> Self {
        Self {
            root: root.to_owned(),
            state: state.to_owned(),
            systemd: Systemd::new(root),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Machine for ThisMachine {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| format!("cannot read {path}: {error}");
        // Whoever owns a home directory decides what lies there: a pipe would be waited for, and a
        // device (a watchdog, say) is touched by opening it alone. So it is looked at first.
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let place = open(&self.path(path), flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        let place = File::from(place);
        if !place.metadata().map_err(failed)?.is_file() {
            return Err(format!("{path} is not a file"));
        }
        let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd())).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn list(&self, path: &str) -> Vec<(String, Kind)> {
        let entries = std::fs::read_dir(self.path(path)).into_iter().flatten();
        let mut found: Vec<(String, Kind)> = entries
            .flatten()
            .filter_map(|entry| {
                let kind = match entry.file_type() {
                    Ok(kind) if kind.is_file() => Kind::File,
                    Ok(kind) if kind.is_dir() => Kind::Directory,
                    _ => Kind::Other,
                };
                Some((entry.file_name().into_string().ok()?, kind))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.path(path)).ok()?;
        target.into_os_string().into_string().ok()
    }

    fn units(&self) -> Result<Vec<Unit>, String> {
        if !self.systemd.is_there() {
            return Err("there is no systemd".to_owned());
        }
        let failed = |error: super::systemd::CallError| format!("systemd: {}", error.message);
        let loaded: Vec<Listed> = self.systemd.call("ListUnits", &()).map_err(failed)?;
        let files: Vec<(String, String)> =
            self.systemd.call("ListUnitFiles", &()).map_err(failed)?;
        let mut units: BTreeMap<String, Unit> = BTreeMap::new();
        for (name, description, load, active, sub, ..) in loaded {
            // What others only ask for, and is not there.
            if load == "not-found" {
                continue;
            }
            let unit = Unit {
                name: name.clone(),
                active,
                sub,
                enabled: None,
                description,
            };
            units.insert(name, unit);
        }
        for (path, state) in files {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let unit = units.entry(name.clone()).or_insert_with(|| Unit {
                name,
                active: "inactive".to_owned(),
                sub: "dead".to_owned(),
                ..Unit::default()
            });
            unit.enabled = Some(state);
        }
        Ok(units.into_values().collect())
    }

    fn certificates(&self, pem: &[u8]) -> Vec<Certificate> {
        workload::certificates(pem)
    }

    fn applied(&self) -> Result<Option<Catalog>, String> {
        let applied = Applied::new(&self.state);
        applied.catalog().map_err(|error| error.to_string())
    }

    fn live(&self, sources: &[Entry]) -> LiveFacts {
        LiveFacts::ask(sources, &RealHost::rooted(&self.root, &self.state))
    }

    fn drift(&self) -> Result<Ledger, String> {
        ledger::read(&self.state).map_err(|error| error.to_string())
    }

    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        digest(&SHA256, bytes)
            .as_ref()
            .try_into()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use brine_model::inventory::TABLES;

    use super::*;

    #[test]
    fn this_machine_has_users_mounts_and_the_like() {
        let machine = ThisMachine::new(Path::new("/"), Path::new("/nowhere"));
        for name in ["users", "groups", "mounts", "listening"] {
            let table = TABLES.iter().find(|table| table.name == name).unwrap();
            let section = table.section(&machine).unwrap();
            assert!(section.checked().is_some(), "{name}: {section:?}");
            assert!(name == "listening" || !section.rows.is_empty(), "{name}");
        }
        let abc = machine.sha256(b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert!(machine.read("/dev/zero").is_err());
        assert!(machine.read("/nowhere").is_err());
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR).unwrap();
        // Nobody will ever write to it.
        let refused = machine.read(pipe.to_str().unwrap());
        assert!(refused.unwrap_err().ends_with("is not a file"));
    }
}
