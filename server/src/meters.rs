//! What the server counts of itself while it works.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use brine_exposition::Samples;

/// Upper bounds, in seconds: from a look into memory to a disk that is about to fail.
const BOUNDS: [(f64, &str); 14] = [
    (0.0005, "0.0005"),
    (0.001, "0.001"),
    (0.0025, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (10.0, "10"),
];

/// How long things took.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// By bound; not cumulative, so that one is touched for each observation.
    buckets: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Histogram {
    pub(crate) fn since(&self, begin: Instant) {
        self.observe(begin.elapsed());
    }

    fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = BOUNDS.iter().position(|(bound, _)| seconds <= *bound);
        match place {
            Some(place) => self.buckets[place].fetch_add(1, Relaxed),
            None => self.beyond.fetch_add(1, Relaxed),
        };
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    /// Adds its samples; `label` tells it from others of its family.
    pub(crate) fn tell(&self, label: Option<(&str, &str)>, out: &mut Samples<'_>) {
        let mut count = 0;
        for (bucket, (_, bound)) in self.buckets.iter().zip(BOUNDS) {
            count += bucket.load(Relaxed);
            out.suffixed("_bucket", &with(label, Some(bound)), count);
        }
        count += self.beyond.load(Relaxed);
        out.suffixed("_bucket", &with(label, Some("+Inf")), count);
        let sum = Duration::from_nanos(self.nanoseconds.load(Relaxed));
        out.suffixed("_sum", &with(label, None), sum.as_secs_f64());
        out.suffixed("_count", &with(label, None), count);
    }
}

fn with<'a>(label: Option<(&'a str, &'a str)>, bound: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let bound = bound.map(|bound| ("le", bound));
    label.into_iter().chain(bound).collect()
}

/// Of requests, by who asks.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) agents: Histogram,
    pub(crate) operators: Histogram,
}

#[cfg(test)]
mod tests {
    use brine_exposition::{Exposition, Kind};

    use super::*;

    #[test]
    fn buckets_are_told_as_sums() {
        let histogram = Histogram::default();
        for milliseconds in [1, 3, 3, 20_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let mut all = Exposition::new();
        let mut family = all.family("wait_seconds", Kind::Histogram, "Waiting.");
        histogram.tell(Some(("by", "x")), &mut family);
        let text = all.text();
        for line in [
            "wait_seconds_bucket{by=\"x\",le=\"0.0005\"} 0",
            "wait_seconds_bucket{by=\"x\",le=\"0.001\"} 1",
            "wait_seconds_bucket{by=\"x\",le=\"0.005\"} 3",
            "wait_seconds_bucket{by=\"x\",le=\"10\"} 3",
            "wait_seconds_bucket{by=\"x\",le=\"+Inf\"} 4",
            "wait_seconds_sum{by=\"x\"} 20.007",
            "wait_seconds_count{by=\"x\"} 4",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }
}
