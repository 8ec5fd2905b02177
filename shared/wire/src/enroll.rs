//! Asking for a certificate.

use brine_model::name::NodeName;
use serde::{Deserialize, Serialize};

/// The one request of the enrolment protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrollRequest {
    /// Asked again after a lost reply, the same key gets the same certificate.
    Certificate(CertificateRequest),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRequest {
    /// The secret part of a join token; none where only the pinned CA is known.
    pub token: Option<String>,
    /// The machine's host name: taken only where a pool token allows it.
    pub proposed_name: String,
    /// Of /etc/machine-id, hashed: a copied key on another machine is told apart.
    pub machine_id: String,
    /// A PKCS#10 request, DER. Only its key and its proof of possession count: names in it are ignored.
    pub csr: Vec<u8>,
    pub agent_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrollReply {
    Issued {
        name: NodeName,
        /// DER.
        certificate: Vec<u8>,
    },
    /// An operator must accept the node first: ask again later.
    Waiting {
        /// Of the node's key, for the operator to compare.
        fingerprint: String,
    },
    Refused {
        reason: String,
    },
}
