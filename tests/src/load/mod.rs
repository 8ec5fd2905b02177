//! Load on a fleet while something is done to it, and what came of it: a writer whose every
//! acknowledged row must still be there, and a prober of the front door.
//!
//! Both run as processes of the lab (`lab-load`), in the operator's seat: they end with it.

mod http;
pub mod prober;
mod process;
pub mod receiver;
mod session;
pub mod writer;

pub use prober::{Prober, ProberReport};
pub use receiver::Receiver;
pub use session::Trust;
pub use writer::{Login, Writer, WriterReport};

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds of the wall clock, as in every record here.
fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}
