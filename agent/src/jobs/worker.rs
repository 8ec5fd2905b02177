//! The one task that owns the journal and runs the jobs.

use std::collections::VecDeque;
use std::path::PathBuf;

use brine_transport::connection::Connection;
use brine_wire::job::{self, Job, JobId, JobResult, JobState, Progress};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::cancel::Cancel;
use super::handle::{Command, WorkerHandle};
use super::shrink::shrink;
use super::task::{self, Task};
use super::turn::Turn;
use crate::state::journal::Journal;
use crate::{boot, clock, memory};

/// Commands that wait while the worker writes its journal.
const COMMANDS: usize = 32;

/// More jobs than that are never under way for one node.
const QUEUE: usize = 64;

/// Where jobs happen, and where they find the server.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
    /// The node's name, once it has one: a catalog for another is refused.
    pub(crate) node: watch::Receiver<Option<brine_model::name::NodeName>>,
    /// The connection, while there is one.
    pub(crate) link: watch::Receiver<Option<Connection>>,
    pub(crate) turn: Turn,
}

/// Starts the worker. When `stop` is cancelled it finishes the resource at hand and takes nothing
/// more, but goes on answering until all handles are dropped; the caller waits for the task.
pub(crate) fn start(
    journal: Journal,
    place: Place,
    stop: CancellationToken,
) -> (WorkerHandle, JoinHandle<()>) {
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let (results, results_seen) = watch::channel(0);
    let (progress, progress_seen) = watch::channel(None);
    let drained = CancellationToken::new();
    let handle = WorkerHandle {
        commands,
        results: results_seen,
        progress: progress_seen,
        drained: drained.clone(),
    };
    let worker = Worker {
        journal,
        place,
        queue: VecDeque::new(),
        running: None,
        tasks: JoinSet::new(),
        results,
        progress,
        drained,
        stop,
    };
    (handle, tokio::spawn(worker.run(receiver)))
}

struct Worker {
    journal: Journal,
    place: Place,
    queue: VecDeque<Job>,
    running: Option<(JobId, Cancel)>,
    /// Never more than one.
    tasks: JoinSet<Option<JobResult>>,
    results: watch::Sender<u64>,
    progress: watch::Sender<Option<Progress>>,
    /// Said to stop, and nothing runs any more.
    drained: CancellationToken,
    stop: CancellationToken,
}

impl Worker {
    /// Ends when nobody is left to ask and nothing runs.
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let stop = self.stop.clone();
        let (mut stopping, mut alone) = (false, false);
        while !alone || self.running.is_some() {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.stop();
                }
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                command = commands.recv(), if !alone => match command {
                    Some(command) => self.answer(command, stopping),
                    None => alone = true,
                },
            }
            if !stopping {
                self.start_next();
            } else if self.running.is_none() {
                self.drained.cancel();
            }
        }
    }

    fn answer(&mut self, command: Command, stopping: bool) {
        match command {
            Command::Submit(job, reply) => {
                // Without an answer the server sends it again: to the agent's next life.
                if let Some(state) = self.submit(*job, stopping) {
                    let _ = reply.send(state);
                }
            }
            Command::State(id, reply) => {
                let _ = reply.send(self.journal.state(id));
            }
            Command::Cancel(id, reply) => {
                self.cancel(id);
                let _ = reply.send(self.journal.state(id));
            }
            Command::Kept(reply) => {
                let _ = reply.send(self.journal.kept());
            }
            Command::Open(reply) => {
                let _ = reply.send(self.journal.open_jobs());
            }
            Command::Acknowledge(id) => {
                if let Err(error) = self.journal.acknowledge(id, clock::now()) {
                    tracing::error!(%error, "cannot note that a result was delivered");
                }
            }
        }
    }

    /// None for a new job when no more are taken.
    fn submit(&mut self, job: Job, stopping: bool) -> Option<JobState> {
        if self.journal.knows(job.id) {
            return Some(match self.journal.state(job.id) {
                JobState::Unknown => {
                    JobState::Refused("this job was done, and its result acknowledged".to_owned())
                }
                state => state,
            });
        }
        (!stopping).then(|| self.accept(job))
    }

    fn accept(&mut self, job: Job) -> JobState {
        if job.deadline < clock::now() {
            return JobState::Refused(expired(&job));
        }
        if self.queue.len() >= QUEUE {
            return JobState::Refused(format!("{QUEUE} jobs are waiting already"));
        }
        if let Err(error) = self.journal.accept(job.id, job.deadline) {
            return JobState::Refused(format!("the job cannot be recorded: {error}"));
        }
        self.queue.push_back(job);
        JobState::Accepted
    }

    fn start_next(&mut self) {
        while self.running.is_none() {
            let Some(job) = self.queue.pop_front() else {
                return;
            };
            if job.deadline < clock::now() {
                self.finish(job.id, JobResult::Failed(expired(&job)));
                continue;
            }
            let recorded = match job.task {
                job::Task::Reboot => self.journal.begin_reboot(job.id, &boot::id()),
                _ => self.journal.begin(job.id),
            };
            if let Err(error) = recorded {
                let why = format!("the job cannot be recorded, so it was not begun: {error}");
                self.finish(job.id, JobResult::Failed(why));
                continue;
            }
            let (id, cancel) = (job.id, Cancel::default());
            tracing::info!(run = %id.run, step = id.step, kind = task::kind(&job.task), "job begins");
            let task = Task {
                place: self.place.clone(),
                cancel: cancel.clone(),
                progress: self.progress.clone(),
                stop: self.stop.clone(),
            };
            self.tasks.spawn(task.run(job));
            self.running = Some((id, cancel));
        }
    }

    fn cancel(&mut self, id: JobId) {
        if let Some(position) = self.queue.iter().position(|job| job.id == id) {
            self.queue.remove(position);
            self.finish(id, JobResult::Cancelled(None));
        }
        if let Some((_, cancel)) = self.running.as_ref().filter(|(running, _)| *running == id) {
            cancel.set();
        }
    }

    /// The resource at hand is finished; what was not begun is not.
    fn stop(&mut self) {
        for job in std::mem::take(&mut self.queue) {
            self.finish(job.id, JobResult::Cancelled(None));
        }
        if let Some((id, cancel)) = &self.running {
            tracing::info!(run = %id.run, "stopping after the resource at hand");
            cancel.set();
        }
    }

    fn ended(&mut self, ended: Result<Option<JobResult>, JoinError>) {
        let Some((id, _)) = self.running.take() else {
            return;
        };
        let result = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a job died");
            Some(JobResult::Failed(
                "the agent failed on this job, which is a bug".to_owned(),
            ))
        });
        tracing::info!(run = %id.run, step = id.step, "job ends");
        self.progress.send_replace(None);
        if let Some(result) = result {
            self.finish(id, shrink(result));
        }
        memory::trim();
    }

    fn finish(&mut self, id: JobId, result: JobResult) {
        if let Err(error) = self.journal.finish(id, result) {
            tracing::error!(%error, "cannot keep a result on disk");
        }
        self.results.send_modify(|count| *count += 1);
    }
}

fn expired(job: &Job) -> String {
    let late = clock::now().since(job.deadline).as_secs();
    format!(
        "its deadline passed {late} s ago by this machine's clock: it waited too long, or the \
         clocks differ"
    )
}
