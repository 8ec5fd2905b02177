//! In which order an apply moves over the members of roles, decided as data.
//!
//! [`Rollout`] is a state machine without sockets, clock or store: inputs are what members answer,
//! outputs are [`Action`]s for the driver in [`crate::runs`]. [`gate`] is the one rule that keeps a
//! role in service; [`waves`] orders roles by their `after`.
//!
//! What it holds to, whatever happens:
//! - A formed role never has more members out than `max_unavailable`, counted over all registered
//!   members, targeted or not, with answers asked for before each step. Mending a member that is
//!   out anyway costs nothing, so it is allowed, but one at a time like any other step.
//! - The first failure stops everything that has not begun.
//! - A role in which nobody has ever applied anything is formed all at once.

mod gate;
mod machine;
#[cfg(test)]
mod tests;
mod waves;

use std::collections::{BTreeMap, BTreeSet};

use brine_model::name::{NodeName, RoleName};

use crate::runs::outcome::StepOutcome;
pub(crate) use machine::Rollout;

/// What a rollout starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// All registered members of all roles of the targeted nodes.
    pub members: BTreeMap<NodeName, Member>,
    pub roles: BTreeMap<RoleName, Rule>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub roles: BTreeSet<RoleName>,
    /// Roles that have been applied to it: in these it counts, and is missed when it is out.
    pub formed: BTreeSet<RoleName>,
    /// None: not part of the run, only watched.
    pub work: Option<Work>,
}

/// How one role may be moved over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub max_unavailable: u32,
    /// Roles of the same run that must be done before.
    pub after: BTreeSet<RoleName>,
}

/// What a node's plan holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// In sync: applied all the same, which proves it.
    Confirm,
    /// Changes that no service feels.
    Quiet,
    Disturb,
}

/// How a member stood when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Available,
    Disconnected,
    /// With why.
    Unhealthy(String),
}

/// What the driver tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// The answer to [`Action::Ask`].
    Standing(NodeName, Standing),
    /// The answer to [`Action::Apply`].
    Applied(NodeName, StepOutcome),
    /// The answer to [`Action::Check`]: `Err` says what does not hold.
    Settled(NodeName, Result<(), String>),
    /// An operator's wish.
    Cancel(String),
}

/// What the driver does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Find out how this member stands, now.
    Ask(NodeName),
    Apply(NodeName),
    /// Wait until the member is healthy, as long as its policy allows.
    Check(NodeName),
    /// Ask the node to stop after the resource at hand.
    CancelJob(NodeName),
    /// Nothing is under way, and nothing will be.
    Finish(End),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub verdict: Verdict,
    /// Nodes that the rollout did not come to.
    pub untouched: Vec<NodeName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed(String),
    Cancelled(String),
}
