//! The dialling side: finds the server and makes sure that it is ours.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use brine_wire::SERVER_NAME;
use brine_wire::policy::Principal;
use quinn::{Endpoint, EndpointConfig, TransportConfig, VarInt};
use tokio::net::lookup_host;
use tokio::time::timeout;
use x509_parser::time::ASN1Time;

use crate::Alpn;
use crate::closed::{Closed, Code};
pub use crate::connect_error::ConnectError;
use crate::connection::Connection;
use crate::identity::Key;
use crate::join::is_server;
use crate::peer::Peer;
use crate::{limits, probe, server, socket, tls};

/// Whom the client trusts, and who it is.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// DER of the authority's certificate: the only one whose server is believed.
    pub ca: Vec<u8>,
    /// DER of its own certificate, and its key; none for enrolling.
    pub certificate: Option<(Vec<u8>, Key)>,
}

/// Connects to the first of `servers` (`host:port`) that answers, takes us, and proves to be
/// ours. `limit` is for each address tried. Without success the most telling error is returned,
/// the others are logged. Must be called within a tokio runtime.
pub async fn connect(
    servers: &[String],
    alpn: Alpn,
    identity: &ClientIdentity,
    limit: Duration,
) -> Result<Connection, ConnectError> {
    let dial = Dial::new(alpn, identity, limit)?;
    let mut worst = ConnectError::NoServer;
    for server in servers {
        let addresses = match resolve(server, limit).await {
            Ok(addresses) => addresses,
            Err(error) => {
                worst = more_telling(worst, error);
                continue;
            }
        };
        for address in addresses {
            match dial.one(server, address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => worst = more_telling(worst, error),
            }
        }
    }
    Err(worst)
}

fn more_telling(one: ConnectError, other: ConnectError) -> ConnectError {
    tracing::debug!(error = %other, "cannot connect");
    // The last one of a kind: with equals it does not matter, and `NoServer` always gives way.
    if other.weight() >= one.weight() {
        other
    } else {
        one
    }
}

async fn resolve(server: &str, limit: Duration) -> Result<Vec<SocketAddr>, ConnectError> {
    if !is_server(server) {
        return Err(ConnectError::Address {
            server: crate::closed::words(server),
        });
    }
    let failed = |source| ConnectError::Resolve {
        server: server.to_owned(),
        source,
    };
    match timeout(limit, lookup_host(server)).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}

struct Dial {
    alpn: Alpn,
    own: Peer,
    config: quinn::ClientConfig,
    limit: Duration,
}

impl Dial {
    fn new(alpn: Alpn, identity: &ClientIdentity, limit: Duration) -> Result<Self, ConnectError> {
        let own = match &identity.certificate {
            Some((der, _)) if alpn != Alpn::Enroll => {
                Peer::of(der).map_err(ConnectError::Certificate)?
            }
            _ => Peer::anyone(),
        };
        let tls = tls::quic_client(identity, alpn).map_err(ConnectError::Identity)?;
        let mut config = quinn::ClientConfig::new(tls);
        config.transport_config(Arc::new(transport(&own)));
        Ok(Self {
            alpn,
            own,
            config,
            limit,
        })
    }

    async fn one(&self, server: &str, address: SocketAddr) -> Result<Connection, ConnectError> {
        let socket = socket::towards(address).map_err(ConnectError::Socket)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)
            .map_err(ConnectError::Socket)?;
        let name = server.to_owned();
        let quic = tokio::select! {
            biased;
            quic = timeout(self.limit, self.handshake(&endpoint, address)) => quic,
            () = probe::refused(address) => {
                return Err(ConnectError::Refused { server: name, address });
            }
        };
        match quic {
            Ok(Ok(quic)) => Ok(Connection::of_client(
                quic,
                self.alpn,
                self.own.clone(),
                endpoint,
            )),
            Ok(Err(closed)) => Err(self.explain(name, address, closed)),
            Err(_) => Err(ConnectError::NoAnswer {
                server: name,
                address,
                after: self.limit,
            }),
        }
    }

    async fn handshake(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
    ) -> Result<quinn::Connection, Closed> {
        let connecting = endpoint
            .connect_with(self.config.clone(), address, SERVER_NAME)
            .map_err(|error| Closed::Protocol(error.to_string()))?;
        let quic = connecting.await.map_err(Closed::from)?;
        // The server's sign that we are in; a refusal ends the wait with its reason.
        let mut sign = quic.accept_uni().await.map_err(Closed::from)?;
        let _ = sign.read_to_end(0).await;
        Ok(quic)
    }

    fn explain(&self, server: String, address: SocketAddr, closed: Closed) -> ConnectError {
        match closed {
            Closed::Silent => ConnectError::NoAnswer {
                server,
                address,
                after: self.limit,
            },
            Closed::Busy => ConnectError::Busy { server, address },
            Closed::ByPeer {
                code: Code::BUSY, ..
            } => ConnectError::Busy { server, address },
            Closed::ByPeer { code, reason } => ConnectError::Rejected {
                server,
                address,
                code,
                reason,
            },
            Closed::Untrusted { by_us, why } => ConnectError::Untrusted {
                server,
                address,
                by_us,
                why,
            },
            Closed::Validity { by_us, why } => ConnectError::Validity {
                server,
                address,
                by_us,
                why,
                local_time: local_time(),
            },
            Closed::Version => {
                let protocol = String::from_utf8_lossy(self.alpn.name()).into_owned();
                ConnectError::Version {
                    server,
                    address,
                    protocol,
                }
            }
            source @ (Closed::ByUs | Closed::Restarted | Closed::Protocol(_)) => {
                ConnectError::Broken {
                    server,
                    address,
                    source,
                }
            }
        }
    }
}

fn local_time() -> String {
    ASN1Time::now().to_string()
}

fn transport(own: &Peer) -> TransportConfig {
    // Only agents are asked anything.
    let asked = matches!(own.principal, Principal::Node(_));
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(if asked { limits::STREAMS } else { 0 }))
        // The sign that we are in.
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(limits::CLIENT_STREAM_WINDOW))
        .receive_window(VarInt::from_u32(limits::CLIENT_WINDOW))
        .send_window(u64::from(limits::SERVER_WINDOW))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(None)
        .keep_alive_interval(Some(limits::KEEP_ALIVE))
        .max_idle_timeout(server::idle());
    config
}
