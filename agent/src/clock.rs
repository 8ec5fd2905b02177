//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use brine_model::time::Timestamp;

#[must_use]
pub(crate) fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp::default().plus(since),
        Err(_) => Timestamp::default(),
    }
}
