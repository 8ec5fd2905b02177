//! What a scripted agent does with a job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use brine_model::catalog::Catalog;
use brine_model::converge::{Approval, Part};
use brine_model::digest::Digest;
use brine_model::host::Probe;
use brine_transport::connection::Connection;
use brine_wire::agent::{AgentReply, AgentRequest, ServerReply, ServerRequest};
use brine_wire::blob::BlobReply;
use brine_wire::codec;
use brine_wire::job::{Job, JobId, JobResult, JobState, Progress, Task};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::agent::Log;
use crate::fixture::SOON;
use crate::script::Script;

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) log: Log,
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) jobs: Arc<Mutex<BTreeMap<JobId, JobState>>>,
    pub(crate) may_finish: Arc<Semaphore>,
    /// Of whatever session there is now: jobs outlive sessions.
    pub(crate) current: Arc<Mutex<Option<Connection>>>,
    pub(crate) catalogs: Arc<Mutex<BTreeMap<Digest, Catalog>>>,
}

impl Worker {
    pub(crate) async fn serve(self, connection: Connection) {
        let finished: Vec<(JobId, JobResult)> = {
            let jobs = self.jobs.lock().expect("unpoisoned");
            let finished = jobs.iter().filter_map(|(id, state)| match state {
                JobState::Finished(result) => Some((*id, result.clone())),
                _ => None,
            });
            finished.collect()
        };
        for (id, result) in finished {
            self.deliver(id, result).await;
        }
        let mut answers = JoinSet::new();
        while let Some(mut stream) = connection.accept().await {
            let worker = self.clone();
            answers.spawn(async move {
                // The tests' side of the protocol: requests of the server have no policy.
                let Ok(Some(request)) = stream.receive::<ServerRequest>().await else {
                    return;
                };
                if worker.script.lock().expect("unpoisoned").silent {
                    std::future::pending::<()>().await;
                }
                let reply = match request {
                    ServerRequest::Job(job) => ServerReply::Job(worker.take(*job)),
                    ServerRequest::JobState(id) => ServerReply::Job(worker.state(id)),
                    ServerRequest::Cancel(id) => {
                        worker.note(&format!("cancel {}", id.step));
                        worker.may_finish.add_permits(1);
                        ServerReply::Job(worker.state(id))
                    }
                    ServerRequest::Ping => ServerReply::Pong,
                    ServerRequest::Report => ServerReply::Reported,
                    ServerRequest::Pause(_) => ServerReply::Paused,
                };
                let _ = stream.reply(&reply).await;
            });
        }
    }

    fn state(&self, id: JobId) -> JobState {
        self.jobs
            .lock()
            .expect("unpoisoned")
            .get(&id)
            .cloned()
            .unwrap_or(JobState::Unknown)
    }

    fn connection(&self) -> Option<Connection> {
        self.current.lock().expect("unpoisoned").clone()
    }

    fn note(&self, what: &str) {
        self.log
            .lock()
            .expect("unpoisoned")
            .push(format!("{} {what}", self.name));
    }

    /// A known job is never run twice.
    fn take(&self, job: Job) -> JobState {
        let mut jobs = self.jobs.lock().expect("unpoisoned");
        if let Some(known) = jobs.get(&job.id) {
            return known.clone();
        }
        jobs.insert(job.id, JobState::Running);
        drop(jobs);
        let worker = self.clone();
        tokio::spawn(async move {
            let id = job.id;
            let result = worker.work(job).await;
            let state = JobState::Finished(result.clone());
            worker.jobs.lock().expect("unpoisoned").insert(id, state);
            worker.deliver(id, result).await;
        });
        JobState::Running
    }

    async fn deliver(&self, job: JobId, result: JobResult) {
        let Some(connection) = self.connection() else {
            return;
        };
        let request = AgentRequest::Result { job, result };
        let reply = connection
            .request_within::<_, AgentReply>(&request, SOON)
            .await;
        if matches!(reply, Ok(AgentReply::Acknowledged)) {
            self.jobs.lock().expect("unpoisoned").remove(&job);
        }
    }

    async fn work(&self, job: Job) -> JobResult {
        let script = self.script.lock().expect("unpoisoned").clone();
        match job.task {
            Task::Plan { catalog, secrets } => {
                self.script.lock().expect("unpoisoned").secrets = secrets;
                match self.catalog(catalog).await {
                    Ok(catalog) => JobResult::Planned(script.plan(&catalog)),
                    Err(why) => JobResult::Failed(why),
                }
            }
            Task::Apply {
                catalog,
                approval,
                part,
                ..
            } => self.apply(job.id, catalog, &approval, part, &script).await,
            Task::Health(asked) => {
                for health in &asked {
                    if let Probe::Command(program) = &health.probe {
                        self.note(&format!("runs {}", program.argv.join(" ")));
                    }
                }
                JobResult::Health {
                    failing: script.failing(&asked),
                }
            }
            Task::Live(sources) => {
                self.note(&format!("tells of {} sources", sources.len()));
                JobResult::Live(script.live)
            }
            Task::Act { action, .. } => self.act(&action, &script).await,
            Task::Restart(unit) => self.act(&format!("restart {unit}"), &script).await,
            Task::Reboot => self.act("reboot", &script).await,
            Task::Execute(program) => {
                let words = program.argv.join(" ");
                let code = match self.act(&words, &script).await {
                    JobResult::Failed(_) => 3,
                    _ => 0,
                };
                JobResult::Executed {
                    code,
                    stdout: format!("{words} on {}", self.name),
                    stderr: String::new(),
                }
            }
        }
    }

    async fn apply(
        &self,
        id: JobId,
        catalog: Digest,
        approval: &Approval,
        part: Part,
        script: &Script,
    ) -> JobResult {
        self.note(&format!("applies {catalog}"));
        // As agents do: what it has planned it has at hand.
        let planned = self
            .catalogs
            .lock()
            .expect("unpoisoned")
            .get(&catalog)
            .cloned();
        let catalog = match planned {
            Some(catalog) => catalog,
            None => match self.catalog(catalog).await {
                Ok(catalog) => catalog,
                Err(why) => return JobResult::Failed(why),
            },
        };
        let progress = Progress {
            job: id,
            done: 0,
            total: 1,
            doing: "file".into(),
        };
        if let Some(connection) = self.connection() {
            let progress = AgentRequest::Progress(progress);
            let _ = connection
                .request_within::<_, AgentReply>(&progress, SOON)
                .await;
        }
        let report = script.apply(&catalog, part, approval);
        let doing: Vec<String> = report.resources.iter().map(|r| r.id.to_string()).collect();
        self.note(&format!("has {}", doing.join(" ")));
        self.note("begins");
        drop(self.may_finish.acquire().await.expect("open"));
        self.note("ends");
        self.script.lock().expect("unpoisoned").after_apply(&report);
        JobResult::Applied(report)
    }

    async fn act(&self, what: &str, script: &Script) -> JobResult {
        self.note("begins");
        drop(self.may_finish.acquire().await.expect("open"));
        self.note("ends");
        match &script.fails {
            Some(why) => JobResult::Failed(why.clone()),
            None => JobResult::Acted(format!("{what}: done")),
        }
    }

    async fn catalog(&self, digest: Digest) -> Result<Catalog, String> {
        let connection = self.connection().ok_or("not connected")?;
        let bytes = fetch(&connection, digest)
            .await
            .ok_or("the catalog is missing")?;
        let catalog: Catalog = codec::decode(&bytes, bytes.len()).expect("a catalog");
        assert_eq!(catalog.node.as_str(), self.name);
        for blob in catalog.blobs() {
            fetch(&connection, blob).await.ok_or("a blob is missing")?;
        }
        let mut catalogs = self.catalogs.lock().expect("unpoisoned");
        catalogs.insert(digest, catalog.clone());
        Ok(catalog)
    }
}

pub(crate) async fn fetch(connection: &Connection, digest: Digest) -> Option<Vec<u8>> {
    let request = AgentRequest::Blob(digest);
    let mut stream = connection.request_stream(&request).await.expect("a stream");
    match stream.receive::<AgentReply>().await.expect("a reply") {
        Some(AgentReply::Blob(BlobReply::Follows { length })) => {
            let bytes = stream.receive_raw(length).await.expect("bytes");
            assert_eq!(Digest::of(&bytes), digest);
            Some(bytes)
        }
        Some(AgentReply::Blob(BlobReply::NotFound)) => None,
        other => panic!("no blob: {other:?}"),
    }
}
