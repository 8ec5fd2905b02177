//! The server: it holds the states and the fleet's truth, and drives runs.
//!
//! ```text
//! serve       puts it together, accepts connections, stops in order
//! enrol       machines without a certificate        agents     nodes
//! operators   ctl                                   fleet      who is connected
//! states      the tree on disk                      secrets    the texts behind references
//! compile     tree + registry + facts → catalogs    store      SQLite, one thread, one schema
//! runs        from a wish to its end                rollout    in which order: a pure state machine
//! web         metrics and service discovery         meters     what it counts of itself
//! init        makes a server                        commands   the command line
//! ```
//!
//! Rights come from the certificate and the registry: [`brine_wire::policy`] says which kind of peer
//! may ask what, and the registry whether this one still is who its certificate says. There is
//! deliberately no way from a fact, a name or an address to a right.
//!
//! A node's agent decides nothing about the fleet, and the server touches no node: it has no
//! [`brine_model::host::Host`].

mod agents;
mod clock;
pub mod commands;
mod compile;
pub mod config;
mod context;
mod enrol;
mod files;
mod fleet;
pub mod init;
mod meters;
mod notify;
mod operators;
mod random;
mod rollout;
mod runs;
mod secrets;
mod serve;
mod states;
mod store;
mod target;
mod web;

pub use serve::{ServeError, Server, run};
pub use web::HttpError;

/// Of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
