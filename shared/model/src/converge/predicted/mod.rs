//! The machine as it will be: what a plan looks at.

mod effects;
mod look;

use std::collections::{BTreeMap, BTreeSet};

use super::plan::PlanOutcome;
use super::prepare::Prepared;
use crate::digest::Digest;
use crate::host::{FileState, HostError, PackageState, Program, ReadHost, UnitState};
use crate::name::FormulaName;
use crate::path::AbsolutePath;
use crate::resource::{Effect, ResourceId};
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
/// - what a resource asks [`ReadHost::coming`] for: a file that a package may bring, the answers of
///   a service that is yet to start;
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
    /// Units that do not run now and will.
    starting: BTreeMap<String, ResourceId>,
    users: BTreeMap<String, ResourceId>,
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
            starting: BTreeMap::new(),
            users: BTreeMap::new(),
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

    /// What is yet to come of what it takes to start a program that could not be started.
    fn needed_by(&self, program: &Program) -> Option<HostError> {
        let named = program.argv.first();
        let file = named.and_then(|name| name.parse().ok());
        let path = |path: &AbsolutePath| match self.paths.get(path) {
            Some((id, Path::There(..))) => Some(id),
            _ => None,
        };
        let earlier = program
            .user
            .as_ref()
            .and_then(|user| self.users.get(user))
            .or_else(|| program.directory.as_ref().and_then(path))
            .or_else(|| file.as_ref().and_then(path));
        let name = named
            .and_then(|name| name.rsplit('/').next())
            .unwrap_or_default();
        earlier
            .map(|id| HostError::NotYet(id.clone()))
            .or_else(|| self.bringer(name))
    }

    fn path(&self, path: &AbsolutePath) -> Option<&(ResourceId, Path)> {
        self.paths.get(path)
    }

    fn is_removed(&self, path: &AbsolutePath) -> bool {
        std::iter::successors(Some(path.clone()), AbsolutePath::parent)
            .any(|ancestor| self.removed.contains(&ancestor))
    }
}
