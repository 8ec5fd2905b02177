//! What others change between applies: seen when it happens, told, and mended where a role enforces it.
//!
//! ```text
//!   files (inotify) ─┐                     look (a thread): plan what is concerned ─► ledger ─► link
//!   units (D-Bus)  ──┼─► watch: collects ─►                                             │
//!   timer, asked   ──┘                     mend (a thread): heal what is due ◄──────────┘
//! ```
//!
//! It needs no server: catalog, secrets and ledger are the agent's own. While a job changes the machine
//! nothing is looked at, and what was seen before one began decides nothing.

mod files;
mod index;
mod look;
mod pace;
mod units;
mod watch;

use std::time::Duration;

use brine_model::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch as signal};
use tokio_util::sync::CancellationToken;

pub(crate) use self::pace::Pace;
use crate::jobs::{Place, Turn, is_busy};

/// How long whoever asks for a look waits for it.
const LOOK: Duration = Duration::from_secs(10);

/// How the rest of the agent talks to the watch. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Drift {
    asks: mpsc::Sender<Ask>,
    changed: signal::Receiver<u64>,
    turn: Turn,
}

/// What the watch is asked.
#[derive(Debug)]
enum Ask {
    /// To look at everything.
    Look(oneshot::Sender<()>),
    Pause(Option<Timestamp>),
}

/// The watch itself, to be run.
pub(crate) struct Watch {
    place: Place,
    asks: mpsc::Receiver<Ask>,
    changed: signal::Sender<u64>,
}

pub(crate) fn new(place: Place) -> (Drift, Watch) {
    let (ask, asks) = mpsc::channel(8);
    let (changed, seen) = signal::channel(0);
    let drift = Drift {
        asks: ask,
        changed: seen,
        turn: place.turn.clone(),
    };
    let watch = Watch {
        place,
        asks,
        changed,
    };
    (drift, watch)
}

impl Drift {
    /// Has everything looked at, and waits for that, but not for ever.
    pub(crate) async fn look(&self) {
        let (reply, done) = oneshot::channel();
        if self.asks.send(Ask::Look(reply)).await.is_ok() {
            let _ = tokio::time::timeout(LOOK, done).await;
        }
    }

    /// Nothing is healed until then; none ends that. Kept for when there is no server.
    pub(crate) async fn pause(&self, until: Option<Timestamp>) {
        let _ = self.asks.send(Ask::Pause(until)).await;
    }

    /// Counts jobs that may have changed the machine, for [`Drift::job_is_over`].
    pub(crate) fn jobs(&self) -> signal::Receiver<u64> {
        self.turn.changes()
    }

    /// Waits until no job has been at work for a while, after at least one has changed something since
    /// the last time.
    pub(crate) async fn job_is_over(&self, jobs: &mut signal::Receiver<u64>, quiet: Duration) {
        if jobs.changed().await.is_err() {
            return std::future::pending().await;
        }
        let mut epochs = self.turn.epochs();
        loop {
            let busy = is_busy(*epochs.borrow_and_update());
            tokio::select! {
                changed = epochs.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(quiet), if !busy => return jobs.mark_unchanged(),
            }
        }
    }

    /// Changes whenever the ledger does.
    pub(crate) fn changed(&self) -> signal::Receiver<u64> {
        self.changed.clone()
    }
}

impl Watch {
    /// Until `stop`; what is being mended is finished.
    pub(crate) async fn run(self, stop: CancellationToken) {
        watch::run(self, stop).await;
    }
}
