//! From a catalog to a machine that matches it: prepare, plan, apply.
//!
//! - [`prepare`] decodes a catalog and renders its templates; every error shows before a node is
//!   touched.
//! - [`plan()`] tells what would change. It runs over [`Predicted`], so that a later resource sees
//!   what an earlier one will have done.
//! - [`apply()`] plans each resource just before applying it and again after: what is left then is a
//!   failure. So a plan cannot lie, and idempotence is checked in production.
//! - [`heal()`] does the same to a few resources that were changed by others, as far as that
//!   interrupts nobody.
//!
//! There is deliberately no state between the three but what lies on the machine itself: a
//! process that dies anywhere in an apply leaves nothing behind that the next one needs.

mod apply;
mod approval;
#[cfg(test)]
mod crash_tests;
pub mod fake;
mod heal;
mod known;
mod plan;
mod predicted;
mod prepare;
mod released;
#[cfg(test)]
mod tests;
mod transaction;

pub use apply::{Applied, ApplyReport, Observer, Part, ResourceOutcome, Silent, apply};
pub use approval::Approval;
pub use heal::{heal, remedy};
pub use plan::{Plan, PlanOutcome, Planned, plan, plan_some};
pub use predicted::Predicted;
pub use prepare::{PrepareError, Prepared, prepare};
pub use released::released;
