//! Looking and mending: what blocks, on a thread of its own.

use std::collections::BTreeSet;

use brine_model::catalog::Catalog;
use brine_model::converge::{self, Observer, PlanOutcome, Planned, Prepared, ResourceOutcome};
use brine_model::drift::{Ledger, Remedy};
use brine_model::resource::ResourceId;
use tokio_util::sync::CancellationToken;

use super::files::{Kernel, Watches};
use super::index::{Ids, Index, is_watched};
use crate::host::{self, RealHost};
use crate::jobs::{Place, materials};
use crate::state::applied::Applied;
use crate::{clock, memory};

/// What is looked at.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    Everything,
    Some(Ids),
}

impl Scope {
    pub(super) fn add(&mut self, ids: Ids) {
        if let Self::Some(known) = self {
            known.extend(ids);
        }
    }
}

/// What a look has brought.
pub(super) struct Seen {
    pub(super) ledger: Ledger,
    pub(super) index: Index,
    pub(super) watches: Watches,
    /// It should be looked at again soon: the machine is only just starting, or about to stop.
    pub(super) early: bool,
}

/// Compares the machine with the catalog applied last. What concerns somebody is watched before it is
/// looked at, so that no change falls between the two.
pub(super) fn look(
    place: &Place,
    mut ledger: Ledger,
    scope: &Scope,
    kernel: &Kernel,
    patient: bool,
) -> Seen {
    let now = clock::now();
    let mut seen = Seen {
        ledger: Ledger::default(),
        index: Index::default(),
        watches: Watches::new(),
        early: false,
    };
    let applied = match settled(place) {
        Ok(Some(applied)) => applied,
        // Nothing was ever applied.
        Ok(None) => return seen,
        Err(why) => {
            ledger.blinded(why, now);
            seen.ledger = ledger;
            return seen;
        }
    };
    let (catalog, prepared) = applied;
    seen.index = Index::of(&prepared);
    seen.watches = kernel.watch(&place.root, &seen.index);
    let host = RealHost::rooted(&place.root, &place.state);
    let moving = match host.system_state().as_str() {
        "initializing" | "starting" => patient,
        "stopping" => true,
        _ => false,
    };
    if moving {
        seen.ledger = ledger;
        seen.early = true;
        return seen;
    }
    let known: BTreeSet<_> = prepared.ids().cloned().collect();
    ledger.keep_only(&|id| known.contains(id));
    let concerned = match scope {
        Scope::Everything => known,
        Scope::Some(ids) => {
            let open = ledger.drifted.keys().cloned();
            prepared.with_dependants(ids.iter().cloned().chain(open).collect())
        }
    };
    let wanted = |id: &_| concerned.contains(id) && is_watched(id);
    let planned = converge::plan_some(&prepared, &wanted, &host);
    let requires = |id: &_| prepared.requires(id).to_vec();
    ledger.saw(&planned, &|one| remedy(&catalog, one), &requires, now);
    seen.ledger = ledger;
    drop(prepared);
    memory::trim();
    seen
}

/// Mends what is due, between two resources until `cut`. None where it is not to be tried before long.
pub(super) fn mend(place: &Place, mut ledger: Ledger, cut: &CancellationToken) -> Option<Ledger> {
    let now = clock::now();
    let Ok(Some((_, prepared))) = settled(place) else {
        return None;
    };
    let mut host = RealHost::rooted(&place.root, &place.state);
    if let Err(error) = host.wait_for_transaction() {
        tracing::warn!(%error, "nothing is mended");
        return None;
    }
    // Somebody installs or removes something: what stops and goes meanwhile comes back with it, or is
    // brought back when it is over.
    if let Ok(Some(holder)) = host::holder(&place.root) {
        tracing::debug!(%holder, "mending waits");
        return None;
    }
    let due = ledger.due();
    tracing::info!(count = due.len(), "mending what others have changed");
    let mut until = Until(cut);
    let report = converge::heal(&prepared, &|id| due.contains(id), &mut host, &mut until);
    for one in &report {
        tracing::info!(id = %one.id, good = one.outcome.is_good(), "mended");
    }
    ledger.mended(&report, now);
    memory::trim();
    Some(ledger)
}

/// Ends mending between two resources.
struct Until<'a>(&'a CancellationToken);

impl Observer for Until<'_> {
    fn started(&mut self, _: usize, _: usize, _: &ResourceId) {}

    fn finished(&mut self, _: &ResourceId, _: &ResourceOutcome) {}

    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// What the node is to be; none where nobody has said so yet.
fn settled(place: &Place) -> Result<Option<(Catalog, Prepared)>, String> {
    let applied = Applied::new(&place.state);
    let words = |error: crate::state::StateError| error.to_string();
    if let Some(begun) = applied.begun().map_err(words)? {
        return Err(format!(
            "catalog {begun} was begun, and not all of it is applied: `ctl apply` goes on"
        ));
    }
    let Some(digest) = applied.digest().map_err(words)? else {
        return Ok(None);
    };
    let secrets = applied.secrets().map_err(words)?;
    materials::read(&place.state, digest, &secrets).map(Some)
}

fn remedy(catalog: &Catalog, planned: &Planned) -> Remedy {
    let known = matches!(
        planned.outcome,
        PlanOutcome::Changes(_) | PlanOutcome::After { .. }
    );
    if !known || !catalog.enforced.contains(&planned.formula) {
        return Remedy::None;
    }
    converge::remedy(&planned.id, planned.outcome.changes())
}
