//! The agent's life.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::drift;
use crate::jobs::{self, Place, Turn, WorkerHandle};
use crate::link::{self, Link};
use crate::state::binding::MachineId;
use crate::state::journal::Journal;
use crate::state::{State, StateError};
use crate::{boot, clock, memory, metrics};

/// How long the last result may take to be delivered before the agent ends; it is kept anyway.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs until `shutdown`, then in this order: the resource at hand is finished and the result
/// kept, results are delivered if there is a connection, the connection is closed.
///
/// # Errors
/// The state directory cannot be used. Nothing that the server or the network does ends it.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StateError> {
    let machine = MachineId::read(&config.root)?;
    let state = State::open(&config.state, machine)?;
    let journal = Journal::open(state.directory(), clock::now(), &boot::id())?;
    let (connection, link_seen) = watch::channel(None);
    let (node, node_seen) = watch::channel(None);
    let place = Place {
        root: config.root.clone(),
        state: config.state.clone(),
        node: node_seen,
        link: link_seen.clone(),
        turn: Turn::new(),
    };
    let (drift, watch) = drift::new(place.clone());
    let (stop_jobs, stop_link) = (CancellationToken::new(), CancellationToken::new());
    let watching = tokio::spawn(watch.run(stop_jobs.clone()));
    let own = metrics::Own {
        root: config.root.clone(),
        state: config.state.clone(),
        link: Some(link_seen.clone()),
    };
    let quiet = tokio::spawn(memory::let_go());
    let metrics = tokio::spawn(metrics::run(config.root.clone(), own, stop_link.clone()));
    let (worker, working) = jobs::start(journal, place, stop_jobs.clone());
    let link = Link {
        drift,
        connection,
        node,
    };
    let farewell = async {
        shutdown.await;
        tracing::info!("stopping");
        stop_jobs.cancel();
        worker.drained().await;
        if link_seen.borrow().is_some() {
            let _ = tokio::time::timeout(FAREWELL, delivered(&worker)).await;
        }
        stop_link.cancel();
    };
    tokio::join!(
        link::run(&config, &state, &worker, &link, &stop_link),
        farewell
    );
    drop(worker);
    quiet.abort();
    if let Err(error) = watching.await {
        tracing::error!(%error, "the watch for drift died");
    }
    if let Err(error) = metrics.await {
        tracing::error!(%error, "the endpoint for metrics died");
    }
    if let Err(error) = working.await {
        tracing::error!(%error, "the worker died");
    }
    Ok(())
}

/// Waits until no result is left to deliver.
async fn delivered(worker: &WorkerHandle) {
    while !worker.kept().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
