//! What the server asks.

use std::sync::Arc;

use brine_transport::connection::Connection;
use brine_transport::limits;
use brine_transport::stream::{RequestError, Stream};
use brine_wire::agent::{ServerReply, ServerRequest};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::report::Reporter;
use crate::jobs::WorkerHandle;

/// Until the connection ends.
pub(super) async fn run(connection: &Connection, worker: &WorkerHandle, reporter: &Arc<Reporter>) {
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept() => match stream {
                Some(stream) => {
                    requests.spawn(answer(stream, worker.clone(), Arc::clone(reporter)));
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

async fn answer(stream: Stream, worker: WorkerHandle, reporter: Arc<Reporter>) {
    if let Err(error) = answer_one(stream, &worker, &reporter).await {
        tracing::debug!(%error, "server request");
    }
}

async fn answer_one(
    mut stream: Stream,
    worker: &WorkerHandle,
    reporter: &Reporter,
) -> Result<(), RequestError> {
    let request = timeout(limits::STALL, stream.receive_last())
        .await
        .map_err(|_| RequestError::Stalled)??;
    let state = match request {
        ServerRequest::Job(job) => worker.submit(job).await,
        ServerRequest::JobState(id) => worker.state(id).await,
        ServerRequest::Cancel(id) => worker.cancel(id).await,
        ServerRequest::Ping => return stream.reply(&ServerReply::Pong).await,
        ServerRequest::Report => {
            reporter.look_and_report(stream.connection()).await;
            return stream.reply(&ServerReply::Reported).await;
        }
        ServerRequest::Pause(until) => {
            reporter.pause(until).await;
            return stream.reply(&ServerReply::Paused).await;
        }
    };
    match state {
        Some(state) => stream.reply(&ServerReply::Job(state)).await,
        // The agent is stopping: a stream without a reply tells the server to ask again later.
        None => Ok(()),
    }
}
