//! One node's part of a run.

use brine_model::catalog::{Entry, Health};
use brine_model::converge::{ApplyReport, Approval, Part, Plan};
use brine_model::digest::Digest;
use brine_model::host::Program;
use brine_model::live::LiveFacts;
use brine_model::time::Timestamp;
use brine_model::value::{SecretRef, SecretText};
use serde::{Deserialize, Serialize};

/// Counted by the server from 1, never used twice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct RunId(pub u64);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names a job: repeating a known one answers with its state and never runs it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    pub run: RunId,
    /// Within the run and node, counted from 0.
    pub step: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    /// Not started after this.
    pub deadline: Timestamp,
    pub task: Task,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Say what would change.
    Plan {
        catalog: Digest,
        secrets: Vec<Secret>,
    },
    /// Change it, as far as approved.
    Apply {
        catalog: Digest,
        secrets: Vec<Secret>,
        approval: Approval,
        part: Part,
        extent: Extent,
    },
    /// Ask until all hold, or their deadlines pass.
    Health(Vec<Health>),
    /// Run a program (an operator's `exec`).
    Execute(Program),
    /// Tell live facts.
    Live(Vec<Entry>),
    /// Do something to a resource: one of its kind's actions.
    Act {
        resource: Box<Entry>,
        action: String,
        secrets: Vec<Secret>,
    },
    /// Restart a unit that is running.
    Restart(String),
    /// Reboot. The result comes once the agent is back with another boot id.
    Reboot,
}

/// What an apply makes of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Something is done on it that is done once: the node is to be what it was.
    Once,
    /// The node is on its way to the catalog.
    Partly,
    /// Nothing of the catalog is left after this: it is then the node's own.
    Wholly,
}

/// A secret on its way to the one node whose catalog needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub reference: SecretRef,
    pub text: SecretText,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobState {
    /// Recorded, waiting for an earlier job.
    Accepted,
    Running,
    Finished(JobResult),
    Refused(String),
    /// The agent never heard of it (or it was acknowledged and forgotten).
    Unknown,
}

/// Kept by the agent until the server has acknowledged it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobResult {
    Planned(Plan),
    Applied(ApplyReport),
    /// Why each condition that does not hold does not.
    Health {
        failing: Vec<String>,
    },
    Executed {
        code: i32,
        stdout: String,
        stderr: String,
    },
    /// The job could not be done at all: a blob missing, a catalog that this agent cannot decode.
    Failed(String),
    /// The agent was stopped or told to; what was done is in the report, if anything was begun.
    Cancelled(Option<ApplyReport>),
    Live(LiveFacts),
    /// What was done, in words for people.
    Acted(String),
}

/// A sign of life; may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub job: JobId,
    pub done: u32,
    pub total: u32,
    /// What is being done: `package:haproxy`.
    pub doing: String,
}
