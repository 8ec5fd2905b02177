//! The words for states, and how they are toned.

use brine_wire::run::{NodeState, RunKind, RunPhase};

use super::style::Tone;

#[must_use]
pub const fn kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Plan => "plan",
        RunKind::Apply => "apply",
        RunKind::Action => "action",
    }
}

#[must_use]
pub const fn phase(phase: RunPhase) -> (Tone, &'static str) {
    match phase {
        RunPhase::Planning => (Tone::Accent, "planning"),
        RunPhase::Approval => (Tone::Warn, "waits for approval"),
        RunPhase::Applying => (Tone::Accent, "applying"),
        RunPhase::Succeeded => (Tone::Good, "succeeded"),
        RunPhase::Failed => (Tone::Bad, "failed"),
        RunPhase::Refused => (Tone::Bad, "refused"),
        RunPhase::Cancelled => (Tone::Warn, "cancelled"),
        RunPhase::Interrupted => (Tone::Bad, "interrupted"),
    }
}

#[must_use]
pub const fn node(state: NodeState) -> (Tone, &'static str) {
    match state {
        NodeState::Pending => (Tone::Dim, "pending"),
        NodeState::Planning => (Tone::Accent, "planning"),
        NodeState::Planned => (Tone::Plain, "planned"),
        NodeState::Applying => (Tone::Accent, "applying"),
        NodeState::Checking => (Tone::Accent, "checking health"),
        NodeState::InSync => (Tone::Good, "in sync"),
        NodeState::Changed => (Tone::Good, "changed"),
        NodeState::Failed => (Tone::Bad, "failed"),
        NodeState::Untouched => (Tone::Warn, "untouched"),
        NodeState::SkippedUnreachable => (Tone::Warn, "skipped, unreachable"),
        NodeState::Waiting => (Tone::Warn, "connection lost, waiting"),
        NodeState::Between => (Tone::Accent, "waits for the others"),
        NodeState::Reverted => (Tone::Bad, "reverted"),
        NodeState::Draining => (Tone::Accent, "draining"),
    }
}

/// As [`node`], for sums: one word, or nearly.
#[must_use]
pub const fn short(state: NodeState) -> &'static str {
    match state {
        NodeState::Checking => "checking",
        NodeState::SkippedUnreachable => "skipped",
        NodeState::Waiting => "waiting",
        state => node(state).1,
    }
}

/// Whether it has not got what the run was for, and was touched.
#[must_use]
pub const fn is_failed(state: NodeState) -> bool {
    matches!(state, NodeState::Failed | NodeState::Reverted)
}

/// Whether something goes on there at this moment.
#[must_use]
pub const fn is_busy(state: NodeState) -> bool {
    matches!(
        state,
        NodeState::Planning
            | NodeState::Applying
            | NodeState::Checking
            | NodeState::Waiting
            | NodeState::Draining
    )
}
