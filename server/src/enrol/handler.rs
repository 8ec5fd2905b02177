//! The one conversation with a machine that has no certificate.

use brine_model::digest::Digest;
use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_transport::authority::{AuthorityError, Subject};
use brine_transport::connection::Connection;
use brine_transport::identity::PublicKey;
use brine_transport::stream::{RequestError, Stream};
use brine_wire::enroll::{CertificateRequest, EnrollReply, EnrollRequest};

use super::{Asked, Decision};
use crate::clock;
use crate::context::Context;
use crate::store::StoreError;

/// Longer texts are no names or versions.
const WORDS: usize = 256;

/// Answers until the machine leaves or its time is up.
pub(crate) async fn serve(connection: Connection, context: &Context) {
    while let Some(stream) = connection.accept().await {
        if let Err(error) = answer(stream, context).await {
            tracing::debug!(peer = %connection.remote_address(), %error, "enrolment");
            return;
        }
    }
}

async fn answer(mut stream: Stream, context: &Context) -> Result<(), RequestError> {
    let EnrollRequest::Certificate(request) = stream.read_request().await?;
    let peer = stream.connection().remote_address();
    let reply = match decide(request, context).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::error!(%peer, %error, "enrolment");
            refused("the server failed: see its log")
        }
    };
    match &reply {
        EnrollReply::Issued { name, .. } => tracing::info!(%peer, %name, "enrolled"),
        EnrollReply::Waiting { fingerprint } => tracing::info!(%peer, fingerprint, "waits"),
        EnrollReply::Refused { reason } => tracing::warn!(%peer, reason, "enrolment refused"),
    }
    stream.reply(&reply).await
}

#[derive(Debug, thiserror::Error)]
enum EnrolError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

async fn decide(request: CertificateRequest, context: &Context) -> Result<EnrollReply, EnrolError> {
    let key = match PublicKey::from_csr(&request.csr) {
        Ok(key) => key,
        Err(error) => {
            return Ok(refused(&format!(
                "the certificate request is no good: {error}"
            )));
        }
    };
    let id = &request.machine_id;
    let hashed =
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !hashed || request.proposed_name.len() > WORDS || request.agent_version.len() > WORDS {
        return Ok(refused(
            "the request makes no sense: is the agent up to date?",
        ));
    }
    let asked = Asked {
        token: request.token.map(|secret| Digest::of(secret.as_bytes())),
        proposed_name: request.proposed_name,
        machine_id: request.machine_id,
        fingerprint: key.fingerprint(),
        agent_version: request.agent_version,
    };
    let now = clock::now();
    let (machine_id, fingerprint) = (asked.machine_id.clone(), asked.fingerprint.clone());
    match context.store.enrol(asked, now).await? {
        Decision::Again(name) | Decision::Admit { name, .. } => {
            certificate(name, machine_id, &key, now, context).await
        }
        Decision::Wait { .. } => Ok(EnrollReply::Waiting { fingerprint }),
        Decision::Refuse { why } => Ok(refused(&why)),
    }
}

/// The certificate that the node has, as long as most of its life is before it; else a new one for
/// the same key. Asking again is how agents renew.
async fn certificate(
    name: NodeName,
    machine_id: String,
    key: &PublicKey,
    now: Timestamp,
    context: &Context,
) -> Result<EnrollReply, EnrolError> {
    let subject = Subject::Node {
        name: name.clone(),
        machine_id,
    };
    let validity = subject.validity();
    let known = context
        .store
        .node(name.clone())
        .await?
        .and_then(|node| node.enrolled);
    if let Some(known) = known
        && known.fingerprint == key.fingerprint()
        && known.expires > now.plus(validity / 2)
        && let Some(certificate) = known.certificate
    {
        return Ok(EnrollReply::Issued { name, certificate });
    }
    let issued = context.authority.issue(&subject, key, now, validity)?;
    let kept = context
        .store
        .set_certificate(
            name.clone(),
            issued.fingerprint,
            issued.der.clone(),
            issued.expires,
        )
        .await?;
    if kept {
        Ok(EnrollReply::Issued {
            name,
            certificate: issued.der,
        })
    } else {
        Ok(refused("the node was removed meanwhile"))
    }
}

fn refused(reason: &str) -> EnrollReply {
    EnrollReply::Refused {
        reason: reason.to_owned(),
    }
}
