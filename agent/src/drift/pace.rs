//! How soon after a change it is looked at, and told: at once, and once a second where changes do not end.

use std::time::Duration;

/// A change is rarely alone: an editor writes, renames, sets a mode.
const FIRST: Duration = Duration::from_millis(100);

/// Looks that may follow each other at once.
const BURST: f64 = 30.0;

/// Looks in a second that a storm of changes gets in the long run.
const RATE: f64 = 1.0;

/// A token bucket. Times are those since some fixed point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    tokens: f64,
    at: Duration,
}

impl Pace {
    pub(crate) const fn new() -> Self {
        Self {
            tokens: BURST,
            at: Duration::ZERO,
        }
    }

    /// When to look at what has changed `now`.
    pub(crate) fn due(&self, now: Duration) -> Duration {
        let missing = (1.0 - self.tokens_at(now)).max(0.0);
        now + FIRST.max(Duration::from_secs_f64(missing / RATE))
    }

    pub(crate) fn looked(&mut self, now: Duration) {
        self.tokens = (self.tokens_at(now) - 1.0).max(0.0);
        self.at = now;
    }

    fn tokens_at(&self, now: Duration) -> f64 {
        let gained = now.saturating_sub(self.at).as_secs_f64() * RATE;
        (self.tokens + gained).min(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_looked_at_once_a_second() {
        let mut pace = Pace::new();
        let mut now = Duration::from_secs(100);
        assert_eq!(pace.due(now), now + FIRST);
        // Something changes all the time, for ten minutes.
        let end = now + Duration::from_secs(600);
        let mut looks = 0;
        while now < end {
            now = pace.due(now);
            pace.looked(now);
            looks += 1;
        }
        assert!((600..640).contains(&looks), "{looks} looks");
        now += Duration::from_secs(5);
        assert_eq!(pace.due(now), now + FIRST);
    }
}
