//! Why there is no connection, told apart as far as one can from here.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::closed::{Closed, Code};
use crate::peer::NotAPeer;
use crate::tls::IdentityUnusable;

/// Why there is no connection. What to do about it is in `help`.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no server is named")]
    NoServer,
    #[error("`{server}` is not `host:port`")]
    Address { server: String },
    #[error("the identity at hand is unusable")]
    Identity(#[source] IdentityUnusable),
    #[error("the certificate at hand is unusable")]
    Certificate(#[source] NotAPeer),
    #[error("cannot open a UDP socket")]
    Socket(#[source] io::Error),
    #[error("`{server}` does not resolve")]
    Resolve { server: String, source: io::Error },
    /// Not running, another port, or a firewall in between.
    #[error("{server}: nothing answers on UDP {address} within {} s", after.as_secs_f32())]
    NoAnswer {
        server: String,
        address: SocketAddr,
        after: Duration,
    },
    /// The machine is there and says that the port is closed.
    #[error("{server}: UDP {address} is closed: no server runs there")]
    Refused { server: String, address: SocketAddr },
    /// `by_us`: its certificate, otherwise ours.
    #[error("{server} ({address}): {} certificate is not trusted: {why}", whose(*by_us))]
    Untrusted {
        server: String,
        address: SocketAddr,
        by_us: bool,
        why: String,
    },
    /// `by_us`: its certificate, otherwise ours.
    #[error("{server} ({address}): {} certificate is expired or not valid yet, or a clock is wrong; \
             here it is {local_time}: {why}", whose(*by_us))]
    Validity {
        server: String,
        address: SocketAddr,
        by_us: bool,
        why: String,
        local_time: String,
    },
    #[error("{server} ({address}) speaks other versions than this program ({protocol})")]
    Version {
        server: String,
        address: SocketAddr,
        protocol: String,
    },
    #[error("{server} ({address}) is too busy")]
    Busy { server: String, address: SocketAddr },
    #[error("{server} ({address}) turned us away: {reason}")]
    Rejected {
        server: String,
        address: SocketAddr,
        code: Code,
        reason: String,
    },
    #[error("{server} ({address}): the connection broke")]
    Broken {
        server: String,
        address: SocketAddr,
        source: Closed,
    },
}

const fn whose(by_us: bool) -> &'static str {
    if by_us { "the server's" } else { "our" }
}

impl ConnectError {
    /// What to do about it, for people.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NoServer | Self::Address { .. } => "name the server as `host:port`",
            Self::Identity(_) | Self::Certificate(_) => "enrol this machine (or operator) anew",
            Self::Socket(_) => "check the limits and the network of this machine",
            Self::Resolve { .. } => "check the name and this machine's DNS",
            Self::NoAnswer { .. } => {
                "check that the server runs, its port, and that firewalls let UDP through both ways"
            }
            Self::Refused { .. } => "start brine-server, or check the port",
            Self::Untrusted { by_us: true, .. } => {
                "this is another server than the one enrolled with, or someone in between"
            }
            Self::Untrusted { by_us: false, .. } => "enrol with this server",
            Self::Validity { .. } => {
                "check the clocks of both machines, then the certificate's dates"
            }
            Self::Version { .. } => "upgrade the older of the two",
            Self::Busy { .. } => "try again later",
            Self::Rejected { .. } => "see the server's log",
            Self::Broken { .. } => "try again; see the server's log",
        }
    }

    /// How much it tells: of several servers' errors, the most telling is shown.
    pub(crate) const fn weight(&self) -> u8 {
        match self {
            Self::Rejected { .. } => 9,
            Self::Validity { .. } => 8,
            Self::Untrusted { .. } => 7,
            Self::Version { .. } => 6,
            Self::Busy { .. } => 5,
            Self::Broken { .. } => 4,
            Self::Refused { .. } => 3,
            Self::NoAnswer { .. } => 2,
            Self::Resolve { .. } => 1,
            Self::NoServer
            | Self::Address { .. }
            | Self::Identity(_)
            | Self::Certificate(_)
            | Self::Socket(_) => 0,
        }
    }
}
