//! Between server and agent, once a node has a certificate.
//!
//! Either side opens a stream, writes one request and reads one reply.

use std::collections::BTreeMap;

use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::inventory::Section;
use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::blob::BlobReply;
use crate::job::{Job, JobId, JobResult, JobState, Progress};

/// The agent asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AgentRequest {
    /// Must be the first on every connection.
    Hello(Hello),
    /// Only digests named by the node's open jobs and its last applied catalog.
    Blob(Digest),
    /// Answered once it is stored: then the agent forgets it.
    Result {
        job: JobId,
        result: JobResult,
    },
    Progress(Progress),
    Facts(Box<Facts>),
    /// A certificate of the workload authority, for the `certificate` resource of this id in the
    /// node's own catalog: names come from there. The request is PKCS#10 in DER and proves the key.
    Certificate {
        resource: String,
        csr: Vec<u8>,
    },
    /// What each table of the inventory is by now; one that could not be collected is not named.
    Inventory(BTreeMap<String, Digest>),
    /// A table that was asked for.
    Section(Section),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub agent_version: String,
    /// Of /etc/machine-id, hashed as in the enrolment.
    pub machine_id: String,
    pub boot_id: String,
    /// Digest of the resource kinds and fields that it knows.
    pub capabilities: Digest,
    /// The catalog that it applied last.
    pub applied: Option<Digest>,
    /// Jobs not acknowledged yet.
    pub jobs: Vec<JobId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AgentReply {
    Welcome {
        server_version: String,
        node: NodeName,
        /// Until when an operator keeps runs, and healing, away from it.
        paused: Option<Timestamp>,
    },
    Blob(BlobReply),
    Acknowledged,
    Refused(String),
    /// Both in DER.
    Certificate {
        certificate: Vec<u8>,
        authority: Vec<u8>,
    },
    /// The tables that the server does not have as they are.
    Wanted(Vec<String>),
}

/// The server asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ServerRequest {
    Job(Box<Job>),
    JobState(JobId),
    /// Effective after the resource at hand.
    Cancel(JobId),
    /// Asked to answer at once, so that "connected" is not just believed.
    Ping,
    /// To look at the machine and tell what is new; answered when that is done.
    Report,
    /// Until when nothing is to be healed; none ends that.
    Pause(Option<Timestamp>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ServerReply {
    Job(JobState),
    Pong,
    Reported,
    Paused,
}
