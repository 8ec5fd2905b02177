//! Becoming a node, and staying one: asking the server for a certificate.
//!
//! The same key asks every time, so a reply that was lost costs nothing. Nothing here ever ends the
//! agent: whatever is wrong, it waits and asks again.

use std::time::Duration;

use brine_model::value::SecretText;
use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, connect};
use brine_transport::peer::Peer;
use brine_wire::enroll::{CertificateRequest, EnrollReply, EnrollRequest};
use brine_wire::policy::Principal;
use tokio_util::sync::CancellationToken;

use super::token;
use crate::backoff::Backoff;
use crate::config::Config;
use crate::facts;
use crate::state::identity::{Certificate, Server};
use crate::state::{State, StateError};
use crate::{VERSION, clock};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);

/// Between two attempts at least; with back-off where the server is asked.
const LOOK: Duration = Duration::from_secs(1);

/// The server renews a certificate in the second half of its year; asked a little later than that.
const RENEW_BEFORE: Duration = Duration::from_secs(150 * 24 * 60 * 60);

/// Why there is no certificate yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error("this machine has no join token: put one into /etc/brine/join (`ctl nodes add`)")]
    NoToken,
    #[error("the join token cannot be used")]
    Token(#[source] token::Unusable),
    #[error("the server asks an operator: `ctl nodes accept`, if this is the key: {0}")]
    Waiting(String),
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("cannot reach the server")]
    Connect(#[source] brine_transport::client::ConnectError),
    #[error("the server did not answer")]
    Request(#[source] brine_transport::stream::RequestError),
    #[error("the server's certificate for this node is unusable: {0}")]
    Certificate(String),
    #[error("the agent's state is unusable")]
    State(#[from] StateError),
    #[error("cannot make a certificate request")]
    Csr(#[source] brine_transport::identity::IdentityError),
}

/// The node's certificate: the one at hand, or a new one, however long that takes. None when the
/// agent is to stop.
pub(crate) async fn enrolled(
    config: &Config,
    state: &State,
    stop: &CancellationToken,
) -> Option<Certificate> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut told = String::new();
    loop {
        let result = tokio::select! {
            result = ensure(config, state) => result,
            () = stop.cancelled() => return None,
        };
        let wait = match result {
            Ok(certificate) => return Some(certificate),
            Err(error) => {
                let words = describe(&error);
                // Waiting may take days: the same words once are enough.
                if words == told {
                    tracing::debug!(words, "still not enrolled");
                } else {
                    tracing::warn!("not enrolled yet: {words}");
                }
                told = words;
                // To look for a file bothers nobody else.
                if matches!(error, NotYet::NoToken) {
                    LOOK
                } else {
                    LOOK + backoff.next()
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Renews the certificate if it is time; keeps the old one where that fails.
pub(crate) async fn renewed(state: &State, old: Certificate) -> Certificate {
    if !is_due(&old) {
        return old;
    }
    match ask_as_known(state).await {
        Ok(certificate) => certificate,
        Err(error) => {
            tracing::warn!("cannot renew the certificate: {}", describe(&error));
            old
        }
    }
}

/// Waits until it is time to ask for the next one; looks once an hour, so that a renewal that
/// fails is not tried all the time.
pub(crate) async fn until_due(certificate: &Certificate) {
    loop {
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
        if is_due(certificate) {
            return;
        }
    }
}

fn is_due(certificate: &Certificate) -> bool {
    certificate
        .peer
        .expires
        .is_some_and(|expires| expires < clock::now().plus(RENEW_BEFORE))
}

async fn ensure(config: &Config, state: &State) -> Result<Certificate, NotYet> {
    match state.certificate()? {
        Some(certificate) => Ok(certificate),
        None => match token::find(&config.root).map_err(NotYet::Token)? {
            Some(found) => ask_with_token(state, &found).await,
            None => ask_as_known(state).await,
        },
    }
}

async fn ask_with_token(state: &State, found: &token::Found) -> Result<Certificate, NotYet> {
    let server = Server {
        ca: found.token.ca.clone(),
        addresses: found.token.servers.clone(),
    };
    let certificate = ask(state, server, found.token.secret.clone()).await?;
    if found.removable
        && let Err(error) = std::fs::remove_file(&found.path)
    {
        tracing::warn!(path = %found.path.display(), %error, "cannot remove the used join token");
    }
    Ok(certificate)
}

/// The server knows the key already. A token that lies about does not matter then.
async fn ask_as_known(state: &State) -> Result<Certificate, NotYet> {
    let server = state.server()?.ok_or(NotYet::NoToken)?;
    ask(state, server, None).await
}

/// One attempt.
async fn ask(
    state: &State,
    server: Server,
    secret: Option<SecretText>,
) -> Result<Certificate, NotYet> {
    let key = state.key()?;
    let request = EnrollRequest::Certificate(CertificateRequest {
        token: secret.map(|secret| secret.reveal().to_owned()),
        proposed_name: facts::hostname(),
        machine_id: state.machine().as_str().to_owned(),
        csr: key.csr_der().map_err(NotYet::Csr)?,
        agent_version: VERSION.to_owned(),
    });
    let identity = ClientIdentity {
        ca: server.ca.clone(),
        certificate: None,
    };
    let connection = connect(&server.addresses, Alpn::Enroll, &identity, CONNECT)
        .await
        .map_err(NotYet::Connect)?;
    let reply = connection
        .request_within(&request, ANSWER)
        .await
        .map_err(NotYet::Request)?;
    connection.finish().await;
    let der = match reply {
        EnrollReply::Issued { certificate, .. } => certificate,
        EnrollReply::Waiting { fingerprint } => return Err(NotYet::Waiting(fingerprint)),
        EnrollReply::Refused { reason } => return Err(NotYet::Refused(reason)),
    };
    let certificate = Certificate {
        peer: check(&der, &key)?,
        der,
    };
    state.set_server(&server)?;
    state.set_certificate(&certificate.der)?;
    tracing::info!(node = ?certificate.peer.principal, "enrolled");
    Ok(certificate)
}

/// That the server has certified a node, and our key.
fn check(der: &[u8], key: &brine_transport::identity::Key) -> Result<Peer, NotYet> {
    let peer = Peer::of(der).map_err(|error| NotYet::Certificate(error.to_string()))?;
    let ours = peer.fingerprint.as_deref() == Some(key.public().fingerprint().as_str());
    if !ours || !matches!(peer.principal, Principal::Node(_)) {
        return Err(NotYet::Certificate("it is not for this key".to_owned()));
    }
    Ok(peer)
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
