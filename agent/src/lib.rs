//! The agent: makes one node match its catalog.
//!
//! ```text
//! run      the agent's life: starts those below, and ends them in the right order
//! link     enrols, connects, connects again; serves the server's requests, delivers results
//! jobs     one at a time on a blocking thread; the journal makes them happen once
//! host     the machine: the only code that changes one
//! drift    what others change between applies: seen, told, mended
//! state    the agent's own files
//! facts    what the machine is
//! metrics  the machine's metrics, and the agent's own, for whoever scrapes
//! doctor   what keeps this agent from its server, checked one by one
//! ```
//!
//! The link and the jobs know each other only by handles: a lost connection never touches a job.
//! There is deliberately no configuration file: an agent gets a join token, the rest comes from
//! the server. Who may have its metrics is a file of its catalog, or of its image.

mod backoff;
mod boot;
pub mod cli;
mod clock;
pub mod config;
pub mod doctor;
mod drift;
pub mod facts;
pub mod host;
mod jobs;
mod link;
mod memory;
mod metrics;
mod run;
pub mod state;

pub use run::run;

/// Of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
