//! How long to wait before the next attempt: doubling, with full jitter, so that a fleet that lost
//! its server does not come back all at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            attempts: 0,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Between nothing and the present limit, which doubles with each call.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1);
        doubled.min(self.longest).mul_f64(fraction())
    }
}

/// At random from 0 to 1: the standard library's keys are seeded by the system.
pub(crate) fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_limit_and_not_beyond() {
        let longest = Duration::from_secs(30);
        let mut backoff = Backoff::new(Duration::from_millis(500), longest);
        assert!(backoff.next() <= Duration::from_millis(500));
        let waits: Vec<Duration> = (0..200).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert!(
            waits.iter().any(|wait| *wait > longest / 2),
            "it spreads over the whole range"
        );
        assert!(waits.iter().any(|wait| *wait < longest / 2));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(500));
    }
}
