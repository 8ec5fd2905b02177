//! The envelope between server, agents and operators: requests, replies and events.
//!
//! Typed, length-limited and append-only: variants and fields are only ever added at the end, and
//! the golden bytes of every variant are under test. What evolves faster, the resources, travels
//! as blobs (a catalog is one), so a new resource field is no new protocol.

pub mod agent;
pub mod blob;
pub mod codec;
pub mod enroll;
pub mod job;
pub mod operator;
pub mod policy;
pub mod run;

/// Versions of the protocol families, as ALPN names; all are one version apart from each other.
pub mod alpn {
    /// For a peer without a certificate: it may only ask for one.
    pub const ENROLL: &[u8] = b"brine-enroll/1";
    /// For nodes.
    pub const AGENT: &[u8] = b"brine-agent/1";
    /// For operators.
    pub const CTL: &[u8] = b"brine-ctl/1";
}

/// The one name in the server's certificate, verified whatever address was dialled.
pub const SERVER_NAME: &str = "server.brine.internal";

/// The UDP port that the server listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4640;
