//! Making it so.

use serde::{Deserialize, Serialize};

use super::approval::{Approval, Permission};
use super::known::Known;
use super::prepare::{Item, Prepared};
use super::transaction;
use crate::host::Host;
use crate::name::FormulaName;
use crate::resource::{Change, ResourceId};

/// What became of each resource, in the order of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApplyReport {
    pub resources: Vec<Applied>,
}

/// What became of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub id: ResourceId,
    pub formula: FormulaName,
    pub outcome: ResourceOutcome,
}

/// As in a plan, [`Change::effects`] is always empty here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceOutcome {
    InSync,
    Changed(Vec<Change>),
    /// `changes` were begun; some of them may have been made.
    Failed {
        message: String,
        changes: Vec<Change>,
    },
    /// Not looked at, because `after` did not come out as it should.
    Skipped {
        after: ResourceId,
    },
    /// It would have taken more than was approved: nothing was done.
    NotApproved(Vec<Change>),
    Cancelled,
}

/// Who follows an apply, and may end it between two resources.
pub trait Observer {
    /// Packages that are installed together are started one after the other, then finished.
    fn started(&mut self, index: usize, total: usize, id: &ResourceId);
    fn finished(&mut self, id: &ResourceId, outcome: &ResourceOutcome);
    /// Asked before each resource; once true, the rest is cancelled.
    fn cancelled(&self) -> bool;
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn started(&mut self, _: usize, _: usize, _: &ResourceId) {}
    fn finished(&mut self, _: &ResourceId, _: &ResourceOutcome) {}
    fn cancelled(&self) -> bool {
        false
    }
}

impl ResourceOutcome {
    /// Whether what follows may go on.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::InSync | Self::Changed(_))
    }
}

impl ApplyReport {
    /// Whether the machine now matches the catalog.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.resources
            .iter()
            .all(|applied| applied.outcome.is_good())
    }

    /// Takes in what became of a later part, or of the same one another time.
    pub fn extend(&mut self, later: Self) {
        for applied in later.resources {
            match self.resources.iter_mut().find(|one| one.id == applied.id) {
                // What was changed before and is in sync now was still changed.
                Some(before)
                    if applied.outcome == ResourceOutcome::InSync
                        && matches!(before.outcome, ResourceOutcome::Changed(_)) => {}
                Some(before) => *before = applied,
                None => self.resources.push(applied),
            }
        }
    }

    /// Where it stopped: the first resource that did not come out as it should.
    #[must_use]
    pub fn stopped_at(&self) -> Option<&Applied> {
        self.resources
            .iter()
            .find(|applied| !applied.outcome.is_good())
    }

    /// How many resources were changed.
    #[must_use]
    pub fn changed(&self) -> usize {
        let changed = |a: &&Applied| matches!(a.outcome, ResourceOutcome::Changed(_));
        self.resources.iter().filter(changed).count()
    }
}

/// Which resources of a catalog, by their places in it: a rollout that has to wait for other
/// members goes on from where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub from: u32,
    /// Not with it.
    pub to: u32,
}

impl Part {
    pub const WHOLE: Self = Self {
        from: 0,
        to: u32::MAX,
    };

    #[must_use]
    pub fn contains(self, place: usize) -> bool {
        u32::try_from(place).is_ok_and(|place| (self.from..self.to).contains(&place))
    }

    #[must_use]
    pub fn of<T>(self, items: &[T]) -> &[T] {
        let place = |place: u32| {
            usize::try_from(place)
                .unwrap_or(usize::MAX)
                .min(items.len())
        };
        let (from, to) = (place(self.from), place(self.to));
        &items[from.min(to)..to]
    }
}

/// Applies a part of a catalog, resource by resource; with `approval` none, whatever it takes.
///
/// The first resource that fails, or needs more than was approved, stops the rest.
pub fn apply(
    prepared: &Prepared,
    part: Part,
    approval: Option<&Approval>,
    host: &mut dyn Host,
    observer: &mut dyn Observer,
) -> ApplyReport {
    let items = part.of(prepared.items());
    let permission = approval.map_or(Permission::Everything, Permission::Approved);
    let mut run = Run::new(prepared, permission, host, observer, items.len());
    while let Some(item) = items.get(run.report.len()) {
        let rest = &items[run.report.len()..];
        if let Some(stopped) = run.report.iter().find(|applied| !applied.outcome.is_good()) {
            let outcome = match stopped.outcome {
                ResourceOutcome::Cancelled => ResourceOutcome::Cancelled,
                _ => ResourceOutcome::Skipped {
                    after: stopped.id.clone(),
                },
            };
            run.finish(item, outcome);
        } else if run.is_cancelled() {
            run.finish(item, ResourceOutcome::Cancelled);
        } else if let Some(count) = transaction::length(rest) {
            transaction::apply(&rest[..count], &mut run);
        } else {
            run.start(item, 0);
            let outcome = run.one(item);
            run.finish(item, outcome);
        }
    }
    ApplyReport {
        resources: run.report,
    }
}

/// An apply under way.
pub(super) struct Run<'a> {
    pub(super) host: Known<'a>,
    permission: Permission<'a>,
    observer: &'a mut dyn Observer,
    total: usize,
    report: Vec<Applied>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        prepared: &'a Prepared,
        permission: Permission<'a>,
        host: &'a mut dyn Host,
        observer: &'a mut dyn Observer,
        total: usize,
    ) -> Self {
        Self {
            host: Known { prepared, host },
            permission,
            observer,
            total,
            report: Vec::new(),
        }
    }

    pub(super) fn report(&self) -> &[Applied] {
        &self.report
    }

    pub(super) fn into_report(self) -> Vec<Applied> {
        self.report
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.observer.cancelled()
    }

    /// Tells that `item` is begun, `ahead` resources after the last finished one.
    pub(super) fn start(&mut self, item: &Item, ahead: usize) {
        let total = self.total;
        self.observer
            .started(self.report.len() + ahead, total, &item.id);
    }

    pub(super) fn finish(&mut self, item: &Item, mut outcome: ResourceOutcome) {
        if let ResourceOutcome::Changed(changes)
        | ResourceOutcome::NotApproved(changes)
        | ResourceOutcome::Failed { changes, .. } = &mut outcome
        {
            changes
                .iter_mut()
                .for_each(|change| change.effects = Vec::new());
        }
        self.observer.finished(&item.id, &outcome);
        let (id, formula) = (item.id.clone(), item.formula.clone());
        self.report.push(Applied {
            id,
            formula,
            outcome,
        });
    }

    /// What `item` needs now: `Err` where it is already decided that nothing is done.
    pub(super) fn look(&mut self, item: &Item) -> Result<Vec<Change>, ResourceOutcome> {
        let failed = |message: String| ResourceOutcome::Failed {
            message,
            changes: Vec::new(),
        };
        let changes = item
            .resource
            .plan(&self.host)
            .map_err(|error| failed(error.to_string()))?;
        if changes.is_empty() {
            item.resource
                .confirm(&mut self.host)
                .map_err(|error| failed(error.to_string()))?;
            return Err(ResourceOutcome::InSync);
        }
        if self.permission.covers(&item.id, &changes) {
            Ok(changes)
        } else {
            Err(ResourceOutcome::NotApproved(changes))
        }
    }

    /// Whether the changes have had their effect.
    pub(super) fn check(&mut self, item: &Item, changes: Vec<Change>) -> ResourceOutcome {
        let left = match item.resource.plan(&self.host) {
            Ok(left) => left,
            Err(error) => {
                return ResourceOutcome::Failed {
                    message: error.to_string(),
                    changes,
                };
            }
        };
        if !left.is_empty() {
            let left = left
                .iter()
                .map(|change| change.text.as_str())
                .collect::<Vec<_>>();
            let message = format!("still differs after apply: {}", left.join("; "));
            return ResourceOutcome::Failed { message, changes };
        }
        match item.resource.confirm(&mut self.host) {
            Ok(()) => ResourceOutcome::Changed(changes),
            Err(error) => ResourceOutcome::Failed {
                message: error.to_string(),
                changes,
            },
        }
    }

    pub(super) fn one(&mut self, item: &Item) -> ResourceOutcome {
        let changes = match self.look(item) {
            Ok(changes) => changes,
            Err(outcome) => return outcome,
        };
        match item.resource.apply(&changes, &mut self.host) {
            Ok(()) => self.check(item, changes),
            Err(error) => ResourceOutcome::Failed {
                message: error.to_string(),
                changes,
            },
        }
    }
}
