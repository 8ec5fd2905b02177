//! The only module that speaks with the server.

use std::future::Future;
use std::time::Duration;

use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, ConnectError, connect};
use brine_transport::closed::{Closed, Code};
use brine_transport::connection::Connection;
use brine_transport::identity::{IdentityError, Key, certificate_from_pem};
use brine_transport::stream::{RequestError, Stream};
use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::run::Event;
use tokio::sync::Mutex;

use crate::error::CtlError;
use crate::settings::Settings;

/// How long all servers together may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// What verbs need of a server; tests have one that follows a script.
pub trait Server {
    type Events: Events;

    /// One request, one reply; what the server refuses is an error.
    fn ask(
        &self,
        request: OperatorRequest,
    ) -> impl Future<Output = Result<OperatorReply, CtlError>>;

    /// A run's events from this sequence number on.
    fn watch(&self, run: RunId, from: u64) -> impl Future<Output = Result<Self::Events, CtlError>>;
}

pub trait Events {
    /// None once the run is over. Dropped half-way, the rest is of no use.
    fn next(&mut self) -> impl Future<Output = Result<Option<Event>, CtlError>>;
}

/// The value of the one reply that a request has, or an error.
macro_rules! ask {
    ($server:expr, $request:expr, $reply:pat => $value:expr) => {
        match $crate::client::Server::ask($server, $request).await {
            Ok($reply) => Ok($value),
            Ok(_) => Err($crate::error::CtlError::from(
                $crate::client::ClientError::Unexpected,
            )),
            Err(error) => Err(error),
        }
    };
}
pub(crate) use ask;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the {what} in the connection settings is unusable")]
    Identity {
        what: &'static str,
        source: IdentityError,
    },
    #[error("cannot reach the server")]
    Connect(#[source] ConnectError),
    #[error("the server did not answer")]
    Request(#[source] RequestError),
    #[error("the server answered something else than was asked; it is of another version")]
    Unexpected,
}

impl ClientError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Identity { .. } => {
                Some("take the file that `brine-server init` has written, unchanged".to_owned())
            }
            Self::Connect(error) => Some(error.help().to_owned()),
            Self::Request(RequestError::Closed(Closed::ByPeer { code, .. }))
                if matches!(*code, Code::FORBIDDEN | Code::REVOKED) =>
            {
                Some("ask whoever runs the server for a new operator certificate".to_owned())
            }
            Self::Request(_) => Some("see `ctl status`, and the server's log".to_owned()),
            Self::Unexpected => Some("upgrade the older of ctl and brine-server".to_owned()),
        }
    }

    /// Whether it is worth trying again: the server may be starting anew, the network mending.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Identity { .. } | Self::Unexpected => false,
            Self::Connect(error) => matches!(
                error,
                ConnectError::NoAnswer { .. }
                    | ConnectError::Refused { .. }
                    | ConnectError::Busy { .. }
                    | ConnectError::Broken { .. }
                    | ConnectError::Resolve { .. }
            ),
            Self::Request(error) => match error {
                RequestError::Closed(Closed::ByPeer { code, .. }) => {
                    !matches!(*code, Code::FORBIDDEN | Code::REVOKED | Code::MALFORMED)
                }
                RequestError::Closed(_)
                | RequestError::Stopped
                | RequestError::Stalled
                | RequestError::NoAnswer(_)
                | RequestError::Ended => true,
                _ => false,
            },
        }
    }
}

/// The server, over QUIC. Connects when first asked, and again after the connection was lost.
pub struct Client {
    servers: Vec<String>,
    identity: ClientIdentity,
    connection: Mutex<Option<Connection>>,
}

impl Client {
    /// # Errors
    /// The settings' certificates or key are none.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let part = |what| move |source| ClientError::Identity { what, source };
        let ca = certificate_from_pem(&settings.ca).map_err(part("CA certificate"))?;
        let own = certificate_from_pem(&settings.certificate).map_err(part("certificate"))?;
        let key = Key::from_pem(&settings.key).map_err(part("key"))?;
        Ok(Self {
            servers: settings.servers.clone(),
            identity: ClientIdentity {
                ca,
                certificate: Some((own, key)),
            },
            connection: Mutex::new(None),
        })
    }

    /// Says goodbye, so that the server need not wait for a time-out.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            connection.finish().await;
        }
    }

    async fn connection(&self) -> Result<Connection, ClientError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref() {
            return Ok(connection.clone());
        }
        let connection = connect(&self.servers, Alpn::Ctl, &self.identity, CONNECT)
            .await
            .map_err(ClientError::Connect)?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// The next request dials anew.
    async fn lost(&self, error: RequestError) -> ClientError {
        self.connection.lock().await.take();
        ClientError::Request(error)
    }
}

impl Server for Client {
    type Events = Watching;

    async fn ask(&self, request: OperatorRequest) -> Result<OperatorReply, CtlError> {
        let connection = self.connection().await?;
        match connection.request(&request).await {
            Ok(reply) => good(reply),
            Err(error) => Err(self.lost(error).await.into()),
        }
    }

    async fn watch(&self, run: RunId, from: u64) -> Result<Watching, CtlError> {
        let connection = self.connection().await?;
        match connection
            .request_stream(&OperatorRequest::Watch { run, from })
            .await
        {
            Ok(stream) => Ok(Watching(stream)),
            Err(error) => Err(self.lost(error).await.into()),
        }
    }
}

/// A stream of events.
pub struct Watching(Stream);

impl Events for Watching {
    async fn next(&mut self) -> Result<Option<Event>, CtlError> {
        let reply = self
            .0
            .receive::<OperatorReply>()
            .await
            .map_err(ClientError::Request)?;
        // A stream that ends without saying so was cut short.
        match good(reply.ok_or(ClientError::Request(RequestError::Ended))?)? {
            OperatorReply::Event(event) => Ok(Some(event)),
            OperatorReply::EndOfEvents => Ok(None),
            _ => Err(ClientError::Unexpected.into()),
        }
    }
}

fn good(reply: OperatorReply) -> Result<OperatorReply, CtlError> {
    match reply {
        OperatorReply::Refused(refusal) => Err(CtlError::Refused(refusal)),
        OperatorReply::Invalid(diagnostics) => Err(CtlError::Invalid(diagnostics)),
        reply => Ok(reply),
    }
}
