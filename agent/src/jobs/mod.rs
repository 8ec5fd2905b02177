//! Jobs: one at a time, recorded before they start, results kept until acknowledged.
//!
//! ```text
//!            Submit, State, Cancel          accept → begin → finish
//!  link ───────────────────────────► Worker ───────────────────────► Journal
//!   ▲  kept results, progress (watch)   │ one at a time
//!   └───────────────────────────────────┤
//!     blobs that are missing            └► task: fetch, then plan/apply/… on a blocking thread
//! ```
//!
//! The worker neither knows nor cares whether there is a connection: a lost one never touches a
//! job. Only a blob that is missing makes a job wait for it, within the job's deadline.

mod act;
mod apply;
mod cancel;
mod execute;
mod fetch;
mod handle;
mod health;
pub(crate) mod materials;
mod observer;
mod plan;
mod reboot;
mod restart;
mod shrink;
mod task;
mod turn;
mod worker;

pub(crate) use self::handle::WorkerHandle;
pub(crate) use self::turn::{Turn, is_busy};
pub(crate) use self::worker::{Place, start};
