//! UDP sockets with room for a storm.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::sys::socket::{setsockopt, sockopt};

use crate::limits::SOCKET_BUFFER;

pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    // The first needs CAP_NET_ADMIN; the second is cut to net.core.rmem_max without an error.
    let size = SOCKET_BUFFER;
    let set = setsockopt(&socket, sockopt::RcvBufForce, &size)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &size));
    if let Err(error) = set {
        tracing::debug!(%error, "the socket keeps its small receive buffer");
    }
    Ok(socket)
}

/// A local socket of the family that `peer` is reached by.
pub(crate) fn towards(peer: SocketAddr) -> io::Result<UdpSocket> {
    bind(match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    })
}
