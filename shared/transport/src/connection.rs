//! A connection whose two ends know each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use brine_wire::policy::Principal;
use quinn::VarInt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Alpn;
use crate::closed::{Closed, Code, words};
use crate::limits::ANONYMOUS_LIFE;
use crate::peer::Peer;
use crate::stream::{RequestError, Stream};

/// Cheap to clone; closed when the last clone and the last of its streams are dropped.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    quic: quinn::Connection,
    alpn: Alpn,
    client: Peer,
    /// Of a peer without a certificate: when its time is up.
    until: Option<Instant>,
    /// Counts it among the peers without a certificate.
    _permit: Option<OwnedSemaphorePermit>,
    /// A client's own endpoint.
    _endpoint: Option<quinn::Endpoint>,
}

impl Connection {
    pub(crate) fn of_server(
        quic: quinn::Connection,
        alpn: Alpn,
        client: Peer,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let until =
            (client.principal == Principal::Anyone).then(|| Instant::now() + ANONYMOUS_LIFE);
        Self(Arc::new(Inner {
            quic,
            alpn,
            client,
            until,
            _permit: permit,
            _endpoint: None,
        }))
    }

    pub(crate) fn of_client(
        quic: quinn::Connection,
        alpn: Alpn,
        client: Peer,
        endpoint: quinn::Endpoint,
    ) -> Self {
        Self(Arc::new(Inner {
            quic,
            alpn,
            client,
            until: None,
            _permit: None,
            _endpoint: Some(endpoint),
        }))
    }

    /// Who the client is: the peer as the server sees it; on the client, who it has come as.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.client.principal
    }

    /// The client with everything that its certificate says.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.client
    }

    #[must_use]
    pub fn alpn(&self) -> Alpn {
        self.0.alpn
    }

    /// Where the other side's packets come from. Proves nothing about who it is.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        let mut address = self.0.quic.remote_address();
        // An IPv4 peer of a dual-stack socket is shown as what it is.
        address.set_ip(address.ip().to_canonical());
        address
    }

    /// Asks and waits for the one reply, as long as the connection lives.
    pub async fn request<Req: Serialize, Rep: DeserializeOwned>(
        &self,
        request: &Req,
    ) -> Result<Rep, RequestError> {
        self.request_stream(request).await?.receive_last().await
    }

    /// Asks and waits at most so long for the reply.
    pub async fn request_within<Req: Serialize, Rep: DeserializeOwned>(
        &self,
        request: &Req,
        limit: Duration,
    ) -> Result<Rep, RequestError> {
        match timeout(limit, self.request(request)).await {
            Ok(reply) => reply,
            Err(_) => Err(RequestError::NoAnswer(limit)),
        }
    }

    /// Asks where the reply is more than one message: events, or raw bytes after it.
    pub async fn request_stream<Req: Serialize>(
        &self,
        request: &Req,
    ) -> Result<Stream, RequestError> {
        let mut stream = self.open().await?;
        stream.send(request).await?;
        stream.finish()?;
        Ok(stream)
    }

    /// An empty stream. Waits while the other side has enough of them.
    pub async fn open(&self) -> Result<Stream, RequestError> {
        let opened = self.0.quic.open_bi().await;
        opened
            .map(|halves| Stream::new(self.clone(), halves))
            .map_err(|error| RequestError::Closed(error.into()))
    }

    /// The next stream that the other side opens; none when the connection is over.
    ///
    /// A peer without a certificate is closed after a minute, whatever it does.
    pub async fn accept(&self) -> Option<Stream> {
        let accepted = match self.0.until {
            None => self.0.quic.accept_bi().await,
            Some(until) => {
                if let Ok(accepted) = timeout_at(until, self.0.quic.accept_bi()).await {
                    accepted
                } else {
                    self.close(Code::BUSY, "time is up: connect again");
                    return None;
                }
            }
        };
        accepted
            .ok()
            .map(|halves| Stream::new(self.clone(), halves))
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> Closed {
        self.0.quic.closed().await.into()
    }

    /// Why it is over, if it is.
    #[must_use]
    pub fn close_reason(&self) -> Option<Closed> {
        self.0.quic.close_reason().map(Closed::from)
    }

    /// Ends it at once; what was not delivered is lost. The reason is shown to people over there.
    pub fn close(&self, code: Code, reason: &str) {
        self.0
            .quic
            .close(VarInt::from_u32(code.0), words(reason).as_bytes());
    }

    /// Ends it and lets the last packet go: for programs that exit next. Takes no round trip.
    pub async fn finish(self) {
        self.close(Code::DONE, "");
        // The packet is sent by quinn's own task, which needs a turn. `wait_idle` would take 80 ms.
        for _ in 0..100 {
            if self.0.quic.stats().frame_tx.connection_close > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { alpn, client, .. } = &*self.0;
        write!(
            f,
            "Connection({alpn:?}, {:?}, {})",
            client.principal,
            self.remote_address()
        )
    }
}
