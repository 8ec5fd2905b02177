//! Letting machines in.
//!
//! [`decide()`] is the whole of the rules, on data; the store feeds it within one transaction, so
//! two machines with one token cannot both get in. [`handler`] talks to the machine.

pub mod decide;
pub mod handler;
mod pattern;

pub use decide::{Asked, Decision, Situation, decide};
pub use pattern::{is_pattern, matches};
