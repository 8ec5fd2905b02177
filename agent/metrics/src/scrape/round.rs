//! All collectors once, on a thread of their own.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use brine_exposition::Exposition;

use super::slot::{Part, Slot};
use crate::roots::Roots;

/// Of the thread. What is not touched costs nothing, and one that overflows ends the whole process.
const STACK: usize = 1024 * 1024;

pub(super) struct Round {
    pub(super) roots: Arc<Roots>,
    pub(super) slots: Vec<Arc<Slot>>,
    pub(super) state: Mutex<State>,
    /// Called when the last collector is through.
    pub(super) done: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Which worker counts: another one was left behind.
    pub(super) worker: u32,
    /// Since when the collector at hand runs.
    pub(super) since: Instant,
    /// In the order of the collectors.
    pub(super) parts: Vec<Part>,
}

/// Where a worker gets its next round.
pub(super) type Worker = mpsc::Sender<Arc<Round>>;

/// A thread that works on this round, then on those that it is sent.
pub(super) fn start(round: &Arc<Round>, number: u32) -> Option<Worker> {
    let (sender, rounds) = mpsc::channel::<Arc<Round>>();
    let first = Arc::clone(round);
    let started = std::thread::Builder::new()
        .name("metrics".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            if first.work(number).is_none() {
                return;
            }
            drop(first);
            while let Ok(round) = rounds.recv() {
                if round.work(0).is_none() {
                    return;
                }
            }
        });
    match started {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::error!(%error, "no thread for the machine's metrics");
            None
        }
    }
}

impl Round {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works through what is left; none when it was left behind.
    fn work(&self, number: u32) -> Option<()> {
        loop {
            let slot = {
                let mut state = self.state();
                if state.worker != number {
                    return None;
                }
                let Some(slot) = self.slots.get(state.parts.len()) else {
                    break;
                };
                state.since = Instant::now();
                if slot.out.swap(true, Ordering::AcqRel) {
                    state.parts.push(Part::failed(Duration::ZERO));
                    continue;
                }
                slot
            };
            let part = slot.run(&self.roots);
            slot.out.store(false, Ordering::Release);
            let mut state = self.state();
            if state.worker != number {
                tracing::info!(collector = slot.name, "came back");
                return None;
            }
            state.parts.push(part);
        }
        (self.done)();
        Some(())
    }

    /// What there is, with what is said of each collector. The parts stay, since a worker counts them.
    pub(super) fn told(&self) -> Exposition {
        let mut state = self.state();
        let mut all = Exposition::new();
        let mut about = Exposition::new();
        for (slot, part) in self.slots.iter().zip(&mut state.parts) {
            if !slot.quiet {
                slot.tell(part, &mut about);
            }
            all.absorb(std::mem::take(&mut part.families));
        }
        all.absorb(about);
        all
    }
}
