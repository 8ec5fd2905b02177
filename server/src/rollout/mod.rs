//! In which order an apply moves over the members of roles, decided as data.
//!
//! [`waves()`] orders roles by their `after`; [`formation`] says of each role whether it exists
//! already; [`passes()`] cuts a wave into passes at whatever all members have to reach before any
//! goes on. [`Rollout`] moves one pass over its nodes: a state machine without sockets, clock or
//! store, whose inputs are what members answer and whose outputs are [`Action`]s for the driver in
//! [`crate::runs`]. [`gate`] is the one rule that keeps a role in service.
//!
//! What it holds to, whatever happens:
//! - A formed role never has more members out than `max_unavailable`, counted over all registered
//!   members, targeted or not, with answers asked for before each step. Mending a member that is
//!   out anyway costs nothing, so it is allowed, but one at a time like any other step.
//! - The first failure stops everything that has not begun.
//! - A role that does not exist yet is formed all at once, and only where that is certain.
//! - Of several members that could be next, those begin that the formulas' `order` puts first.

pub(crate) mod formation;
mod gate;
mod machine;
mod passes;
mod preflight;
#[cfg(test)]
mod tests;
mod waves;

use std::collections::{BTreeMap, BTreeSet};

use brine_model::name::{NodeName, RoleName};

use crate::runs::outcome::StepOutcome;
pub(crate) use machine::Rollout;
pub(crate) use passes::{NodeShape, Pass, PassKind, passes};
pub(crate) use preflight::preflight;
pub(crate) use waves::waves;

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
    /// It does not exist yet: its members go all at once, and nobody is missed.
    pub forming: bool,
}

/// What a node's plan holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Nothing that was asked of it holds; with why.
    Unhealthy(String),
    /// Something holds and something does not, or it gave no answer: out for the others, and to be
    /// missed all the same. With why.
    Partly(String),
}

/// Where the formulas' `order` puts a member, by what it told of itself for this step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Rank {
    First,
    #[default]
    Between,
    Last,
}

/// What the driver tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// The answer to [`Action::Ask`].
    Standing(NodeName, Standing, Rank),
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
    /// The gate let nobody begin.
    Closed(String),
    /// A step did not come out as it should.
    Failed(String),
    Cancelled(String),
}
