//! One connection, from the hello to its end.

use std::sync::Arc;
use std::time::Duration;

use brine_model::resources;
use brine_model::time::Timestamp;
use brine_transport::closed::{Closed, Code};
use brine_transport::connection::Connection;
use brine_transport::stream::RequestError;
use brine_wire::agent::{AgentReply, AgentRequest, Hello};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Ended;
use super::report::Reporter;
use super::serve;
use crate::config::Config;
use crate::drift::Drift;
use crate::jobs::WorkerHandle;
use crate::state::State;
use crate::state::applied::Applied;
use crate::{VERSION, boot};

const ANSWER: Duration = Duration::from_secs(30);

/// After the server could not keep a result.
const AGAIN: Duration = Duration::from_secs(5);

/// Progress is coalesced to this, and repeated as a sign of life.
const PROGRESS: Duration = Duration::from_millis(250);
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Until when the node is paused. Must be the first exchange; nothing else is asked before the welcome.
pub(super) async fn hello(
    connection: &Connection,
    state: &State,
    worker: &WorkerHandle,
) -> Result<Option<Timestamp>, Ended> {
    let hello = Hello {
        agent_version: VERSION.to_owned(),
        machine_id: state.machine().as_str().to_owned(),
        boot_id: boot::id(),
        capabilities: resources::capabilities(),
        applied: Applied::new(state.directory()).digest()?,
        jobs: worker.open_jobs().await,
    };
    match ask(connection, &AgentRequest::Hello(hello))
        .await
        .map_err(Ended::Hello)?
    {
        AgentReply::Welcome {
            server_version,
            node,
            paused,
        } => {
            let address = connection.remote_address();
            tracing::info!(%node, %address, server_version, "connected");
            Ok(paused)
        }
        AgentReply::Refused(why) => Err(Ended::Refused(why)),
        _ => Err(Ended::Refused("its answer makes no sense".to_owned())),
    }
}

/// Until the connection ends, or the agent does.
pub(super) async fn serve(
    connection: &Connection,
    config: &Config,
    worker: &WorkerHandle,
    drift: &Drift,
    stop: &CancellationToken,
) -> Closed {
    let reporter = Arc::new(Reporter::new(config, drift.clone()));
    let asked = serve::run(connection, worker, &reporter);
    let results = deliver(connection, worker);
    let progress = tell_progress(connection, worker);
    let reports = reporter.run(connection);
    let drift = reporter.tell_drift(connection);
    tokio::select! {
        closed = connection.closed() => closed,
        () = async { tokio::join!(asked, results, progress, reports, drift); } => connection.closed().await,
        () = stop.cancelled() => {
            connection.close(Code::SHUTDOWN, "the agent stops");
            // quinn's own task sends the last packet.
            sleep(Duration::from_millis(20)).await;
            Closed::ByUs
        }
    }
}

/// Sends results until each is acknowledged.
async fn deliver(connection: &Connection, worker: &WorkerHandle) {
    let mut results = worker.results();
    loop {
        results.mark_unchanged();
        let mut failed = false;
        for (job, result) in worker.kept().await {
            let request = AgentRequest::Result { job, result };
            match ask(connection, &request).await {
                Ok(AgentReply::Acknowledged) => worker.acknowledge(job).await,
                Ok(_) => failed = true,
                Err(error) => {
                    tracing::debug!(%error, run = %job.run, "a result was not delivered");
                    failed = true;
                }
            }
        }
        if connection.close_reason().is_some() {
            return;
        }
        if failed {
            sleep(AGAIN).await;
        } else if results.changed().await.is_err() {
            return;
        }
    }
}

async fn tell_progress(connection: &Connection, worker: &WorkerHandle) {
    let mut progress = worker.progress();
    loop {
        let now = progress.borrow_and_update().clone();
        let Some(now) = now else {
            if progress.changed().await.is_err() {
                return;
            }
            continue;
        };
        // It may be lost, and must not pile up: one at a time.
        let sent: Result<AgentReply, _> = ask(connection, &AgentRequest::Progress(now)).await;
        if sent.is_err() && connection.close_reason().is_some() {
            return;
        }
        sleep(PROGRESS).await;
        let _ = tokio::time::timeout(SIGN_OF_LIFE, progress.changed()).await;
    }
}

pub(super) async fn ask<R: DeserializeOwned>(
    connection: &Connection,
    request: &AgentRequest,
) -> Result<R, RequestError> {
    connection.request_within(request, ANSWER).await
}
