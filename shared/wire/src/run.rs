//! Runs as operators see them.

use brine_model::converge::{ApplyReport, Plan};
use brine_model::diagnostic::Diagnostic;
use brine_model::digest::Digest;
use brine_model::name::{NodeName, OperatorName, RoleName};
use brine_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::{Progress, RunId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    Plan,
    Apply,
    Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunPhase {
    Planning,
    /// Planned; waits for an operator's yes.
    Approval,
    Applying,
    /// Ended as wished: everything planned or in sync.
    Succeeded,
    /// A node failed, a gate did not open.
    Failed,
    /// Refused before anything was touched.
    Refused,
    Cancelled,
    /// The server stopped while it went on.
    Interrupted,
}

impl RunPhase {
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Planning | Self::Approval | Self::Applying)
    }
}

/// The head of a run's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    pub id: RunId,
    pub kind: RunKind,
    pub target: String,
    pub operator: OperatorName,
    pub phase: RunPhase,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// Name of the state tree's snapshot: a digest, and the Git commit where there is one.
    pub snapshot: String,
    /// Why it ended as it did, where that needs words.
    pub reason: Option<String>,
    pub nodes: Vec<RunNode>,
}

/// Where one node of a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNode {
    pub name: NodeName,
    pub roles: Vec<RoleName>,
    pub state: NodeState,
    /// Why, where that needs words.
    pub reason: Option<String>,
    pub changed: u32,
    pub failed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Nothing sent yet.
    Pending,
    Planning,
    Planned,
    Applying,
    /// Applied; its health is awaited.
    Checking,
    InSync,
    Changed,
    Failed,
    /// The rollout stopped before its turn.
    Untouched,
    /// Unreachable, and the operator said to go on without.
    SkippedUnreachable,
    /// The connection is gone while it applies; the result is awaited.
    Waiting,
    /// Its part is done; it waits for others before it goes on.
    Between,
    /// It has its previous catalog back, because the rollout failed.
    Reverted,
    /// Taken out of service for its step, or being put back.
    Draining,
}

/// What happened, in order, kept in the store: `ctl` follows from a sequence number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Within the run, counted from 1. Progress has none and is not kept.
    pub sequence: u64,
    pub at: Timestamp,
    pub what: Happening,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Happening {
    Phase {
        phase: RunPhase,
        reason: Option<String>,
    },
    Node {
        node: NodeName,
        state: NodeState,
        reason: Option<String>,
    },
    Progress {
        node: NodeName,
        progress: Progress,
    },
    /// For people: "waiting for run 12 to release balancer/haproxy".
    Note(String),
}

/// Everything known of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    pub summary: RunSummary,
    /// Compile errors of the nodes concerned.
    pub diagnostics: Vec<Diagnostic>,
    pub plans: Vec<(NodeName, Plan)>,
    pub reports: Vec<(NodeName, ApplyReport)>,
    /// The catalog that each node was to get.
    pub catalogs: Vec<(NodeName, Digest)>,
    /// What an action said on each node.
    pub outputs: Vec<(NodeName, Output)>,
}

/// What an action left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Exit code; 0 where it was no program.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}
