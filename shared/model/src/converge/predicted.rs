//! The machine as it will be: what a plan looks at.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{self, hand_on};
use super::plan::PlanOutcome;
use super::prepare::Prepared;
use crate::digest::Digest;
use crate::host::{
    FileKind, FileState, Fingerprint, GroupState, HostError, HostResult, PackageState, Probe,
    ProbeOutcome, Program, ProgramOutput, ReadHost, RestartRecord, UnitState, UserState,
};
use crate::name::FormulaName;
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, ResourceId};
use crate::resources::package_list;
use crate::time::Timestamp;

/// When a change of this plan will happen: after everything that is.
const LATER: Timestamp = Timestamp(i64::MAX);

/// Overlays the effects of earlier changes on a machine. It cannot write: it has no way to.
///
/// What they leave unknowable answers [`HostError::NotYet`]:
/// - after a package that is to be installed, each user, group and unit that is not there yet, and
///   each guard that cannot be run. A *path* that is not there stays missing, so that a file is
///   planned as `create`: should the package bring it, `content` is what `create` allows anyway;
/// - a unit whose definition is yet to be written;
/// - the fingerprint of a resource that itself is not knowable yet;
/// - the text of a file that is yet to be written.
pub struct Predicted<'a> {
    prepared: &'a Prepared,
    host: &'a dyn ReadHost,
    /// Of the resource that is being planned.
    formula: Option<FormulaName>,
    paths: BTreeMap<AbsolutePath, (ResourceId, Path)>,
    /// Trees that are gone but for what `paths` puts back.
    removed: BTreeSet<AbsolutePath>,
    packages: BTreeMap<String, PackageState>,
    /// Packages to be installed or upgraded, in order.
    arriving: Vec<Arriving>,
    unit_files: BTreeMap<String, ResourceId>,
    units: BTreeMap<String, UnitState>,
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// What will change, or may.
    pending: BTreeMap<ResourceId, Pending>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    /// Everything about it is known.
    Known,
    /// It will not be what it is now, that is all: an account.
    Different,
    /// It runs a command, which may change anything.
    Command,
    /// It cannot be planned yet, or failed to be.
    Unknown,
}

struct Arriving {
    id: ResourceId,
    formula: Option<FormulaName>,
    /// Nothing of it is installed now.
    new: bool,
}

enum Path {
    Absent,
    There(FileState, Option<Digest>),
}

impl<'a> Predicted<'a> {
    #[must_use]
    pub fn new(prepared: &'a Prepared, host: &'a dyn ReadHost) -> Self {
        Self {
            prepared,
            host,
            formula: None,
            paths: BTreeMap::new(),
            removed: BTreeSet::new(),
            packages: BTreeMap::new(),
            arriving: Vec::new(),
            unit_files: BTreeMap::new(),
            units: BTreeMap::new(),
            users: BTreeSet::new(),
            groups: BTreeSet::new(),
            pending: BTreeMap::new(),
        }
    }

    /// What is planned next belongs to `formula`: of several arriving packages, its own are
    /// the likelier ones to bring what is missing.
    pub(super) fn enter(&mut self, formula: &FormulaName) {
        self.formula = Some(formula.clone());
    }

    /// Takes in what `id` will do.
    pub(super) fn learn(&mut self, id: &ResourceId, outcome: &PlanOutcome) {
        let pending = match outcome {
            PlanOutcome::InSync => return,
            PlanOutcome::After { .. } | PlanOutcome::Failed(_) => Pending::Unknown,
            PlanOutcome::Changes(changes) => {
                let mut effects = changes.iter().flat_map(|change| &change.effects);
                if effects.clone().any(|effect| *effect == Effect::Unknown) {
                    Pending::Command
                } else if effects.any(|e| matches!(e, Effect::User { .. } | Effect::Group { .. })) {
                    Pending::Different
                } else {
                    Pending::Known
                }
            }
        };
        self.pending.insert(id.clone(), pending);
        for change in outcome.changes() {
            for effect in &change.effects {
                self.overlay(id, change, effect, pending);
            }
        }
    }

    /// Whether `id` changes anything in this plan.
    pub(super) fn is_pending(&self, id: &ResourceId) -> bool {
        self.pending.contains_key(id)
    }

    /// Whether what requires `id` cannot be planned for certain.
    pub(super) fn blurs(&self, id: &ResourceId) -> bool {
        matches!(
            self.pending.get(id),
            Some(Pending::Command | Pending::Unknown)
        )
    }

    fn overlay(&mut self, id: &ResourceId, change: &Change, effect: &Effect, pending: Pending) {
        match effect {
            Effect::File {
                path,
                digest,
                mode,
                owner,
                group,
            } => {
                let state = there(FileKind::File, *mode, owner, group);
                self.put(id, path, Path::There(state, Some(*digest)));
            }
            Effect::Directory {
                path,
                mode,
                owner,
                group,
            } => {
                let state = there(FileKind::Directory, *mode, owner, group);
                self.put(id, path, Path::There(state, None));
            }
            Effect::Symlink { path, target } => {
                let kind = FileKind::Symlink {
                    target: target.clone(),
                };
                self.put(
                    id,
                    path,
                    Path::There(there(kind, 0o777, "root", "root"), None),
                );
            }
            Effect::Absent { path } => {
                self.paths.retain(|other, _| !is_within(other, path));
                self.removed.insert(path.clone());
                self.put(id, path, Path::Absent);
            }
            Effect::Package { name, version } => self.install(id, name, version.as_deref()),
            Effect::UnitFile { unit } => {
                self.unit_files.insert(unit.clone(), id.clone());
            }
            // What a service that cannot be planned will be like is just what nobody knows.
            Effect::Service { .. } if pending == Pending::Unknown => {}
            Effect::Service {
                unit,
                running,
                enabled,
            } => {
                self.turn(unit, *running, *enabled, &change.verb);
            }
            Effect::User { name } => {
                self.users.insert(name.clone());
            }
            Effect::Group { name } => {
                self.groups.insert(name.clone());
            }
            Effect::Unknown => {}
        }
    }

    fn put(&mut self, id: &ResourceId, path: &AbsolutePath, state: Path) {
        self.paths.insert(path.clone(), (id.clone(), state));
    }

    fn install(&mut self, id: &ResourceId, name: &str, version: Option<&str>) {
        let before = self.host.package(name).unwrap_or_default();
        self.arriving.push(Arriving {
            id: id.clone(),
            formula: self.formula.clone(),
            new: before.installed.is_none(),
        });
        let installed = Some(version.unwrap_or("the candidate").to_owned());
        self.packages.insert(
            name.to_owned(),
            PackageState {
                installed,
                ..before
            },
        );
        // Where a dependant looks for when it changed.
        if let Ok(list) = package_list(name) {
            let state = there(FileKind::File, 0o644, "root", "root");
            self.put(id, &list, Path::There(state, None));
        }
    }

    fn turn(&mut self, unit: &str, running: bool, enabled: bool, verb: &str) {
        let Ok(mut state) = self.unit(unit) else {
            return;
        };
        let is = |truth, yes: &str, no: &str| if truth { yes.to_owned() } else { no.to_owned() };
        state.load = is(verb == "mask", "masked", "loaded");
        state.active = is(running, "active", "inactive");
        state.sub = is(running, "running", "dead");
        if enabled != (state.enabled == "enabled") && matches!(verb, "enable" | "disable") {
            state.enabled = is(enabled, "enabled", "disabled");
        }
        if matches!(verb, "start" | "restart") {
            state.invocation = "to be started".to_owned();
            state.started_at = Some(LATER);
        }
        if verb == "daemon-reload" {
            state.need_daemon_reload = false;
        }
        self.units.insert(unit.to_owned(), state);
    }

    /// The package that may bring `name`, which is missing now: the one of that name, else the
    /// last of the same formula, else the last of all.
    fn bringer(&self, name: &str) -> Option<HostError> {
        let new = || self.arriving.iter().filter(|package| package.new);
        let of_name = new().find(|package| package.id.name() == name);
        let of_formula = || new().rfind(|package| package.formula == self.formula);
        let package = of_name.or_else(of_formula).or_else(|| new().next_back())?;
        Some(HostError::NotYet(package.id.clone()))
    }

    /// The last package of the formula being planned that will bring files.
    pub(super) fn arriving_here(&self) -> Option<&ResourceId> {
        let package = self
            .arriving
            .iter()
            .rfind(|package| package.formula == self.formula)?;
        Some(&package.id)
    }

    fn path(&self, path: &AbsolutePath) -> Option<&(ResourceId, Path)> {
        self.paths.get(path)
    }

    fn is_removed(&self, path: &AbsolutePath) -> bool {
        std::iter::successors(Some(path.clone()), AbsolutePath::parent)
            .any(|ancestor| self.removed.contains(&ancestor))
    }
}

fn there(kind: FileKind, mode: u32, owner: &str, group: &str) -> FileState {
    let (owner, group) = (owner.to_owned(), group.to_owned());
    FileState {
        kind,
        mode,
        owner,
        group,
        size: 0,
        changed_at: LATER,
    }
}

fn is_within(path: &AbsolutePath, tree: &AbsolutePath) -> bool {
    path.as_path().starts_with(tree.as_path())
}

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
            None if self.users.contains(name) => Ok(Some(to_be())),
            None => self.bringer(name).map_or(Ok(None), Err),
        }
    }

    fn group(&self, name: &str) -> HostResult<Option<GroupState>> {
        match self.host.group(name)? {
            Some(group) => Ok(Some(group)),
            // A user that is created brings a group of its name.
            None if self.groups.contains(name) || self.users.contains(name) => {
                Ok(Some(GroupState { gid: u32::MAX }))
            }
            None => self.bringer(name).map_or(Ok(None), Err),
        }
    }

    fn observe(&self, program: &Program) -> HostResult<ProgramOutput> {
        let name = program
            .argv
            .first()
            .map(|path| path.rsplit('/').next().unwrap_or(path));
        let bringer = || self.bringer(name.unwrap_or_default());
        self.host
            .observe(program)
            .map_err(|error| bringer().unwrap_or(error))
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
        blob(digest: &Digest) -> HostResult<Vec<u8>>;
    }
}
