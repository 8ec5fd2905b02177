//! One collector as scrapes know it, and what one run of it brought.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brine_exposition::{Exposition, Room};

use crate::collector::{CollectError, Collector};
use crate::complaints::{Complaints, reason};
use crate::roots::Roots;

pub(super) struct Slot {
    pub(super) name: &'static str,
    /// Whether its success is nobody's business: it is no collector of the machine.
    pub(super) quiet: bool,
    pub(super) collector: Box<dyn Collector>,
    /// A run has not come back.
    pub(super) out: AtomicBool,
    /// What the last run took.
    room: Mutex<Room>,
    complaints: Complaints,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) families: Exposition,
    took: Duration,
    succeeded: bool,
}

impl Part {
    pub(super) fn failed(took: Duration) -> Self {
        Self {
            families: Exposition::new(),
            took,
            succeeded: false,
        }
    }
}

impl Slot {
    pub(super) fn new(name: &'static str, quiet: bool, collector: Box<dyn Collector>) -> Self {
        Self {
            name,
            quiet,
            collector,
            out: AtomicBool::new(false),
            room: Mutex::default(),
            complaints: Complaints::default(),
        }
    }

    /// What is said of the collector itself.
    pub(super) fn tell(&self, part: &Part, about: &mut Exposition) {
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

    pub(super) fn run(&self, roots: &Roots) -> Part {
        let begin = Instant::now();
        let room = || self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let mut families = Exposition::with_room(*room());
        let collect = AssertUnwindSafe(|| self.collector.collect(roots, &mut families));
        let (succeeded, complaint) = match catch_unwind(collect) {
            Ok(Ok(())) => (true, None),
            // That there is nothing of the kind is no news.
            Ok(Err(CollectError::NoData)) => (false, None),
            Ok(Err(error)) => (false, Some(reason(&error))),
            Err(_) => (false, Some("it panicked".to_owned())),
        };
        self.complaints
            .tell(complaint.map(|why| (format!("collector {}", self.name), why)));
        *room() = families.room();
        Part {
            families,
            took: begin.elapsed(),
            succeeded,
        }
    }
}
