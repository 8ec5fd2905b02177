//! The loop: collects what has changed, has it looked at, and has mended what is due.

use std::time::Duration;

use brine_model::drift::Ledger;
use tokio::sync::{mpsc, oneshot, watch as signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::files::{Changed, Files};
use super::index::{Ids, Index};
use super::look::{self, Scope, Seen};
use super::pace::Pace;
use super::units;
use super::{Ask, Watch};
use crate::backoff::fraction;
use crate::clock;
use crate::jobs::{Place, is_busy};
use crate::state::ledger;

/// Between two looks at everything, on average; a fleet does not look all at once.
const EVERY: Duration = Duration::from_secs(600);

/// After a job has ended.
const AFTER_JOB: Duration = Duration::from_millis(300);

/// While an apply is under way, its next part is waited for: only one that was given up is told.
const UNDER_WAY: Duration = Duration::from_secs(300);

/// So long after its own start the agent lets the machine finish to boot: what does not run yet is no
/// drift, and nothing that systemd is about to start is to be mended.
const START: Duration = Duration::from_secs(120);

/// A look that takes longer waits for something that does not answer: guards have their own limits.
const SLOW: Duration = Duration::from_secs(60);

/// While somebody else installs packages.
const NOT_NOW: Duration = Duration::from_secs(15);

/// While the machine is starting or stopping.
const EARLY: Duration = Duration::from_secs(2);

/// Changes of units that wait to be collected.
const UNITS: usize = 64;

/// What runs on a thread.
enum Work {
    Looking(JoinHandle<Seen>),
    Mending(JoinHandle<Option<Mending>>),
}

/// None where somebody else is at it.
type Mending = Option<Ledger>;

enum Done {
    Seen(Box<Seen>),
    Mended(Box<Ledger>),
    /// To be tried again before long.
    NotNow,
    /// A job came between, or it failed.
    Nothing,
}

struct State {
    place: Place,
    /// Counts other ledgers, for whoever tells of them.
    told: signal::Sender<u64>,
    files: Files,
    index: Index,
    ledger: Ledger,
    /// The ledger on disk is another one.
    unkept: bool,
    /// What has changed, and when it is to be looked at.
    changed: Option<(Scope, Instant)>,
    pace: Pace,
    began: Instant,
    /// When everything is looked at.
    next: Instant,
    /// When a job last began or ended, as far as this life of the agent knows.
    job: Instant,
    /// How many jobs had changed something by then.
    changes: u64,
    /// When a look that is under way has taken too long.
    slow: Instant,
    work: Option<Work>,
    /// Ends what is being mended, after the resource at hand.
    cut: CancellationToken,
    /// The epoch in which the work was begun.
    epoch: u64,
    waiting: Vec<oneshot::Sender<()>>,
    /// Who is answered by the look that is under way.
    asked: Vec<oneshot::Sender<()>>,
}

pub(super) async fn run(watch: Watch, stop: CancellationToken) {
    let Watch {
        place,
        mut asks,
        changed: told,
    } = watch;
    let files = match Files::new() {
        Ok(files) => files,
        Err(error) => {
            tracing::error!(%error, "files cannot be watched: drift is not seen");
            return;
        }
    };
    let ledger = ledger::read(&place.state).unwrap_or_else(|error| {
        tracing::warn!(%error, "since when things differ is lost");
        Ledger::default()
    });
    let mut epochs = place.turn.epochs();
    let (sender, mut units) = mpsc::channel(UNITS);
    let root = place.root.clone();
    let listening = tokio::spawn(async move { units::tell(&root, sender).await });
    let now = Instant::now();
    let mut state = State {
        place,
        told,
        files,
        index: Index::default(),
        ledger,
        unkept: false,
        changed: None,
        pace: Pace::new(),
        began: now,
        next: now,
        job: now,
        changes: 0,
        slow: now,
        work: None,
        cut: CancellationToken::new(),
        epoch: 0,
        waiting: Vec::new(),
        asked: Vec::new(),
    };
    loop {
        let idle = state.work.is_none() && !is_busy(*epochs.borrow());
        let due = state.due();
        tokio::select! {
            () = stop.cancelled() => break,
            changed = epochs.changed() => match changed {
                Ok(()) => state.job(*epochs.borrow_and_update()),
                Err(_) => break,
            },
            changed = state.files.changed() => match changed {
                Changed::Some(ids) => state.note(Scope::Some(ids)),
                Changed::Anything => state.note(Scope::Everything),
            },
            Some(unit) = units.recv() => state.unit(unit.as_deref()),
            Some(ask) = asks.recv() => state.asked_for(ask).await,
            done = finished(&mut state.work) => {
                state.work = None;
                let epoch = *epochs.borrow();
                state.done(done, epoch).await;
            }
            () = sleep_until(due), if idle => state.look(*epochs.borrow()),
            () = sleep_until(state.slow), if state.is_slow_to_come() => state.dim().await,
        }
    }
    // What is being mended is not left half done.
    state.cut.cancel();
    if let Some(Work::Mending(_)) = &state.work
        && let Done::Mended(ledger) = finished(&mut state.work).await
    {
        state.keep(*ledger).await;
    }
    drop(units);
    listening.abort();
}

async fn finished(work: &mut Option<Work>) -> Done {
    match work {
        Some(Work::Looking(task)) => match task.await {
            Ok(seen) => Done::Seen(Box::new(seen)),
            Err(error) => failed(&error),
        },
        Some(Work::Mending(task)) => match task.await {
            Ok(Some(Some(ledger))) => Done::Mended(Box::new(ledger)),
            Ok(Some(None)) => Done::NotNow,
            Ok(None) => Done::Nothing,
            Err(error) => failed(&error),
        },
        None => std::future::pending().await,
    }
}

fn failed(error: &tokio::task::JoinError) -> Done {
    tracing::error!(%error, "looking for drift failed, which is a bug");
    Done::Nothing
}

impl State {
    fn due(&self) -> Instant {
        match &self.changed {
            Some((_, due)) => self.next.min(*due),
            None => self.next,
        }
    }

    fn note(&mut self, scope: Scope) {
        match (&mut self.changed, scope) {
            (Some((known, _)), Scope::Some(ids)) => known.add(ids),
            (Some((known, _)), Scope::Everything) => *known = Scope::Everything,
            (none, scope) => {
                let due = self.began + self.pace.due(self.began.elapsed());
                *none = Some((scope, due));
            }
        }
    }

    fn unit(&mut self, unit: Option<&str>) {
        let ids: Ids = match unit {
            Some(unit) => self.index.units.get(unit).cloned().unwrap_or_default(),
            None => self.index.units.values().flatten().cloned().collect(),
        };
        if !ids.is_empty() {
            self.note(Scope::Some(ids));
        }
    }

    /// A job has begun, or ended. What it changes is what is wanted; where everything was as it should be,
    /// by this catalog, there is nothing to look for.
    fn job(&mut self, epoch: u64) {
        self.job = Instant::now();
        if is_busy(epoch) {
            self.cut.cancel();
            return;
        }
        self.unkept |= self.ledger.forgive();
        let changes = *self.place.turn.changes().borrow();
        let quiet = std::mem::replace(&mut self.changes, changes) == changes;
        if !quiet {
            self.changed = None;
        }
        if !quiet || !self.ledger.is_clean() {
            self.next = self.job + AFTER_JOB;
        }
    }

    async fn asked_for(&mut self, ask: Ask) {
        match ask {
            Ask::Look(reply) => {
                self.waiting.push(reply);
                self.next = Instant::now();
            }
            Ask::Pause(until) if self.ledger.paused_until() != until => {
                let mut ledger = self.ledger.clone();
                ledger.pause(until);
                self.store(ledger).await;
                // What a look that is under way has seen is of before.
                self.epoch = u64::MAX;
                self.cut.cancel();
                self.next = Instant::now();
            }
            Ask::Pause(_) => {}
        }
    }

    fn look(&mut self, epoch: u64) {
        let now = Instant::now();
        let changed = self.changed.take();
        let scope = match changed {
            _ if self.next <= now => {
                self.next = now + EVERY.mul_f64(0.5 + fraction());
                let paused = self.ledger.paused_until();
                if let Some(until) = paused.filter(|until| *until > clock::now()) {
                    let left = until.since(clock::now());
                    self.next = self.next.min(now + left.max(EARLY));
                }
                self.asked.append(&mut self.waiting);
                Scope::Everything
            }
            Some((scope, _)) => scope,
            None => return,
        };
        let (place, ledger) = (self.place.clone(), self.ledger.clone());
        let patient = self.began.elapsed() < START;
        let kernel = self.files.kernel();
        self.epoch = epoch;
        self.slow = now + SLOW;
        self.work = Some(Work::Looking(spawn_blocking(move || {
            look::look(&place, ledger, &scope, &kernel, patient)
        })));
    }

    /// Nobody was told yet that a look does not end.
    fn is_slow_to_come(&self) -> bool {
        matches!(self.work, Some(Work::Looking(_))) && self.ledger.blind.is_none()
    }

    /// A thread that waits for a dead file system cannot be ended, and a second one would wait as well.
    async fn dim(&mut self) {
        let why = "a look at this machine does not end: does a mount hang?";
        tracing::warn!(why);
        let mut ledger = self.ledger.clone();
        ledger.dimmed(why.to_owned(), clock::now());
        self.store(ledger).await;
    }

    async fn done(&mut self, done: Done, epoch: u64) {
        self.pace.looked(self.began.elapsed());
        match done {
            Done::Seen(seen) => self.seen(*seen, epoch).await,
            Done::Mended(ledger) => {
                self.keep(*ledger).await;
                let left = self.ledger.due();
                if !left.is_empty() {
                    self.note(Scope::Some(left.into_iter().collect()));
                }
            }
            Done::NotNow => self.next = self.next.min(Instant::now() + NOT_NOW),
            Done::Nothing => {}
        }
        if self.work.is_none() {
            for reply in self.asked.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    async fn seen(&mut self, seen: Seen, epoch: u64) {
        // What happened between the first watch of something and now was told to nobody.
        if self.index != seen.index || self.files.is_new(&seen.watches) {
            self.next = self.next.min(Instant::now() + AFTER_JOB);
        }
        self.index = seen.index;
        self.files.replace(seen.watches);
        if epoch != self.epoch {
            // Seen in the middle of a job, or before one.
            self.next = self.next.min(Instant::now() + AFTER_JOB);
            return;
        }
        if seen.early {
            self.next = Instant::now() + EARLY;
            return;
        }
        if seen.ledger.blind.is_some() && self.job.elapsed() < UNDER_WAY {
            self.next = self.job + UNDER_WAY;
            return;
        }
        self.keep(seen.ledger).await;
        if self.ledger.due().is_empty() {
            return;
        }
        let (place, ledger) = (self.place.clone(), self.ledger.clone());
        self.cut = CancellationToken::new();
        let cut = self.cut.clone();
        self.work = Some(Work::Mending(tokio::spawn(async move {
            let _turn = place.turn.for_mending(epoch).await?;
            let at = place.clone();
            spawn_blocking(move || look::mend(&at, ledger, &cut))
                .await
                .ok()
        })));
    }

    /// Keeps what was seen or done; it was begun before an operator said what he has said meanwhile.
    async fn keep(&mut self, mut ledger: Ledger) {
        ledger.pause(self.ledger.paused_until());
        self.store(ledger).await;
    }

    /// Keeps the ledger, where it is another one; whoever tells the server of it hears that.
    async fn store(&mut self, ledger: Ledger) {
        if ledger == self.ledger && !self.unkept {
            return;
        }
        self.unkept = false;
        self.ledger = ledger.clone();
        let state = self.place.state.clone();
        let kept = spawn_blocking(move || ledger::write(&state, &ledger)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "what differs is not kept on disk");
        }
        self.told.send_modify(|count| *count += 1);
    }
}
