//! The only module that speaks with the server.

use std::future::Future;
use std::path::PathBuf;
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
use crate::settings::{self, Settings};

/// How long each address of a server may take to answer.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a reply may take; compiling a whole fleet is the longest that any has to wait for.
const REPLY: Duration = Duration::from_secs(60);

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

/// The server, over QUIC. Reads the settings and connects when first asked, so that a command
/// line that makes no sense is told first; and connects again after the connection was lost.
pub struct Client {
    /// Where the settings may be.
    files: Vec<PathBuf>,
    /// Another server than they name.
    server: Option<String>,
    connection: Mutex<Option<Connection>>,
}

impl Client {
    #[must_use]
    pub const fn new(files: Vec<PathBuf>, server: Option<String>) -> Self {
        Self {
            files,
            server,
            connection: Mutex::const_new(None),
        }
    }

    /// Says goodbye, so that the server need not wait for a time-out.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            connection.finish().await;
        }
    }

    async fn connection(&self) -> Result<Connection, CtlError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| c.close_reason().is_none()) {
            return Ok(connection.clone());
        }
        let settings = settings::load(&self.files, self.server.as_deref())?;
        let identity = identity(&settings)?;
        let connection = connect(&settings.servers, Alpn::Ctl, &identity, CONNECT)
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

fn identity(settings: &Settings) -> Result<ClientIdentity, ClientError> {
    let part = |what| move |source| ClientError::Identity { what, source };
    let ca = certificate_from_pem(&settings.ca).map_err(part("CA certificate"))?;
    let own = certificate_from_pem(&settings.certificate).map_err(part("certificate"))?;
    let key = Key::from_pem(&settings.key).map_err(part("key"))?;
    Ok(ClientIdentity {
        ca,
        certificate: Some((own, key)),
    })
}

impl Server for Client {
    type Events = Watching;

    async fn ask(&self, request: OperatorRequest) -> Result<OperatorReply, CtlError> {
        let connection = self.connection().await?;
        match connection.request_within(&request, REPLY).await {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use brine_model::time::Timestamp;
    use brine_transport::authority::{Authority, Subject};
    use brine_transport::server::{Listener, ServerIdentity};
    use brine_wire::run::RunPhase;

    use super::*;
    use crate::exit::Exit;
    use crate::testing::{name, phase};

    fn now() -> Timestamp {
        Timestamp::from_secs(jiff::Timestamp::now().as_second())
    }

    fn issued(authority: &Authority, subject: &Subject) -> (Vec<u8>, Key) {
        let key = Key::generate().expect("a key");
        let validity = subject.validity();
        let certificate = authority.issue(subject, &key.public(), now(), validity);
        (certificate.expect("a certificate").der, key)
    }

    /// A server on loopback, and the settings of an operator that it knows.
    fn server(folder: &std::path::Path) -> (Listener, PathBuf) {
        let authority = Authority::create(now()).expect("an authority");
        let ca = authority.certificate_der().to_vec();
        let (certificate, key) = issued(&authority, &Subject::Server);
        let identity = ServerIdentity {
            ca,
            certificate,
            key,
        };
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(address, &identity).expect("a listener");
        let (own, key) = issued(&authority, &Subject::Operator(name("admin")));
        let settings = serde_json::json!({
            "servers": [listener.local_address().expect("an address").to_string()],
            "ca": authority.certificate_pem(),
            "certificate": brine_transport::identity::certificate_to_pem(&own),
            "key": key.to_pem().as_str(),
            "operator": "admin",
        });
        let path = folder.join("ctl.json");
        std::fs::write(&path, settings.to_string()).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("mode set");
        (listener, path)
    }

    /// Answers requests and watches; on the second connection, after the first was cut off.
    async fn serve(listener: Listener) {
        let first = listener
            .accept()
            .await
            .expect("a peer")
            .handshake()
            .await
            .expect("a connection");
        let mut stream = first.accept().await.expect("a request");
        let asked: OperatorRequest = stream.read_request().await.expect("a request");
        assert_eq!(asked, OperatorRequest::Nodes);
        stream
            .reply(&OperatorReply::Nodes(Vec::new()))
            .await
            .expect("sent");
        let mut stream = first.accept().await.expect("a watch");
        let _: OperatorRequest = stream.read_request().await.expect("a watch");
        stream
            .send(&OperatorReply::Event(phase(1, RunPhase::Planning)))
            .await
            .expect("sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        first.close(Code::SHUTDOWN, "restarting");
        let again = listener
            .accept()
            .await
            .expect("a peer")
            .handshake()
            .await
            .expect("a connection");
        let mut stream = again.accept().await.expect("a watch");
        let asked: OperatorRequest = stream.read_request().await.expect("a watch");
        assert_eq!(
            asked,
            OperatorRequest::Watch {
                run: RunId(12),
                from: 2
            }
        );
        stream
            .send(&OperatorReply::Event(phase(2, RunPhase::Succeeded)))
            .await
            .expect("sent");
        stream
            .reply(&OperatorReply::EndOfEvents)
            .await
            .expect("sent");
        while again.accept().await.is_some() {}
    }

    #[tokio::test]
    async fn asks_and_watches_across_a_lost_connection() {
        let folder = tempfile::tempdir().expect("a folder");
        let (listener, settings) = server(folder.path());
        let serving = tokio::spawn(serve(listener));
        let client = Client::new(vec![settings], None);
        let reply = client.ask(OperatorRequest::Nodes).await.expect("a reply");
        assert_eq!(reply, OperatorReply::Nodes(Vec::new()));
        let output = crate::output::Output::captured(crate::output::Format::Text, &[]);
        let context = crate::commands::Context {
            server: &client,
            output: &output,
        };
        let mut follow = crate::commands::follow::Follow::new(RunId(12), true);
        follow.pause = Duration::from_millis(10);
        let stop = follow.until(&context, |_| false).await.expect("the end");
        assert_eq!(stop, crate::commands::follow::Stop::Over);
        client.close().await;
        serving.await.expect("served");
    }

    #[tokio::test]
    async fn nobody_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let (listener, settings) = server(folder.path());
        listener.shutdown("").await;
        drop(listener);
        let error = Client::new(vec![settings], None)
            .ask(OperatorRequest::Nodes)
            .await;
        let error = error.expect_err("no server");
        assert_eq!(error.exit(), Exit::Unreachable);
        assert!(
            error.causes()[0].contains("no server runs there"),
            "{:?}",
            error.causes()
        );
    }
}
