//! Which run holds which formula of which role: two runs must not move over one cluster at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use brine_model::name::{FormulaName, RoleName};
use brine_wire::job::RunId;
use tokio::sync::watch;

pub(super) type Key = (RoleName, FormulaName);

#[derive(Debug, Clone, Default)]
pub(super) struct Leases(Arc<Table>);

#[derive(Debug)]
struct Table {
    held: Mutex<BTreeMap<Key, RunId>>,
    released: watch::Sender<u64>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            released: watch::Sender::new(0),
        }
    }
}

/// Gives everything back when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    table: Arc<Table>,
    run: RunId,
}

/// Somebody else holds one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) by: RunId,
}

impl Leases {
    /// Takes all or none.
    pub(super) fn take(&self, run: RunId, keys: &BTreeSet<Key>) -> Result<Lease, Held> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, by)) = keys.iter().find_map(|key| Some((key, *held.get(key)?))) {
            return Err(Held {
                key: key.clone(),
                by,
            });
        }
        held.extend(keys.iter().map(|key| (key.clone(), run)));
        Ok(Lease {
            table: Arc::clone(&self.0),
            run,
        })
    }

    /// Who holds one of them, if anybody does.
    pub(super) fn holder(&self, keys: &BTreeSet<Key>) -> Option<Held> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find_map(|key| {
            Some(Held {
                key: key.clone(),
                by: *held.get(key)?,
            })
        })
    }

    /// Changes whenever something is given back.
    pub(super) fn released(&self) -> watch::Receiver<u64> {
        self.0.released.subscribe()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self
            .table
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, run| *run != self.run);
        drop(held);
        self.table.released.send_modify(|version| *version += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[(&str, &str)]) -> BTreeSet<Key> {
        let name = |(role, formula): &(&str, &str)| {
            (
                role.parse().expect("a name"),
                formula.parse().expect("a name"),
            )
        };
        names.iter().map(name).collect()
    }

    #[test]
    fn all_or_none_and_given_back_when_dropped() {
        let leases = Leases::default();
        let web = keys(&[("web", "base"), ("web", "app")]);
        let lease = leases.take(RunId(1), &web).expect("free");
        let both = keys(&[("db", "base"), ("web", "app")]);
        let held = leases.take(RunId(2), &both).expect_err("held");
        assert_eq!(held.by, RunId(1));
        assert!(
            leases.take(RunId(3), &keys(&[("db", "base")])).is_ok(),
            "nothing half taken"
        );
        drop(lease);
        assert!(leases.take(RunId(2), &both).is_ok());
        assert_eq!(leases.holder(&both), None);
    }
}
