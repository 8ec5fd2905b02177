//! What the server asks.

use brine_transport::connection::Connection;
use brine_transport::limits;
use brine_transport::stream::{RequestError, Stream};
use brine_wire::agent::{ServerReply, ServerRequest};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::jobs::WorkerHandle;

/// Until the connection ends.
pub(super) async fn run(connection: &Connection, worker: &WorkerHandle) {
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept() => match stream {
                Some(stream) => {
                    requests.spawn(answer(stream, worker.clone()));
                }
                None => break,
            },
            Some(ended) = requests.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a request of the server's failed");
                }
            }
        }
    }
}

async fn answer(stream: Stream, worker: WorkerHandle) {
    if let Err(error) = answer_one(stream, &worker).await {
        tracing::debug!(%error, "server request");
    }
}

async fn answer_one(mut stream: Stream, worker: &WorkerHandle) -> Result<(), RequestError> {
    let request = timeout(limits::STALL, stream.receive_last())
        .await
        .map_err(|_| RequestError::Stalled)??;
    let state = match request {
        ServerRequest::Job(job) => worker.submit(job).await,
        ServerRequest::JobState(id) => worker.state(id).await,
        ServerRequest::Cancel(id) => worker.cancel(id).await,
        ServerRequest::Ping => return stream.reply(&ServerReply::Pong).await,
    };
    match state {
        Some(state) => stream.reply(&ServerReply::Job(state)).await,
        // The agent is stopping: a stream without a reply tells the server to ask again later.
        None => Ok(()),
    }
}
