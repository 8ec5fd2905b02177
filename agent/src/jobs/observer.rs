//! Telling how far a job is.

use brine_model::converge::{Observer, ResourceOutcome};
use brine_model::resource::ResourceId;
use brine_wire::job::{JobId, Progress};
use tokio::sync::watch;

use super::cancel::Cancel;

/// Only the newest progress counts: whoever sends it on does so at his own pace.
pub(super) struct Reporter {
    job: JobId,
    progress: watch::Sender<Option<Progress>>,
    cancel: Cancel,
}

impl Reporter {
    pub(super) fn new(
        job: JobId,
        progress: watch::Sender<Option<Progress>>,
        cancel: Cancel,
    ) -> Self {
        Self {
            job,
            progress,
            cancel,
        }
    }

    pub(super) fn tell(&self, done: usize, total: usize, doing: String) {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let progress = Progress {
            job: self.job,
            done: count(done),
            total: count(total),
            doing,
        };
        self.progress.send_replace(Some(progress));
    }
}

impl Observer for Reporter {
    fn started(&mut self, index: usize, total: usize, id: &ResourceId) {
        self.tell(index, total, id.to_string());
    }

    fn finished(&mut self, id: &ResourceId, outcome: &ResourceOutcome) {
        match outcome {
            ResourceOutcome::InSync => tracing::debug!(%id, "in sync"),
            ResourceOutcome::Changed(_) => tracing::info!(%id, "changed"),
            // The words go to the server with the report; they may quote a program's output.
            ResourceOutcome::Failed { .. } => tracing::error!(%id, "failed"),
            ResourceOutcome::NotApproved(_) => tracing::warn!(%id, "needs more than was approved"),
            ResourceOutcome::Skipped { .. } => tracing::debug!(%id, "skipped"),
            ResourceOutcome::Cancelled => tracing::info!(%id, "cancelled"),
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_set()
    }
}
