//! One answer: all collectors in turn, on a thread of their own. Who oversteps its deadline is left behind with that
//! thread, reported, and not asked again until it has come back: nothing that hangs costs more than itself, and at
//! most one thread for each collector.

mod round;
mod slot;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use brine_exposition::Exposition;

use self::round::{Round, State, Worker, start};
use self::slot::{Part, Slot};
use crate::collector::{Collector, Definition};
use crate::collectors::COLLECTORS;
use crate::options::Invalid;
use crate::roots::Roots;
use crate::selection::{Selection, UnknownCollector};

/// How long one collector may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The collectors of one machine. What they keep between scrapes lives here.
#[derive(Debug)]
pub struct Scraper {
    roots: Arc<Roots>,
    slots: Vec<Arc<Slot>>,
    deadline: Duration,
    worker: Option<Worker>,
}

/// A scrape under way: scrapes of one machine are one after the other.
///
/// Whoever begins it waits as [`Scrape::wait`] says, on a thread or in a task, until all is told. One that is dropped
/// before is left behind.
#[must_use = "a scrape that nobody waits for is left behind"]
pub struct Scrape<'a> {
    scraper: &'a mut Scraper,
    round: Arc<Round>,
    end: Instant,
    is_over: bool,
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
                let collector = (definition.new)(&selection.options(definition))?;
                slots.push(Arc::new(Slot::new(definition.name, false, collector)));
            }
        }
        Ok(Self {
            roots: Arc::new(roots),
            slots,
            deadline: DEADLINE,
            worker: None,
        })
    }

    /// With something else to tell, under the same deadline; it is told whatever is asked for.
    #[must_use]
    pub fn with(mut self, name: &'static str, collector: Box<dyn Collector>) -> Self {
        self.slots.push(Arc::new(Slot::new(name, true, collector)));
        self
    }

    /// Begins to ask all collectors, or those that `only` names, for `within` at most. When the last one is
    /// through, `done` is called, on another thread.
    ///
    /// # Errors
    /// A name is none of a collector that runs here.
    pub fn begin(
        &mut self,
        only: &[String],
        within: Duration,
        done: impl Fn() + Send + Sync + 'static,
    ) -> Result<Scrape<'_>, UnknownCollector> {
        let slots = self.chosen(only)?;
        let now = Instant::now();
        let round = Arc::new(Round {
            roots: Arc::clone(&self.roots),
            state: Mutex::new(State {
                worker: 0,
                since: now,
                parts: Vec::with_capacity(slots.len()),
            }),
            slots,
            done: Box::new(done),
        });
        let sent = self
            .worker
            .as_ref()
            .map(|worker| worker.send(Arc::clone(&round)));
        if !matches!(sent, Some(Ok(()))) {
            self.worker = start(&round, 0);
        }
        Ok(Scrape {
            scraper: self,
            round,
            end: now + within,
            is_over: false,
        })
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
}

impl Scrape<'_> {
    /// How long to wait before asking again, or until `done` is called; none when all is told. Who is late is left
    /// behind here.
    pub fn wait(&mut self) -> Option<Duration> {
        let Scraper {
            worker, deadline, ..
        } = &mut *self.scraper;
        let round = &self.round;
        let mut state = round.state();
        while state.parts.len() < round.slots.len() {
            let now = Instant::now();
            let is_late = now >= self.end;
            // Without a thread, which was said, there is nobody to wait for.
            if is_late || worker.is_none() {
                let took = state.since.elapsed();
                state.worker += 1;
                state
                    .parts
                    .resize_with(round.slots.len(), || Part::failed(took));
                if is_late {
                    tracing::warn!(
                        "a scrape of the machine's metrics took too long: it is told as far as it came"
                    );
                }
                // Whoever works on it finds out, and ends.
                *worker = None;
                break;
            }
            let late = state.since + *deadline;
            if now < late {
                return Some(late.min(self.end) - now);
            }
            let slot = &round.slots[state.parts.len()];
            tracing::warn!(collector = slot.name, "does not come back: left behind");
            state.worker += 1;
            state.since = now;
            state.parts.push(Part::failed(*deadline));
            *worker = start(round, state.worker);
        }
        self.is_over = true;
        None
    }

    /// What is told by now.
    #[must_use]
    pub fn told(self) -> Exposition {
        self.round.told()
    }
}

impl Drop for Scrape<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.round.state().worker += 1;
            self.scraper.worker = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{MutexGuard, PoisonError};

    use super::*;
    use crate::collector::CollectError;

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

    impl Scraper {
        fn scrape(
            &mut self,
            only: &[String],
            within: Duration,
        ) -> Result<Exposition, UnknownCollector> {
            let thread = std::thread::current();
            let mut scrape = self.begin(only, within, move || thread.unpark())?;
            while let Some(patience) = scrape.wait() {
                std::thread::park_timeout(patience);
            }
            Ok(scrape.told())
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn scraper(deadline: Duration) -> Scraper {
        let mut scraper = Scraper::of(SOME, Roots::default(), &Selection::default()).unwrap();
        scraper.deadline = deadline;
        scraper
    }

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn come_back(scraper: &Scraper) {
        let is_out = |slot: &Arc<Slot>| slot.out.load(Ordering::SeqCst);
        while scraper.slots.iter().any(is_out) {
            std::thread::yield_now();
        }
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
        let mut scraper = scraper(Duration::from_millis(50));
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
        come_back(&scraper);
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
        come_back(&patient);
        let text = patient.scrape(&[], LONG).unwrap().text();
        assert!(success(&text, "works") && success(&text, "hangs"));
        // Who loses interest takes nothing from those who come later.
        let gate = lock(&GATE);
        drop(patient.begin(&[], LONG, || ()).unwrap());
        drop(gate);
        come_back(&patient);
        let text = patient.scrape(&[], LONG).unwrap().text();
        assert!(success(&text, "works") && success(&text, "hangs"));
    }
}
