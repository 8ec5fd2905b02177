//! The link to the server: enrolled, connected, and connected again.

pub(crate) mod enroll;
mod report;
mod serve;
mod session;
pub(crate) mod token;

use std::time::Duration;

use brine_model::name::NodeName;
use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, ConnectError, connect};
use brine_transport::closed::{Closed, Code};
use brine_transport::connection::Connection;
use brine_wire::policy::Principal;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::enroll::describe;
use crate::backoff::Backoff;
use crate::config::Config;
use crate::drift::Drift;
use crate::jobs::WorkerHandle;
use crate::state::identity::Certificate;
use crate::state::{State, StateError};

const CONNECT: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that has lasted so long was a good one: back-off starts anew.
const GOOD: Duration = Duration::from_secs(60);

/// What the rest of the agent sees of the link.
pub(crate) struct Link {
    pub(crate) drift: Drift,
    pub(crate) connection: watch::Sender<Option<Connection>>,
    pub(crate) node: watch::Sender<Option<NodeName>>,
}

/// Keeps the link up until `stop`. Nothing that the server says or fails to say ends it.
pub(crate) async fn run(
    config: &Config,
    state: &State,
    worker: &WorkerHandle,
    link: &Link,
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::new(FIRST, LONGEST);
    let mut told = String::new();
    while let Some(certificate) = enroll::enrolled(config, state, stop).await {
        if let Principal::Node(node) = &certificate.peer.principal {
            link.node.send_replace(Some(node.clone()));
        }
        let certificate = tokio::select! {
            certificate = enroll::renewed(state, certificate) => certificate,
            () = stop.cancelled() => return,
        };
        let begun = Instant::now();
        let ended = match attempt(config, state, worker, link, &certificate, stop).await {
            Ok(closed) => Ended::Closed(closed),
            Err(ended) => ended,
        };
        link.connection.send_replace(None);
        if stop.is_cancelled() {
            return;
        }
        if begun.elapsed() >= GOOD {
            backoff.reset();
            told.clear();
        }
        let words = describe(&ended);
        if words == told {
            tracing::debug!(words, "no connection");
        } else {
            tracing::warn!("no connection: {words}{}", ended.help());
        }
        told = words;
        if ended.is_rejection() {
            start_anew_if_told_to(config, state);
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Why a connection, or the attempt at one, is over.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot connect")]
    Connect(#[source] ConnectError),
    #[error("the agent's state is unusable")]
    State(#[from] StateError),
    #[error("the server turned this node away: {0}")]
    Refused(String),
    #[error("the server did not welcome this node")]
    Hello(#[source] brine_transport::stream::RequestError),
    #[error("the connection is over")]
    Closed(#[source] Closed),
}

impl Ended {
    fn help(&self) -> String {
        match self {
            Self::Connect(error) => format!("; {}", error.help()),
            _ => String::new(),
        }
    }

    /// The server does not know this node or its certificate any more.
    fn is_rejection(&self) -> bool {
        let revoked = |closed: &Closed| {
            matches!(
                closed,
                Closed::ByPeer {
                    code: Code::REVOKED,
                    ..
                }
            ) || matches!(closed, Closed::Untrusted { by_us: false, .. })
        };
        match self {
            Self::Connect(ConnectError::Rejected { code, .. }) => *code == Code::REVOKED,
            Self::Connect(ConnectError::Untrusted { .. }) => true,
            Self::Hello(brine_transport::stream::RequestError::Closed(closed))
            | Self::Closed(closed) => revoked(closed),
            _ => false,
        }
    }
}

async fn attempt(
    config: &Config,
    state: &State,
    worker: &WorkerHandle,
    link: &Link,
    certificate: &Certificate,
    stop: &CancellationToken,
) -> Result<Closed, Ended> {
    let addresses = state.server()?;
    let server = addresses.ok_or_else(|| Ended::Refused("no server is known".to_owned()))?;
    let key = state.key()?;
    let identity = ClientIdentity {
        ca: server.ca,
        certificate: Some((certificate.der.clone(), key)),
    };
    let connecting = async {
        let connection = connect(&server.addresses, Alpn::Agent, &identity, CONNECT)
            .await
            .map_err(Ended::Connect)?;
        let paused = session::hello(&connection, state, worker).await?;
        link.drift.pause(paused).await;
        Ok::<_, Ended>(connection)
    };
    let connection = tokio::select! {
        connection = connecting => connection?,
        () = stop.cancelled() => return Ok(Closed::ByUs),
    };
    link.connection.send_replace(Some(connection.clone()));
    tokio::select! {
        closed = session::serve(&connection, config, worker, &link.drift, stop) => Ok(closed),
        // The next connection begins with a renewal.
        () = enroll::until_due(certificate) => Ok(Closed::ByUs),
    }
}

/// A token in /etc/brine/join is removed once it has served. One that is there while the server
/// turns this node away was put there to make it another node.
fn start_anew_if_told_to(config: &Config, state: &State) {
    let Ok(Some(found)) = token::find(&config.root) else {
        return;
    };
    if !found.removable {
        return;
    }
    tracing::warn!("the server does not know this node any more, and a new join token is here");
    if let Err(error) = state.start_anew() {
        tracing::error!("cannot enrol anew: {}", describe(&error));
    }
}
