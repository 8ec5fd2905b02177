//! One answer: all collectors in turn, on a thread of their own. Who oversteps its deadline is left behind with that
//! thread, reported, and not asked again until it has come back: nothing that hangs costs more than itself, and at
//! most one thread for each collector.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition};
use crate::collectors::COLLECTORS;
use crate::options::Invalid;
use crate::roots::Roots;
use crate::selection::{Selection, UnknownCollector};

/// How long one collector may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Of the thread. What is not touched costs nothing, and one that overflows ends the whole process.
const STACK: usize = 1024 * 1024;

/// The collectors of one machine. What they keep between scrapes lives here.
#[derive(Debug)]
pub struct Scraper {
    roots: Arc<Roots>,
    slots: Vec<Arc<Slot>>,
    deadline: Duration,
    /// Scrapes are one after the other.
    worker: Mutex<Option<mpsc::Sender<Arc<Round>>>>,
}

struct Slot {
    name: &'static str,
    /// Whether its success is nobody's business: it is no collector of the machine.
    quiet: bool,
    collector: Box<dyn Collector>,
    /// A run has not come back.
    out: AtomicBool,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// One scrape under way.
#[derive(Debug)]
struct Round {
    roots: Arc<Roots>,
    slots: Vec<Arc<Slot>>,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    /// Which worker counts: another one was left behind.
    worker: u32,
    /// Since when the collector at hand runs.
    since: Instant,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    families: Exposition,
    took: Duration,
    succeeded: bool,
}

impl Part {
    fn failed(took: Duration) -> Self {
        Self {
            families: Exposition::new(),
            took,
            succeeded: false,
        }
    }
}

impl Scraper {
    /// # Errors
    /// An option makes no sense.
    pub fn new(roots: Roots, selection: &Selection) -> Result<Self, Invalid> {
        Self::of(COLLECTORS, roots, selection)
    }

    fn of(
        definitions: &'static [Definition],
        roots: Roots,
        selection: &Selection,
    ) -> Result<Self, Invalid> {
        let mut slots = Vec::new();
        for definition in definitions {
            if selection.takes(definition) {
                slots.push(Arc::new(Slot {
                    name: definition.name,
                    quiet: false,
                    collector: (definition.new)(&selection.options(definition))?,
                    out: AtomicBool::new(false),
                }));
            }
        }
        Ok(Self {
            roots: Arc::new(roots),
            slots,
            deadline: DEADLINE,
            worker: Mutex::default(),
        })
    }

    /// With something else to tell, under the same deadline; it is told whatever is asked for.
    #[must_use]
    pub fn with(mut self, name: &'static str, collector: Box<dyn Collector>) -> Self {
        self.slots.push(Arc::new(Slot {
            name,
            quiet: true,
            collector,
            out: AtomicBool::new(false),
        }));
        self
    }

    /// Scrapes: all collectors, or those that `only` names. It blocks, for `within` at most.
    ///
    /// # Errors
    /// A name is none of a collector that runs here.
    pub fn scrape(
        &self,
        only: &[String],
        within: Duration,
    ) -> Result<Exposition, UnknownCollector> {
        let slots = self.chosen(only)?;
        let mut worker = lock(&self.worker);
        let end = Instant::now() + within;
        let round = Arc::new(Round {
            roots: Arc::clone(&self.roots),
            slots,
            state: Mutex::new(State {
                worker: 0,
                since: Instant::now(),
                parts: Vec::new(),
            }),
            moved: Condvar::new(),
        });
        if worker
            .as_ref()
            .is_none_or(|thread| thread.send(Arc::clone(&round)).is_err())
        {
            *worker = start(&round, 0);
        }
        if self.watch(&round, &mut worker, end).is_none() {
            // Whoever works on it finds out, and ends.
            *worker = None;
        }
        Ok(round.told())
    }

    /// The collectors to ask.
    fn chosen(&self, only: &[String]) -> Result<Vec<Arc<Slot>>, UnknownCollector> {
        let names: BTreeSet<&str> = only.iter().map(String::as_str).collect();
        for name in &names {
            let mut collectors = self.slots.iter().filter(|slot| !slot.quiet);
            if !collectors.any(|slot| slot.name == *name) {
                let known = COLLECTORS.iter().any(|known| known.name == *name);
                return Err(if known {
                    UnknownCollector::Disabled((*name).to_owned())
                } else {
                    UnknownCollector::Missing((*name).to_owned())
                });
            }
        }
        let wanted = self.slots.iter();
        let wanted =
            wanted.filter(|slot| slot.quiet || names.is_empty() || names.contains(slot.name));
        Ok(wanted.cloned().collect())
    }

    /// Waits until all is told; none where the time was up, and the worker does not count any more.
    fn watch(
        &self,
        round: &Arc<Round>,
        worker: &mut Option<mpsc::Sender<Arc<Round>>>,
        end: Instant,
    ) -> Option<()> {
        let mut state = lock(&round.state);
        while state.parts.len() < round.slots.len() {
            let now = Instant::now();
            if now >= end {
                state.worker += 1;
                let took = state.since.elapsed();
                while state.parts.len() < round.slots.len() {
                    state.parts.push(Part::failed(took));
                }
                tracing::warn!(
                    "a scrape of the machine's metrics took too long: it is told as far as it came"
                );
                return None;
            }
            let late = state.since + self.deadline;
            if now >= late {
                let slot = &round.slots[state.parts.len()];
                tracing::warn!(collector = slot.name, "does not come back: left behind");
                state.worker += 1;
                state.since = now;
                state.parts.push(Part::failed(self.deadline));
                *worker = start(round, state.worker);
                continue;
            }
            let wait = round.moved.wait_timeout(state, late.min(end) - now);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(())
    }
}

/// A thread that works on this round, then on those that it is sent.
fn start(round: &Arc<Round>, number: u32) -> Option<mpsc::Sender<Arc<Round>>> {
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
    /// Works through what is left; none when it was left behind.
    fn work(&self, number: u32) -> Option<()> {
        loop {
            let slot = {
                let mut state = lock(&self.state);
                if state.worker != number {
                    return None;
                }
                let Some(slot) = self.slots.get(state.parts.len()) else {
                    self.moved.notify_all();
                    return Some(());
                };
                state.since = Instant::now();
                if slot.out.swap(true, Ordering::AcqRel) {
                    state.parts.push(Part::failed(Duration::ZERO));
                    continue;
                }
                Arc::clone(slot)
            };
            let part = slot.run(&self.roots);
            slot.out.store(false, Ordering::Release);
            let mut state = lock(&self.state);
            if state.worker != number {
                tracing::info!(collector = slot.name, "came back");
                return None;
            }
            state.parts.push(part);
        }
    }

    /// What there is, with what is said of each collector.
    fn told(&self) -> Exposition {
        let parts = std::mem::take(&mut lock(&self.state).parts);
        let mut all = Exposition::new();
        let mut about = Exposition::new();
        for (slot, part) in self.slots.iter().zip(parts) {
            if !slot.quiet {
                slot.tell(&part, &mut about);
            }
            all.absorb(part.families);
        }
        all.absorb(about);
        all
    }
}

impl Slot {
    /// What is said of the collector itself.
    fn tell(&self, part: &Part, about: &mut Exposition) {
        let labels = [("collector", self.name)];
        about
            .gauge(
                "node_scrape_collector_duration_seconds",
                "node_exporter: Duration of a collector scrape.",
            )
            .add(&labels, part.took.as_secs_f64());
        about
            .gauge(
                "node_scrape_collector_success",
                "node_exporter: Whether a collector succeeded.",
            )
            .add(&labels, part.succeeded);
    }

    fn run(&self, roots: &Roots) -> Part {
        let begin = Instant::now();
        let mut families = Exposition::new();
        let collect = AssertUnwindSafe(|| self.collector.collect(roots, &mut families));
        let succeeded = match catch_unwind(collect) {
            Ok(Ok(())) => true,
            Ok(Err(CollectError::NoData)) => false,
            Ok(Err(error)) => {
                tracing::debug!(
                    collector = self.name,
                    error = &error as &dyn std::error::Error,
                    "failed"
                );
                false
            }
            Err(_) => {
                tracing::error!(collector = self.name, "panicked");
                false
            }
        };
        Part {
            families,
            took: begin.elapsed(),
            succeeded,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Lets go of the collector that hangs.
    static GATE: Mutex<()> = Mutex::new(());
    static RUNS: AtomicUsize = AtomicUsize::new(0);

    static SOME: &[Definition] = &[
        Definition {
            name: "fails",
            enabled: true,
            options: &[],
            new: |_| {
                Ok(Box::new(|_: &Roots, out: &mut Exposition| {
                    out.gauge("before_the_error", "Counts.").add(&[], 1_u64);
                    Err(CollectError::NoData)
                }))
            },
        },
        Definition {
            name: "hangs",
            enabled: true,
            options: &[],
            new: |_| {
                Ok(Box::new(|_: &Roots, out: &mut Exposition| {
                    RUNS.fetch_add(1, Ordering::SeqCst);
                    let _gate = lock(&GATE);
                    out.gauge("behind_the_gate", "Is late.").add(&[], 1_u64);
                    Ok(())
                }))
            },
        },
        Definition {
            name: "off",
            enabled: false,
            options: &[],
            new: |_| Ok(Box::new(|_: &Roots, _: &mut Exposition| Ok(()))),
        },
        Definition {
            name: "panics",
            enabled: true,
            options: &[],
            new: |_| {
                Ok(Box::new(|_: &Roots, _: &mut Exposition| {
                    panic!("on purpose")
                }))
            },
        },
        Definition {
            name: "works",
            enabled: true,
            options: &[],
            new: |_| {
                Ok(Box::new(|_: &Roots, out: &mut Exposition| {
                    out.gauge("works", "Does.").add(&[], 1_u64);
                    Ok(())
                }))
            },
        },
    ];

    const LONG: Duration = Duration::from_secs(60);

    fn scraper(deadline: Duration) -> Scraper {
        let mut scraper = Scraper::of(SOME, Roots::default(), &Selection::default()).unwrap();
        scraper.deadline = deadline;
        scraper
    }

    fn success(text: &str, collector: &str) -> bool {
        let line = format!("node_scrape_collector_success{{collector=\"{collector}\"}} ");
        let at = text
            .find(&line)
            .unwrap_or_else(|| panic!("{collector}: {text}"));
        text[at + line.len()..].starts_with('1')
    }

    #[test]
    fn one_that_hangs_costs_itself_and_one_thread() {
        let scraper = scraper(Duration::from_millis(50));
        let gate = lock(&GATE);
        for _ in 0..3 {
            let text = scraper.scrape(&[], LONG).unwrap().text();
            assert!(
                !success(&text, "hangs") && !success(&text, "panics") && !success(&text, "fails")
            );
            assert!(success(&text, "works"), "{text}");
            assert!(text.contains("before_the_error 1") && !text.contains("behind_the_gate"));
        }
        assert_eq!(RUNS.load(Ordering::SeqCst), 1, "it was not asked again");
        drop(gate);
        let slot = scraper
            .slots
            .iter()
            .find(|slot| slot.name == "hangs")
            .unwrap();
        while slot.out.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let mut patient = scraper;
        patient.deadline = LONG;
        let text = patient.scrape(&[], LONG).unwrap().text();
        assert!(success(&text, "hangs") && text.contains("behind_the_gate 1"));
        // Those who are asked by name, and nobody else.
        let text = patient.scrape(&["works".to_owned()], LONG).unwrap().text();
        assert!(success(&text, "works") && !text.contains("collector=\"hangs\""));
        let disabled = patient.scrape(&["loadavg".to_owned()], LONG).unwrap_err();
        assert_eq!(disabled.to_string(), "disabled collector: loadavg");
        let missing = patient.scrape(&["x".to_owned()], LONG).unwrap_err();
        assert_eq!(missing.to_string(), "missing collector: x");
        // The whole has an end of its own.
        let gate = lock(&GATE);
        let text = patient
            .scrape(&[], Duration::from_millis(50))
            .unwrap()
            .text();
        assert!(
            !success(&text, "hangs") && !success(&text, "works"),
            "{text}"
        );
        drop(gate);
        while patient
            .slots
            .iter()
            .any(|slot| slot.out.load(Ordering::SeqCst))
        {
            std::thread::yield_now();
        }
        let text = patient.scrape(&[], LONG).unwrap().text();
        assert!(success(&text, "works") && success(&text, "hangs"));
    }
}
