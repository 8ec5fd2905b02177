//! Letting machines in.
//!
//! [`decide()`] is the whole of the rules, on data; the store feeds it within one transaction, so
//! two machines with one token cannot both get in. [`handler`] talks to the machine.

pub(crate) mod decide;
pub(crate) mod handler;
mod pattern;

pub(crate) use decide::{Asked, Decision, Situation, decide};
pub(crate) use pattern::{is_pattern, matches};
