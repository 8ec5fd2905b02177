//! How the rest of the agent talks to the worker.

use brine_wire::job::{Job, JobId, JobResult, JobState, Progress};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What the worker is asked.
#[derive(Debug)]
pub(super) enum Command {
    Submit(Box<Job>, oneshot::Sender<JobState>),
    State(JobId, oneshot::Sender<JobState>),
    Cancel(JobId, oneshot::Sender<JobState>),
    Kept(oneshot::Sender<Vec<(JobId, JobResult)>>),
    Open(oneshot::Sender<Vec<JobId>>),
    Acknowledge(JobId),
}

/// Cheap to clone. Where the worker is gone, or takes no more jobs, there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct WorkerHandle {
    pub(super) commands: mpsc::Sender<Command>,
    /// Counts results: whoever delivers them waits for it to change.
    pub(super) results: watch::Receiver<u64>,
    /// What the running job is doing; none between jobs.
    pub(super) progress: watch::Receiver<Option<Progress>>,
    pub(super) drained: CancellationToken,
}

impl WorkerHandle {
    pub(crate) async fn submit(&self, job: Box<Job>) -> Option<JobState> {
        self.ask(|reply| Command::Submit(job, reply)).await
    }

    pub(crate) async fn state(&self, id: JobId) -> Option<JobState> {
        self.ask(|reply| Command::State(id, reply)).await
    }

    /// Effective after the resource at hand; the answer is where the job stands now.
    pub(crate) async fn cancel(&self, id: JobId) -> Option<JobState> {
        self.ask(|reply| Command::Cancel(id, reply)).await
    }

    /// Results that are not acknowledged.
    pub(crate) async fn kept(&self) -> Vec<(JobId, JobResult)> {
        self.ask(Command::Kept).await.unwrap_or_default()
    }

    /// Jobs whose results the server does not have.
    pub(crate) async fn open_jobs(&self) -> Vec<JobId> {
        self.ask(Command::Open).await.unwrap_or_default()
    }

    /// The server has the result.
    pub(crate) async fn acknowledge(&self, id: JobId) {
        let _ = self.commands.send(Command::Acknowledge(id)).await;
    }

    /// Changes whenever there is a new result.
    #[must_use]
    pub(crate) fn results(&self) -> watch::Receiver<u64> {
        self.results.clone()
    }

    #[must_use]
    pub(crate) fn progress(&self) -> watch::Receiver<Option<Progress>> {
        self.progress.clone()
    }

    /// Waits until the worker was told to stop and nothing runs any more.
    pub(crate) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}
