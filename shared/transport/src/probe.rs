//! Whether a port is closed, asked on the side.
//!
//! QUIC's own socket is not connected, so the kernel keeps "port unreachable" from it, and a
//! server that is not running looks like a firewall. A connected socket is told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::socket;

/// Returns when the peer's kernel says that nothing listens there; otherwise never.
pub(crate) async fn refused(peer: SocketAddr) {
    if !matches!(ask(peer).await, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused) {
        std::future::pending::<()>().await;
    }
}

async fn ask(peer: SocketAddr) -> io::Result<()> {
    let socket = socket::towards(peer)?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    socket.connect(peer).await?;
    loop {
        // One zero byte is no QUIC packet: a server drops it without a word.
        socket.send(&[0]).await?;
        let mut answer = [0; 1];
        if let Ok(received) =
            tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut answer)).await
        {
            received?;
        }
    }
}
