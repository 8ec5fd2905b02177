//! Mending what has drifted, without a run and without a server.
//!
//! Nobody is asked and no other node is looked at: so it does only what interrupts nobody, to what is
//! this machine's own. The rest waits for a run, which moves behind the gates of its role.

use super::apply::{Applied, Observer, ResourceOutcome, Run};
use super::approval::Permission;
use super::prepare::Prepared;
use crate::drift::Remedy;
use crate::host::Host;
use crate::resource::{Change, Impact, ResourceId};
use crate::resources;

/// What may be done about these changes of `id`, should its role enforce it.
#[must_use]
pub fn remedy(id: &ResourceId, changes: &[Change]) -> Remedy {
    let local = resources::kind(id.kind()).is_some_and(|kind| kind.heals);
    let quiet = changes.iter().all(|change| change.impact <= Impact::Reload);
    if local && quiet {
        Remedy::Heal
    } else {
        Remedy::Run
    }
}

/// Mends those of `chosen`, in the order of the catalog, as far as [`remedy`] lets it. Where one fails, the
/// rest of its formula is skipped, and what requires it: an apply would stop there.
pub fn heal(
    prepared: &Prepared,
    chosen: &dyn Fn(&ResourceId) -> bool,
    host: &mut dyn Host,
    observer: &mut dyn Observer,
) -> Vec<Applied> {
    let items: Vec<_> = prepared.items().iter().filter(|i| chosen(&i.id)).collect();
    let mut run = Run::new(prepared, Permission::Healing, host, observer, items.len());
    for item in items {
        let bad = |applied: &&Applied| {
            let before = applied.formula == item.formula || item.require.contains(&applied.id);
            before && !applied.outcome.is_good()
        };
        let outcome = match run.report().iter().find(bad) {
            _ if run.is_cancelled() => ResourceOutcome::Cancelled,
            Some(applied) => ResourceOutcome::Skipped {
                after: applied.id.clone(),
            },
            None => {
                run.start(item, 0);
                run.one(item)
            }
        };
        run.finish(item, outcome);
    }
    run.into_report()
}
