//! Blobs that are missing, from the server.
//!
//! A connection that goes away is waited for, until the job's deadline: what came is kept, so a
//! slow link makes progress all the same.

use std::time::Duration;

use brine_model::catalog::Catalog;
use brine_model::digest::Digest;
use brine_model::host::HostError;
use brine_model::time::Timestamp;
use brine_transport::connection::Connection;
use brine_transport::stream::RequestError;
use brine_wire::agent::{AgentReply, AgentRequest};
use brine_wire::blob::BlobReply;
use brine_wire::codec;
use tokio::sync::watch;

use super::cancel::Cancel;
use super::worker::Place;
use crate::clock;
use crate::state::blobs::Blobs;

/// The largest blob that is taken, in bytes: it is held in memory to be checked.
const LARGEST: u64 = 256 << 20;

/// How often a cancellation is looked for.
const TICK: Duration = Duration::from_millis(200);

/// Between two attempts on one connection.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub(super) enum NoBlob {
    #[error("the server does not have blob {0}, or not for this node")]
    NotFound(Digest),
    #[error("blob {digest} has {length} bytes: at most {LARGEST} are taken")]
    TooLarge { digest: Digest, length: u64 },
    #[error("the server was not reached before the job's deadline")]
    TooLate,
    #[error("the server's answer makes no sense: is the agent up to date?")]
    Nonsense,
    #[error("the catalog cannot be decoded; it needs a newer agent ({0})")]
    Catalog(codec::DecodeError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("cancelled")]
    Cancelled,
}

/// The catalog, then all that it names.
pub(super) async fn catalog(
    place: &Place,
    digest: Digest,
    deadline: Timestamp,
    cancel: &Cancel,
) -> Result<(), NoBlob> {
    let fetching = fetch_all(place, digest);
    let ended = async {
        while !cancel.is_set() {
            if clock::now() > deadline {
                return NoBlob::TooLate;
            }
            tokio::time::sleep(TICK).await;
        }
        NoBlob::Cancelled
    };
    tokio::select! {
        result = fetching => result,
        error = ended => Err(error),
    }
}

async fn fetch_all(place: &Place, digest: Digest) -> Result<(), NoBlob> {
    let blobs = Blobs::new(&place.state);
    fetch(place, &blobs, digest).await?;
    let catalog: Catalog =
        codec::decode(&blobs.get(&digest)?, codec::MAX).map_err(NoBlob::Catalog)?;
    for blob in catalog.blobs() {
        fetch(place, &blobs, blob).await?;
    }
    Ok(())
}

async fn fetch(place: &Place, blobs: &Blobs, digest: Digest) -> Result<(), NoBlob> {
    // Read, not only looked for: a damaged one is fetched anew.
    if blobs.has(&digest) && blobs.get(&digest).is_ok() {
        return Ok(());
    }
    let mut link = place.link.clone();
    loop {
        let connection = connected(&mut link).await?;
        match ask(&connection, digest).await {
            Ok(bytes) => return Ok(blobs.put(&digest, &bytes)?),
            Err(Failed::Link(error)) => {
                tracing::debug!(%error, "a blob did not come through");
                tokio::time::sleep(AGAIN).await;
            }
            Err(Failed::Blob(error)) => return Err(error),
        }
    }
}

async fn connected(link: &mut watch::Receiver<Option<Connection>>) -> Result<Connection, NoBlob> {
    let connection = link
        .wait_for(Option::is_some)
        .await
        .map_err(|_| NoBlob::Cancelled)?;
    connection.clone().ok_or(NoBlob::TooLate)
}

enum Failed {
    /// Worth another try.
    Link(RequestError),
    Blob(NoBlob),
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Self::Link(error)
    }
}

async fn ask(connection: &Connection, digest: Digest) -> Result<Vec<u8>, Failed> {
    let mut stream = connection
        .request_stream(&AgentRequest::Blob(digest))
        .await?;
    match stream.receive().await? {
        Some(AgentReply::Blob(BlobReply::Follows { length })) if length > LARGEST => {
            Err(Failed::Blob(NoBlob::TooLarge { digest, length }))
        }
        Some(AgentReply::Blob(BlobReply::Follows { length })) => {
            Ok(stream.receive_raw(length).await?)
        }
        Some(AgentReply::Blob(BlobReply::NotFound)) => Err(Failed::Blob(NoBlob::NotFound(digest))),
        _ => Err(Failed::Blob(NoBlob::Nonsense)),
    }
}
