//! Runs, from an operator's wish to their end.
//!
//! ```text
//! start     checks everything that can be checked before anything is touched, makes the record
//! driver    one task per run: plans, waits for a yes, then does what `rollout` decides
//! plans     what it is about to do; agreed: no more than was agreed to before
//! apply     wave after wave, pass after pass; once, deeds, revert: what else there is to do
//! perform   one job on one node, through lost connections, until its result or its deadline
//! live      mailboxes of runs under way, results on their way to them, news for those who watch
//! leases    which run holds which formula of which role
//! ```
//!
//! Everything that happened is in the store before anyone is told; a server that dies leaves a
//! record that says where each run stood.

mod agreed;
mod apply;
mod asking;
mod deeds;
mod driver;
mod formations;
mod health;
pub(crate) mod interruption;
mod leases;
mod live;
mod members;
mod once;
pub(crate) mod outcome;
mod perform;
mod plan;
mod plans;
mod recorder;
mod revert;
mod roll;
mod start;

use std::sync::Arc;

use brine_model::name::NodeName;
use brine_wire::job::{JobId, JobResult, Progress, RunId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::Limits;
use crate::fleet::FleetHandle;
use crate::secrets::Secrets;
use crate::store::{Store, StoreError};
pub(crate) use live::Watching;
pub(crate) use start::StartError;

/// Cloneable handle to everything about runs.
#[derive(Debug, Clone)]
pub(crate) struct Runs(Arc<Shared>);

/// What all drivers share.
#[derive(Debug)]
struct Shared {
    store: Store,
    fleet: FleetHandle,
    limits: Limits,
    secrets: Arc<Secrets>,
    live: live::Live,
    leases: leases::Leases,
    /// The drivers, so that a server that stops can wait for them.
    drivers: TaskTracker,
    shutdown: CancellationToken,
}

/// What an operator says to a run under way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Approve,
    Cancel(String),
}

impl Runs {
    #[must_use]
    pub(crate) fn new(
        store: Store,
        fleet: FleetHandle,
        limits: Limits,
        secrets: Arc<Secrets>,
        shutdown: CancellationToken,
    ) -> Self {
        let (live, leases) = (live::Live::default(), leases::Leases::default());
        let drivers = TaskTracker::new();
        Self(Arc::new(Shared {
            store,
            fleet,
            limits,
            secrets,
            live,
            leases,
            drivers,
            shutdown,
        }))
    }

    /// Says yes to a planned run; false where none waits for that.
    #[must_use]
    pub(crate) fn approve(&self, run: RunId) -> bool {
        self.0.live.say(run, Word::Approve)
    }

    /// Stops a run after what is at hand; false where it is not under way.
    #[must_use]
    pub(crate) fn cancel(&self, run: RunId, operator: &str) -> bool {
        self.0.live.say(run, Word::Cancel(operator.to_owned()))
    }

    /// News of a run under way; none where it is over.
    #[must_use]
    pub(crate) fn watch(&self, run: RunId) -> Option<Watching> {
        self.0.live.watch(run)
    }

    /// Keeps a result, then hands it to its run. Once this is `Ok`, the agent may forget it.
    ///
    /// # Errors
    /// It could not be kept: the agent must send it again.
    pub(crate) async fn result(
        &self,
        node: &NodeName,
        job: JobId,
        result: JobResult,
    ) -> Result<(), StoreError> {
        let shared = &self.0;
        let at = clock::now();
        let recorded = shared
            .store
            .record_result(node.clone(), job, result.clone(), at)
            .await?;
        tracing::debug!(%node, step = job.step, ?recorded, "a result");
        // Also what is recorded already: whoever recorded it may not have come to hand it over
        // yet, and an agent forgets what is acknowledged.
        shared.live.deliver(node, job, result);
        Ok(())
    }

    /// A sign of life: for those who watch now, and nobody else.
    pub(crate) fn progress(&self, node: &NodeName, progress: Progress) {
        self.0.live.progress(node, progress, clock::now());
    }

    /// A removed node will never answer again.
    pub(crate) fn removed(&self, node: &NodeName) {
        self.0.live.removed(node);
    }

    /// Waits until all drivers have put their runs down.
    pub(crate) async fn finished(&self) {
        self.0.drivers.close();
        self.0.drivers.wait().await;
    }
}

type Mailbox = mpsc::UnboundedReceiver<Word>;
