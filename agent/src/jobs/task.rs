//! One job, from its materials to its result.

use std::time::Duration;

use brine_model::digest::Digest;
use brine_model::live::LiveFacts;
use brine_model::time::Timestamp;
use brine_wire::job::{self, Job, JobId, JobResult, Progress};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancel;
use super::fetch::{self, NoBlob};
use super::materials::Materials;
use super::observer::Reporter;
use super::worker::Place;
use super::{act, apply, execute, health, plan, reboot, restart};
use crate::clock;
use crate::host::{Issuer, RealHost};
use crate::state::applied::Applied;
use crate::state::last::{self, LastApply};

/// What every job has at hand.
pub(super) struct Task {
    pub(super) place: Place,
    pub(super) cancel: Cancel,
    pub(super) progress: watch::Sender<Option<Progress>>,
    /// The agent is told to end.
    pub(super) stop: CancellationToken,
}

/// For the log.
pub(super) const fn kind(task: &job::Task) -> &'static str {
    match task {
        job::Task::Plan { .. } => "plan",
        job::Task::Apply { .. } => "apply",
        job::Task::Health(_) => "health",
        job::Task::Execute(_) => "execute",
        job::Task::Live(_) => "live facts",
        job::Task::Act { .. } => "action",
        job::Task::Restart(_) => "restart",
        job::Task::Reboot => "reboot",
    }
}

impl Task {
    /// None where the result is not known before the machine is up again.
    pub(super) async fn run(self, job: Job) -> Option<JobResult> {
        let (id, deadline) = (job.id, job.deadline);
        match job.task {
            job::Task::Reboot => {
                // Held until the machine is down: nothing is to be mended in its last moments.
                let _turn = self.place.turn.for_job().await;
                let asked = self.on_thread(id, |host, _| reboot::run(host)).await;
                reboot::outcome(asked, &self.stop).await
            }
            task => Some(self.done(id, deadline, task).await),
        }
    }

    async fn done(&self, id: JobId, deadline: Timestamp, task: job::Task) -> JobResult {
        match task {
            job::Task::Plan { catalog, secrets } => {
                let fetched = self.fetch(id, catalog, deadline).await;
                let place = self.place.clone();
                self.on_thread(id, move |host, _| {
                    let materials = Materials::read(&place, catalog, fetched?, secrets)?;
                    plan::run(&materials, host)
                })
                .await
            }
            job::Task::Apply {
                catalog,
                secrets,
                approval,
                part,
                extent,
            } => {
                let fetched = self.fetch(id, catalog, deadline).await;
                let (place, cancel) = (self.place.clone(), self.cancel.clone());
                let order = apply::Order {
                    approval,
                    part,
                    extent,
                };
                let begun = std::time::Instant::now();
                let result = self
                    .in_turn(id, deadline, move |host, reporter| {
                        let materials = Materials::read(&place, catalog, fetched?, secrets)?;
                        apply::run(&materials, &order, &cancel, host, reporter)
                    })
                    .await;
                self.note(id, &result, begun.elapsed()).await;
                result
            }
            job::Task::Health(conditions) => {
                let cancel = self.cancel.clone();
                self.on_thread(id, move |host, reporter| {
                    Ok(health::run(&conditions, &cancel, host, reporter))
                })
                .await
            }
            job::Task::Execute(program) => {
                self.in_turn(id, deadline, move |host, reporter| {
                    execute::run(&program, host, reporter)
                })
                .await
            }
            job::Task::Live(sources) => {
                self.on_thread(id, move |host, _| {
                    Ok(JobResult::Live(LiveFacts::ask(&sources, host)))
                })
                .await
            }
            job::Task::Act {
                resource,
                action,
                secrets,
            } => {
                self.in_turn(id, deadline, move |host, reporter| {
                    act::run(&resource, &action, &secrets, host, reporter)
                })
                .await
            }
            job::Task::Restart(unit) => {
                self.in_turn(id, deadline, move |host, reporter| {
                    restart::run(&unit, host, reporter)
                })
                .await
            }
            // Not done when it returns: see `run`.
            job::Task::Reboot => JobResult::Failed("a reboot has no result of its own".to_owned()),
        }
    }

    /// How it went, for those who watch: no job fails because that cannot be noted.
    async fn note(&self, id: JobId, result: &JobResult, took: Duration) {
        let report = match result {
            JobResult::Applied(report) | JobResult::Cancelled(Some(report)) => Some(report.clone()),
            _ => None,
        };
        let state = self.place.state.clone();
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let noted = tokio::task::spawn_blocking(move || {
            let before = last::read(&state)?;
            let last = LastApply::with(before, id.run, report.as_ref(), clock::now(), took);
            last::write(&state, &last)
        });
        match noted.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot note how the apply went"),
            Err(error) => tracing::warn!(%error, "cannot note how the apply went"),
        }
    }

    /// Brings the catalog and all that it names into the blob store.
    async fn fetch(&self, id: JobId, catalog: Digest, deadline: Timestamp) -> Result<(), Refusal> {
        let doing = "fetching the catalog".to_owned();
        self.progress.send_replace(Some(Progress {
            job: id,
            done: 0,
            total: 0,
            doing,
        }));
        fetch::catalog(&self.place, catalog, deadline, &self.cancel)
            .await
            .map_err(|error| match error {
                NoBlob::Cancelled => Refusal::Cancelled,
                other => Refusal::Failed(other.to_string()),
            })
    }

    /// What changes the machine: alone, and not any more where waiting for that took too long.
    async fn in_turn(
        &self,
        id: JobId,
        deadline: Timestamp,
        job: impl FnOnce(&mut RealHost, Reporter) -> Result<JobResult, Refusal> + Send + 'static,
    ) -> JobResult {
        let mut turn = self.place.turn.for_job().await;
        if self.cancel.is_set() {
            turn.nothing_changed();
            return JobResult::Cancelled(None);
        }
        if clock::now() > deadline {
            turn.nothing_changed();
            let why = "its deadline passed while something was being mended on this machine";
            return JobResult::Failed(why.to_owned());
        }
        let applied = Applied::new(&self.place.state);
        let before = applied.digest().ok();
        let result = self.on_thread(id, job).await;
        // In sync, with the catalog that was the node's own already.
        if matches!(&result, JobResult::Applied(report) if report.succeeded() && report.changed() == 0)
            && matches!(applied.begun(), Ok(None))
            && applied.digest().ok() == before
        {
            turn.nothing_changed();
        }
        result
    }

    /// The synchronous part, on a thread of its own with a host of its own. A transaction that an
    /// earlier life of this agent has begun is waited for first, whatever the job.
    async fn on_thread(
        &self,
        id: JobId,
        job: impl FnOnce(&mut RealHost, Reporter) -> Result<JobResult, Refusal> + Send + 'static,
    ) -> JobResult {
        let reporter = Reporter::new(id, self.progress.clone(), self.cancel.clone());
        let place = self.place.clone();
        let issuer = Issuer::new(place.link.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let mut host = RealHost::rooted(&place.root, &place.state).with_issuer(issuer);
            host.wait_for_transaction()
                .map_err(|error| Refusal::Failed(error.to_string()))?;
            job(&mut host, reporter)
        });
        match thread.await {
            Ok(Ok(result)) => result,
            Ok(Err(Refusal::Failed(why))) => JobResult::Failed(why),
            Ok(Err(Refusal::Cancelled)) => JobResult::Cancelled(None),
            Err(error) => {
                tracing::error!(%error, "a job's thread died");
                JobResult::Failed("the agent failed on this job, which is a bug".to_owned())
            }
        }
    }
}

/// Why a job could not be done at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Failed(String),
    Cancelled,
}

impl Refusal {
    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}
