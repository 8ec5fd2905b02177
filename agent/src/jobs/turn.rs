//! Whose turn it is to change the machine: a job's, or that of what mends drift.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    lock: Arc<Mutex<()>>,
    /// Raised when a job begins to change the machine, and when it ends: odd while one does.
    epoch: Arc<watch::Sender<u64>>,
    /// Counts jobs that may have changed something.
    changes: Arc<watch::Sender<u64>>,
}

/// A job's turn, until it is dropped.
pub(crate) struct Taken {
    turn: Turn,
    changed: bool,
    _guard: OwnedMutexGuard<()>,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            lock: Arc::default(),
            epoch: Arc::new(watch::channel(0).0),
            changes: Arc::new(watch::channel(0).0),
        }
    }

    /// Waits until nothing is being mended.
    pub(crate) async fn for_job(&self) -> Taken {
        // Said before it is waited for: what is seen from here on decides nothing.
        self.epoch.send_modify(|epoch| *epoch += 1);
        let guard = Arc::clone(&self.lock).lock_owned().await;
        Taken {
            turn: self.clone(),
            changed: true,
            _guard: guard,
        }
    }

    /// Unless a job has begun since `epoch`: then what was seen may not be so any more.
    pub(crate) async fn for_mending(&self, epoch: u64) -> Option<OwnedMutexGuard<()>> {
        let guard = Arc::clone(&self.lock).lock_owned().await;
        (*self.epoch.borrow() == epoch).then_some(guard)
    }

    pub(crate) fn epochs(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Taken {
    /// Everything was as it should be: nobody needs to look again.
    pub(crate) fn nothing_changed(&mut self) {
        self.changed = false;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.changed {
            self.turn.changes.send_modify(|changes| *changes += 1);
        }
        self.turn.epoch.send_modify(|epoch| *epoch += 1);
    }
}

/// Whether a job is changing the machine.
pub(crate) const fn is_busy(epoch: u64) -> bool {
    epoch % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_seen_before_a_job_mends_nothing() {
        let turn = Turn::new();
        let epoch = *turn.epochs().borrow();
        assert!(!is_busy(epoch));
        drop(turn.for_mending(epoch).await.unwrap());
        let job = turn.for_job().await;
        assert!(is_busy(*turn.epochs().borrow()));
        drop(job);
        assert_eq!(*turn.changes().borrow(), 1);
        let mut quiet = turn.for_job().await;
        quiet.nothing_changed();
        drop(quiet);
        assert_eq!(*turn.changes().borrow(), 1);
        assert!(turn.for_mending(epoch).await.is_none());
        let now = *turn.epochs().borrow();
        assert!(!is_busy(now) && turn.for_mending(now).await.is_some());
    }
}
