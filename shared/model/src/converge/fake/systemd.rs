//! systemd, as far as a service can tell.

use std::collections::BTreeMap;

use super::{FakeFile, FakeHost, fake_path};
use crate::digest::Digest;
use crate::host::{FileKind, HostError, HostResult, UnitState, UnitVerb};
use crate::path::AbsolutePath;
use crate::time::Timestamp;

/// A unit: what the manager has read of it, and its process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FakeUnit {
    pub enabled: bool,
    pub can_reload: bool,
    /// What the process reads at its start, and whether only then (`true`) or also on reload.
    pub reads: Vec<(AbsolutePath, bool)>,
    pub process: Option<Process>,
    /// The definition as of the last daemon-reload or start.
    loaded: Option<Definition>,
}

/// A running main process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub invocation: String,
    pub started_at: Timestamp,
    /// Its start, or its last reload.
    pub changed_at: Timestamp,
    /// What it has really read.
    pub has_read: BTreeMap<AbsolutePath, Option<Digest>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Definition {
    Masked,
    /// Digest and time of all its files.
    Loaded(Digest, Timestamp),
}

impl FakeHost {
    /// Says what the process of a unit reads; `at_start_only` as against on reload, too.
    pub fn reads(&mut self, unit: &str, path: &str, at_start_only: bool) {
        self.unit_mut(unit)
            .reads
            .push((fake_path(path), at_start_only));
    }

    /// What running processes have not read as it is now: the truth that a converged machine
    /// must not have any of.
    #[must_use]
    pub fn stale(&self) -> Vec<String> {
        let units = self
            .units
            .iter()
            .filter_map(|(name, unit)| Some((name, unit, unit.process.as_ref()?)));
        units
            .flat_map(|(name, unit, process)| {
                let stale = |(path, _): &&(AbsolutePath, bool)| {
                    process.has_read.get(path) != Some(&self.content_digest(path))
                };
                unit.reads
                    .iter()
                    .filter(stale)
                    .map(move |(path, _)| format!("{name}: {path}"))
            })
            .collect()
    }

    /// All processes end; what is enabled starts anew.
    pub fn reboot(&mut self) {
        self.clock += 60_000_000_000;
        let names: Vec<String> = self.units.keys().cloned().collect();
        for name in names {
            let unit = self.unit_mut(&name);
            unit.process = None;
            unit.loaded = None;
            if unit.enabled && matches!(self.definition(&name), Some(Definition::Loaded(..))) {
                self.start(&name);
            }
        }
    }

    /// Restarts a unit behind Brine's back.
    pub fn restart_by_hand(&mut self, unit: &str) {
        self.tick();
        self.start(unit);
    }

    pub(super) fn unit_mut(&mut self, name: &str) -> &mut FakeUnit {
        self.units.entry(name.to_owned()).or_default()
    }

    pub(super) fn unit_state(&self, name: &str) -> UnitState {
        let none = FakeUnit::default();
        let unit = self.units.get(name).unwrap_or(&none);
        let on_disk = self.definition(name);
        let Some(seen) = unit.loaded.or(on_disk) else {
            return UnitState {
                load: "not-found".to_owned(),
                ..UnitState::default()
            };
        };
        let masked = seen == Definition::Masked;
        let word = |truth, yes: &str, no: &str| if truth { yes.to_owned() } else { no.to_owned() };
        UnitState {
            load: word(masked, "masked", "loaded"),
            active: word(unit.process.is_some(), "active", "inactive"),
            sub: word(unit.process.is_some(), "running", "dead"),
            enabled: word(masked, "masked", &word(unit.enabled, "enabled", "disabled")),
            invocation: unit
                .process
                .as_ref()
                .map(|p| p.invocation.clone())
                .unwrap_or_default(),
            started_at: unit.process.as_ref().map(|process| process.started_at),
            state_changed_at: unit.process.as_ref().map(|process| process.changed_at),
            need_daemon_reload: Some(seen) != on_disk,
            can_reload: unit.can_reload,
        }
    }

    pub(super) fn verb(&mut self, name: &str, verb: UnitVerb) -> HostResult<()> {
        let refuse = |why: &str| Err(HostError::failed(format!("{verb:?} {name}"), why));
        let state = self.unit_state(name);
        if state.load == "not-found" {
            return refuse("there is no such unit");
        }
        let starts = matches!(verb, UnitVerb::Start | UnitVerb::Restart | UnitVerb::Reload);
        if starts && state.load == "masked" {
            return refuse("the unit is masked");
        }
        let mask = fake_path(&format!("/etc/systemd/system/{name}"));
        match verb {
            UnitVerb::Start if state.is_active() => {}
            UnitVerb::Start => self.start(name),
            UnitVerb::Stop => self.unit_mut(name).process = None,
            UnitVerb::Restart => {
                self.judge(name, verb);
                self.start(name);
            }
            UnitVerb::Reload if !state.is_active() => return refuse("it does not run"),
            UnitVerb::Reload => {
                self.judge(name, verb);
                let now = self.present();
                if let Some(process) = &mut self.unit_mut(name).process {
                    process.changed_at = now;
                }
                self.read_again(name, false);
            }
            UnitVerb::Enable | UnitVerb::Disable if state.load == "masked" => {
                return refuse("the unit is masked");
            }
            UnitVerb::Enable => self.unit_mut(name).enabled = true,
            UnitVerb::Disable => self.unit_mut(name).enabled = false,
            UnitVerb::Mask
                if self
                    .files
                    .get(&mask)
                    .is_some_and(|f| f.kind == FileKind::File) =>
            {
                return refuse("its file is in the way");
            }
            UnitVerb::Mask => self.mask(name),
            UnitVerb::Unmask => {
                if self.definition(name) == Some(Definition::Masked) {
                    self.files.remove(&mask);
                }
                self.load_all();
            }
        }
        Ok(())
    }

    pub(super) fn mask(&mut self, name: &str) {
        let path = fake_path(&format!("/etc/systemd/system/{name}"));
        let kind = FileKind::Symlink {
            target: "/dev/null".to_owned(),
        };
        let link = FakeFile {
            kind,
            ..FakeFile::new(b"", self.present())
        };
        self.files.insert(path, link);
        self.load_all();
    }

    /// daemon-reload.
    pub(super) fn load_all(&mut self) {
        let names: Vec<String> = self.units.keys().cloned().collect();
        for name in names {
            let definition = self.definition(&name);
            self.unit_mut(&name).loaded = definition;
        }
    }

    /// Starts a process, in place of the one there may be.
    pub(super) fn start(&mut self, name: &str) {
        let on_disk = self.definition(name);
        let process = Process {
            invocation: format!("{name}@{}", self.clock),
            started_at: self.present(),
            changed_at: self.present(),
            has_read: BTreeMap::new(),
        };
        let unit = self.unit_mut(name);
        unit.loaded = unit.loaded.or(on_disk);
        unit.process = Some(process);
        self.read_again(name, true);
    }

    fn read_again(&mut self, name: &str, at_start: bool) {
        let reads = self.unit_mut(name).reads.clone();
        for (path, at_start_only) in reads {
            let digest = self.content_digest(&path);
            if let Some(process) = &mut self.unit_mut(name).process
                && (at_start || !at_start_only)
            {
                process.has_read.insert(path, digest);
            }
        }
    }

    /// Was this restart or reload of any use?
    fn judge(&mut self, name: &str, verb: UnitVerb) {
        let Some(unit) = self.units.get(name) else {
            return;
        };
        let Some(process) = &unit.process else { return };
        let mut stale = unit.reads.iter().filter(|(path, at_start_only)| {
            let reload_does = unit.can_reload && !at_start_only;
            process.has_read.get(path) != Some(&self.content_digest(path))
                && (verb == UnitVerb::Reload || !reload_does)
        });
        if stale.next().is_none() {
            self.needless
                .push(format!("{verb:?} {name} at step {}", self.log.len()));
        }
    }

    fn content_digest(&self, path: &AbsolutePath) -> Option<Digest> {
        let file = self.files.get(path)?;
        Some(match &file.kind {
            FileKind::Symlink { target } => Digest::of(target.as_bytes()),
            _ => Digest::of(&file.content),
        })
    }

    fn definition(&self, name: &str) -> Option<Definition> {
        let at = |folder: &str| fake_path(&format!("{folder}/{name}"));
        let fragment = self
            .files
            .get(&at("/etc/systemd/system"))
            .or_else(|| self.files.get(&at("/usr/lib/systemd/system")))?;
        if matches!(&fragment.kind, FileKind::Symlink { target } if target == "/dev/null") {
            return Some(Definition::Masked);
        }
        let folder = fake_path(&format!("/etc/systemd/system/{name}.d"));
        let drop_ins = self
            .files
            .iter()
            .filter(|(path, _)| path.parent().as_ref() == Some(&folder));
        let files: Vec<&FakeFile> = std::iter::once(fragment)
            .chain(drop_ins.map(|(_, file)| file))
            .collect();
        let digest = Digest::of_parts(files.iter().map(|file| file.content.as_slice()));
        let changed = files.iter().map(|file| file.changed_at).max()?;
        Some(Definition::Loaded(digest, changed))
    }
}
