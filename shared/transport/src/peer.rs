//! Who a certificate says its holder is.

use brine_model::name::{NodeName, OperatorName};
use brine_model::time::Timestamp;
use brine_wire::policy::Principal;

use crate::certificate::{self, Malformed};

/// The far end of a connection, from its certificate and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub principal: Principal,
    /// Of the key in its certificate, to be compared with the registry's; none without one.
    pub fingerprint: Option<String>,
    /// Of its certificate, in hexadecimal digits.
    pub serial: Option<String>,
    /// A node's: what its machine-id hashed to when the certificate was issued.
    pub machine_id: Option<String>,
    /// Of its certificate.
    pub expires: Option<Timestamp>,
}

impl Peer {
    /// A peer without a certificate.
    #[must_use]
    pub const fn anyone() -> Self {
        Self {
            principal: Principal::Anyone,
            fingerprint: None,
            serial: None,
            machine_id: None,
            expires: None,
        }
    }

    /// Reads `der`, which must have been verified already: this checks no signature. Also good for
    /// reading one's own certificate (when to renew it).
    pub fn of(der: &[u8]) -> Result<Self, NotAPeer> {
        certificate::read(der).map_err(|Malformed(why)| NotAPeer(why))
    }
}

/// When a certificate ends, whosever it is; none where it cannot be read.
#[must_use]
pub fn expiry(der: &[u8]) -> Option<Timestamp> {
    let certificate = certificate::parse(der).ok()?;
    Some(certificate::time(certificate.validity().not_after))
}

/// The certificate is neither a node's nor an operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is neither a node's nor an operator's: {0}")]
pub struct NotAPeer(pub(crate) &'static str);

pub(crate) fn node(name: &str) -> Option<Principal> {
    name.parse::<NodeName>().ok().map(Principal::Node)
}

pub(crate) fn operator(name: &str) -> Option<Principal> {
    name.parse::<OperatorName>().ok().map(Principal::Operator)
}
