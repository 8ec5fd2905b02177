//! One limit for several steps.

use std::time::{Duration, Instant};

pub(super) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit,
        }
    }

    /// The sooner of this one and so much from now.
    pub(super) fn at_most(&self, limit: Duration) -> Self {
        let left = self.limit.saturating_sub(self.start.elapsed());
        Self::after(left.min(limit))
    }

    /// Never zero: that would mean "no limit" to a socket.
    pub(super) fn left(&self) -> Result<Duration, String> {
        let left = self.limit.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            Err(format!("no answer within {:?}", self.limit))
        } else {
            Ok(left)
        }
    }
}
