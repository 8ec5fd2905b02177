//! Between `ctl` and the server.
//!
//! `ctl` opens a stream for each request and reads one reply; only [`OperatorRequest::Watch`]
//! is answered by many.

use std::collections::BTreeMap;

use brine_model::converge::Approval;
use brine_model::diagnostic::Diagnostic;
use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::inventory::Cell;
use brine_model::name::{NodeName, RoleName};
use brine_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::RunId;
use crate::run::{Event, RunDetail, RunSummary};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OperatorRequest {
    Status,
    Nodes,
    Node(NodeName),
    /// Registers a node and makes a one-use token for it.
    AddNode(AddNode),
    /// Lets a waiting node in, whose key has this fingerprint.
    AcceptNode {
        name: NodeName,
        fingerprint: String,
        roles: Vec<RoleName>,
    },
    RemoveNode(NodeName),
    SetNode {
        name: NodeName,
        roles: Option<Vec<RoleName>>,
        labels: BTreeMap<String, Option<String>>,
        address: Option<String>,
    },
    AddToken(AddToken),
    Tokens,
    RevokeToken(String),
    StartPlan(Start),
    /// Plans, then waits for [`OperatorRequest::Approve`] unless `approved` is set.
    StartApply {
        start: Start,
        approved: bool,
    },
    Approve(RunId),
    Cancel(RunId),
    Runs {
        limit: u32,
    },
    Run(RunId),
    /// Events from this sequence number on, until the run is over.
    Watch {
        run: RunId,
        from: u64,
    },
    /// What the agent would write: compiled and rendered, secrets masked.
    Render {
        node: NodeName,
        path: String,
    },
    /// Revokes the machine that has this name, keeps everything else about it, raises its
    /// generation, and makes a one-use token for the machine that takes its place.
    ReplaceNode {
        name: NodeName,
        /// Seconds that the token is good for.
        ttl: u64,
    },
    /// Keeps runs away from a node until then; none takes that back.
    PauseNode {
        name: NodeName,
        until: Option<Timestamp>,
        reason: Option<String>,
    },
    /// Does something on every node of the target, under the same rollout as an apply.
    StartActions(StartAction),
    /// Asks the inventory.
    Query(Query),
    /// Has the nodes of this target report what is new; answered when all have, or did not in time.
    Refresh {
        target: String,
    },
}

/// One SELECT over the views.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub sql: String,
    /// Whom it is about: the view `target` has their names, and only their ages are told.
    pub target: String,
    /// For `:name` in it.
    pub parameters: BTreeMap<String, String>,
    /// The most rows that are wanted.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// There are more rows than the limit.
    pub truncated: bool,
    /// How old what was asked is: every node of the target, sorted by name.
    pub reports: Vec<Report>,
}

/// When a node last told how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub node: NodeName,
    /// None: never.
    pub at: Option<Timestamp>,
    pub connected: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartAction {
    pub start: Start,
    pub action: ActionRequest,
}

/// What `ctl do` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionRequest {
    /// One that a formula lists: `patroni.restart`.
    Formula {
        formula: String,
        action: String,
    },
    /// `service.restart UNIT`
    RestartService(String),
    Reboot,
    /// `exec -- ARGV`
    Execute(Vec<String>),
}

/// What an operator has agreed to before: a saved plan, or a run that stopped half-way. A run that
/// would do more, or whose catalogs are others by now, is refused.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Agreed {
    pub nodes: BTreeMap<NodeName, AgreedNode>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgreedNode {
    pub catalog: Digest,
    pub approval: Approval,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub target: String,
    pub skip_unreachable: bool,
    /// Wait for other runs' leases instead of being refused.
    pub wait: bool,
    /// Exactly this, or nothing.
    pub agreed: Option<Agreed>,
    /// Go on where this run stopped: its target, and what was agreed to then.
    pub resume: Option<RunId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddNode {
    pub name: NodeName,
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    /// The address that other nodes reach it at; otherwise the one that it connects from.
    pub address: Option<String>,
    /// Seconds that the token is good for.
    pub ttl: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddToken {
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    /// Shell-like pattern that proposed names must match: `backend*`.
    pub names: String,
    pub uses: u32,
    /// Seconds.
    pub ttl: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OperatorReply {
    Done,
    Status(Status),
    Nodes(Vec<NodeInfo>),
    Node(Box<NodeDetail>),
    /// The only time that the token is shown.
    Token {
        id: String,
        token: String,
        expires: Timestamp,
    },
    Tokens(Vec<TokenInfo>),
    Run(RunId),
    Runs(Vec<RunSummary>),
    RunDetail(Box<RunDetail>),
    Event(Event),
    /// No more events: the run is over.
    EndOfEvents,
    Rendered {
        text: String,
        sensitive: bool,
    },
    /// The state tree does not compile for the nodes concerned.
    Invalid(Vec<Diagnostic>),
    Refused(Refusal),
    Answer(Box<Answer>),
    /// Who has reported, and who has not.
    Refreshed {
        reported: Vec<NodeName>,
        silent: Vec<NodeName>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub why: Why,
    /// What, where, why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Decides `ctl`'s exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The request makes no sense: an empty target, an unknown node.
    BadRequest,
    NotFound,
    /// Something else must happen first: a lease is held, a node is unreachable.
    Conflict,
    /// The operator may not do that.
    Forbidden,
    /// The server itself failed.
    Internal,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub server_version: String,
    pub snapshot: String,
    pub nodes: Vec<NodeInfo>,
    /// Runs that are not over.
    pub runs: Vec<RunSummary>,
    /// Of the whole state tree, as it is now.
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    pub name: NodeName,
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    pub address: Option<String>,
    pub enrollment: Enrollment,
    pub connected: bool,
    pub last_seen: Option<Timestamp>,
    pub agent_version: Option<String>,
    /// The catalog that it applied last, and the one that it should have.
    pub applied: Option<Digest>,
    pub newest: Option<Digest>,
    /// How often another machine took its place.
    pub generation: u32,
    pub paused: Option<Paused>,
    /// Resources that are not as its last applied catalog says, as far as it told.
    pub drifted: u32,
}

/// Why runs keep away from a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub until: Timestamp,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enrollment {
    /// Registered, no key yet.
    Expected,
    /// Asked for a certificate, waits for `ctl nodes accept`.
    Waiting { fingerprint: String },
    Enrolled {
        fingerprint: String,
        expires: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    pub info: NodeInfo,
    pub facts: Option<Facts>,
    pub facts_at: Option<Timestamp>,
    pub runs: Vec<RunSummary>,
    /// Its catalog's resources, in order; empty where it does not compile.
    pub resources: Vec<String>,
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub id: String,
    pub roles: Vec<RoleName>,
    pub names: String,
    pub uses_left: u32,
    pub expires: Timestamp,
}
