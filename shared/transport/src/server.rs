//! The listening side: who gets in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use brine_wire::policy::Principal;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Endpoint, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::Alpn;
use crate::closed::{Closed, Code};
use crate::connection::Connection;
use crate::identity::Key;
use crate::peer::Peer;
use crate::tls::{self, IdentityUnusable};
use crate::{endpoint, limits, socket};

/// Who the server is, and whose certificates it takes.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    /// DER of the authority's certificate.
    pub ca: Vec<u8>,
    /// DER, issued for [`Subject::Server`](crate::authority::Subject::Server).
    pub certificate: Vec<u8>,
    pub key: Key,
}

/// A UDP port that takes connections.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    handshakes: Arc<Semaphore>,
    anonymous: Arc<Semaphore>,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on UDP {address}")]
    Socket {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the server's identity is unusable")]
    Identity(#[source] IdentityUnusable),
    #[error("the system gives no random numbers")]
    Random,
}

/// Why a peer did not get in. It has been told, except for what TLS said to it itself.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("{peer}: the handshake failed")]
    Failed { peer: SocketAddr, source: Closed },
    #[error("{peer}: no handshake within {} s", limits::HANDSHAKE.as_secs())]
    TooSlow { peer: SocketAddr },
    #[error("{peer}: {reason}")]
    Forbidden { peer: SocketAddr, reason: String },
    #[error("{peer}: too many peers without a certificate")]
    Busy { peer: SocketAddr },
}

impl Listener {
    /// Must be called within a tokio runtime. Port 0 takes any free one.
    pub fn bind(address: SocketAddr, identity: &ServerIdentity) -> Result<Self, BindError> {
        let tls = tls::quic_server(identity).map_err(BindError::Identity)?;
        let mut config = quinn::ServerConfig::with_crypto(tls);
        config
            .transport_config(Arc::new(transport()))
            .max_incoming(limits::HANDSHAKES_WAITING)
            .incoming_buffer_size(limits::WAITING_BYTES)
            .incoming_buffer_size_total(limits::WAITING_BYTES_TOTAL);
        let endpoint_config = endpoint::config(&identity.key).ok_or(BindError::Random)?;
        let endpoint = socket::bind(address)
            .and_then(|socket| {
                let runtime = Arc::new(quinn::TokioRuntime);
                Endpoint::new(endpoint_config, Some(config), socket, runtime)
            })
            .map_err(|source| BindError::Socket { address, source })?;
        Ok(Self {
            endpoint,
            handshakes: Arc::new(Semaphore::new(limits::HANDSHAKES)),
            anonymous: Arc::new(Semaphore::new(limits::ANONYMOUS_CONNECTIONS)),
        })
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next one who wants in; none after [`Listener::shutdown`]. Its handshake runs in
    /// [`Incoming::handshake`], which belongs into a task of its own. Waits while too many are under
    /// way.
    pub async fn accept(&self) -> Option<Incoming> {
        loop {
            let permit = self.handshakes.clone().acquire_owned().await.ok()?;
            let incoming = self.endpoint.accept().await?;
            let crowded = self.handshakes.available_permits() < limits::HANDSHAKES / 2;
            if crowded && !incoming.remote_address_validated() {
                // Costs honest peers a round trip, and those who invent their address everything.
                let _ = incoming.retry();
                continue;
            }
            let anonymous = self.anonymous.clone();
            return Some(Incoming {
                incoming,
                anonymous,
                _permit: permit,
            });
        }
    }

    /// Closes all connections and waits, shortly, until their ends have been told.
    pub async fn shutdown(&self, reason: &str) {
        self.endpoint
            .close(VarInt::from_u32(Code::SHUTDOWN.0), reason.as_bytes());
        let _ = timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }
}

/// A peer before its handshake. Dropping it refuses it.
#[derive(Debug)]
pub struct Incoming {
    incoming: quinn::Incoming,
    anonymous: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
}

impl Incoming {
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Lets the peer in if its certificate suits its protocol. Nothing of what it asks has been
    /// read by then.
    pub async fn handshake(self) -> Result<Connection, HandshakeError> {
        let peer = self.incoming.remote_address();
        match timeout(
            limits::HANDSHAKE,
            admit(self.incoming, &self.anonymous, peer),
        )
        .await
        {
            Ok(result) => result,
            Err(_) => Err(HandshakeError::TooSlow { peer }),
        }
    }
}

async fn admit(
    incoming: quinn::Incoming,
    anonymous: &Arc<Semaphore>,
    peer: SocketAddr,
) -> Result<Connection, HandshakeError> {
    let failed = |error: quinn::ConnectionError| HandshakeError::Failed {
        peer,
        source: error.into(),
    };
    let quic = incoming.accept().map_err(failed)?.await.map_err(failed)?;
    let refuse = |code: Code, reason: &str| {
        quic.close(VarInt::from_u32(code.0), reason.as_bytes());
    };
    let (alpn, client) = authorize(&quic).map_err(|reason| {
        refuse(Code::FORBIDDEN, &reason);
        HandshakeError::Forbidden { peer, reason }
    })?;
    let permit = if alpn == Alpn::Enroll {
        let permit = anonymous.clone().try_acquire_owned().map_err(|_| {
            refuse(
                Code::BUSY,
                "too many machines are enrolling: try again later",
            );
            HandshakeError::Busy { peer }
        })?;
        Some(permit)
    } else {
        None
    };
    if alpn == Alpn::Ctl {
        quic.set_max_concurrent_bi_streams(VarInt::from_u32(limits::STREAMS_OPERATOR));
    }
    welcome(&quic).await.map_err(failed)?;
    Ok(Connection::of_server(quic, alpn, client, permit))
}

/// Which protocol the peer speaks, and whether it is one who may.
fn authorize(quic: &quinn::Connection) -> Result<(Alpn, Peer), String> {
    let protocol = quic
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol);
    let alpn = protocol
        .and_then(|name| Alpn::of(&name))
        .ok_or("no protocol was negotiated")?;
    if alpn == Alpn::Enroll {
        // A certificate that is shown all the same gives no rights here.
        return Ok((alpn, Peer::anyone()));
    }
    let chain = quic
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    let certificate = chain.as_ref().and_then(|chain| chain.first());
    let peer = match certificate {
        Some(der) => Peer::of(der).map_err(|error| error.to_string())?,
        None => Peer::anyone(),
    };
    match (alpn, &peer.principal) {
        (Alpn::Agent, Principal::Node(_)) | (Alpn::Ctl, Principal::Operator(_)) => Ok((alpn, peer)),
        (Alpn::Agent, Principal::Anyone) => Err("agents need a node's certificate".to_owned()),
        (Alpn::Agent, _) => Err("this certificate is not a node's".to_owned()),
        (Alpn::Ctl, Principal::Anyone) => Err("ctl needs an operator's certificate".to_owned()),
        (Alpn::Ctl, _) => Err("this certificate is not an operator's".to_owned()),
        (Alpn::Enroll, _) => Err("no protocol was negotiated".to_owned()),
    }
}

/// Tells the client that it is in. In TLS 1.3 a client is done before the server has looked at its
/// certificate: without a sign it would learn of its refusal from its first request only.
async fn welcome(quic: &quinn::Connection) -> Result<(), quinn::ConnectionError> {
    let mut stream = quic.open_uni().await?;
    let _ = stream.finish();
    Ok(())
}

fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(limits::SERVER_STREAM_WINDOW))
        .receive_window(VarInt::from_u32(limits::SERVER_WINDOW))
        .send_window(u64::from(limits::CLIENT_WINDOW))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(None)
        .max_idle_timeout(idle());
    config
}

pub(crate) fn idle() -> Option<quinn::IdleTimeout> {
    limits::IDLE.try_into().ok()
}
