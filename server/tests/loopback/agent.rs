//! An agent that is a script: it plans, applies and feels as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brine_model::catalog::Catalog;
use brine_model::converge::{Applied, ApplyReport, Plan, PlanOutcome, Planned, ResourceOutcome};
use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::resource::{Change, Impact, ResourceId};
use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, ConnectError, connect};
use brine_transport::connection::Connection;
use brine_transport::identity::Key;
use brine_transport::join::JoinToken;
use brine_wire::agent::{AgentReply, AgentRequest, Hello, ServerReply, ServerRequest};
use brine_wire::blob::BlobReply;
use brine_wire::codec;
use brine_wire::enroll::{CertificateRequest, EnrollReply, EnrollRequest};
use brine_wire::job::{Job, JobId, JobResult, JobState, Progress, Secret, Task};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::fixture::{Fixture, SOON, name};

/// What all agents of a test did, in order.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// Everything that outlives a connection, as on a real node.
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) identity: ClientIdentity,
    servers: Vec<String>,
    machine_id: String,
    log: Log,
    script: Arc<Mutex<Script>>,
    jobs: Arc<Mutex<BTreeMap<JobId, JobState>>>,
    /// Applies take a permit to finish: by default there are enough.
    pub(crate) may_finish: Arc<Semaphore>,
    session: Mutex<Option<AbortHandle>>,
    connection: Arc<Mutex<Option<Connection>>>,
}

#[derive(Clone)]
pub(crate) struct Script {
    /// None: in sync.
    pub(crate) impact: Option<Impact>,
    pub(crate) failing: Vec<String>,
    pub(crate) fails: Option<String>,
    pub(crate) secrets: Vec<Secret>,
}

pub(crate) fn request(
    token: Option<String>,
    host: &str,
    machine: &str,
    key: &Key,
) -> EnrollRequest {
    EnrollRequest::Certificate(CertificateRequest {
        token,
        proposed_name: host.into(),
        machine_id: machine.into(),
        csr: key.csr_der().expect("a request"),
        agent_version: "0.1.0".into(),
    })
}

pub(crate) async fn enrol(servers: &[String], ca: &[u8], request: &EnrollRequest) -> EnrollReply {
    let stranger = ClientIdentity {
        ca: ca.to_vec(),
        certificate: None,
    };
    let connection = connect(servers, Alpn::Enroll, &stranger, SOON)
        .await
        .expect("connected");
    connection
        .request_within(request, SOON)
        .await
        .expect("a reply")
}

pub(crate) fn secret_of(token: &str) -> Option<String> {
    let token: JoinToken = token.parse().expect("a token");
    token
        .secret
        .as_ref()
        .map(|secret| secret.reveal().to_owned())
}

impl Agent {
    /// Enrols a machine and connects it.
    pub(crate) async fn join(fixture: &Fixture, token: &str, host: &str, log: &Log) -> Self {
        let key = Key::generate().expect("a key");
        let machine = format!("machine-{host}");
        let asked = request(secret_of(token), host, &machine, &key);
        let reply = enrol(&fixture.servers(), &fixture.ca(), &asked).await;
        let EnrollReply::Issued { name, certificate } = reply else {
            panic!("{reply:?}")
        };
        let script = Script {
            impact: Some(Impact::Restart),
            failing: vec![],
            fails: None,
            secrets: vec![],
        };
        let agent = Self {
            name: name.to_string(),
            identity: ClientIdentity {
                ca: fixture.ca(),
                certificate: Some((certificate, key)),
            },
            servers: fixture.servers(),
            machine_id: machine,
            log: Arc::clone(log),
            script: Arc::new(Mutex::new(script)),
            jobs: Arc::default(),
            may_finish: Arc::new(Semaphore::new(1000)),
            session: Mutex::default(),
            connection: Arc::default(),
        };
        agent.connect().await.expect("connected");
        agent
    }

    pub(crate) fn hello(&self) -> AgentRequest {
        AgentRequest::Hello(Hello {
            agent_version: "0.1.0".into(),
            machine_id: self.machine_id.clone(),
            boot_id: "boot".into(),
            capabilities: Digest::of(b"all"),
            applied: None,
            jobs: self
                .jobs
                .lock()
                .expect("unpoisoned")
                .keys()
                .copied()
                .collect(),
        })
    }

    pub(crate) async fn dial(&self) -> Result<Connection, ConnectError> {
        connect(&self.servers, Alpn::Agent, &self.identity, SOON).await
    }

    /// Connects, says hello, delivers what is finished, and serves from then on.
    pub(crate) async fn connect(&self) -> Result<(), String> {
        let connection = self.dial().await.map_err(|error| error.to_string())?;
        let reply = connection.request_within(&self.hello(), SOON).await;
        let Ok(AgentReply::Welcome { .. }) = reply else {
            return Err(format!("{reply:?}"));
        };
        let worker = Worker {
            name: self.name.clone(),
            log: Arc::clone(&self.log),
            script: Arc::clone(&self.script),
            jobs: Arc::clone(&self.jobs),
            may_finish: Arc::clone(&self.may_finish),
            current: Arc::clone(&self.connection),
        };
        *self.connection.lock().expect("unpoisoned") = Some(connection.clone());
        let session = tokio::spawn(worker.serve(connection));
        *self.session.lock().expect("unpoisoned") = Some(session.abort_handle());
        Ok(())
    }

    /// Goes away without a word; what it works on goes on.
    pub(crate) fn disconnect(&self) {
        if let Some(session) = self.session.lock().expect("unpoisoned").take() {
            session.abort();
        }
        if let Some(connection) = self.connection.lock().expect("unpoisoned").take() {
            connection.close(brine_transport::closed::Code::DONE, "");
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.connection
            .lock()
            .expect("unpoisoned")
            .clone()
            .expect("connected")
    }

    pub(crate) async fn ask(&self, request: &AgentRequest) -> AgentReply {
        self.connection()
            .request_within(request, SOON)
            .await
            .expect("a reply")
    }

    /// As agents do: from the server or not at all.
    pub(crate) async fn blob(&self, digest: Digest) -> Option<Vec<u8>> {
        fetch(&self.connection(), digest).await
    }

    pub(crate) async fn report_facts(&self, facts: Facts) -> AgentReply {
        self.ask(&AgentRequest::Facts(facts)).await
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().expect("unpoisoned"));
    }

    pub(crate) fn hold(&self) {
        self.may_finish.forget_permits(1000);
    }

    /// Ids of finished jobs that the server has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.jobs.lock().expect("unpoisoned").len()
    }
}

#[derive(Clone)]
struct Worker {
    name: String,
    log: Log,
    script: Arc<Mutex<Script>>,
    jobs: Arc<Mutex<BTreeMap<JobId, JobState>>>,
    may_finish: Arc<Semaphore>,
    /// Of whatever session there is now: jobs outlive sessions.
    current: Arc<Mutex<Option<Connection>>>,
}

impl Worker {
    async fn serve(self, connection: Connection) {
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
                let reply = match request {
                    ServerRequest::Job(job) => ServerReply::Job(worker.take(*job)),
                    ServerRequest::JobState(id) => ServerReply::Job(worker.state(id)),
                    ServerRequest::Cancel(id) => {
                        worker.note(&format!("cancel {}", id.step));
                        worker.may_finish.add_permits(1);
                        ServerReply::Job(worker.state(id))
                    }
                    ServerRequest::Ping => ServerReply::Pong,
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
                self.plan(catalog, &script).await
            }
            Task::Apply { approval, .. } => {
                let progress = Progress {
                    job: job.id,
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
                self.note("begins");
                drop(self.may_finish.acquire().await.expect("open"));
                self.note("ends");
                let changes = changes(&script);
                let id = resource();
                let outcome = match script.fails {
                    Some(message) => ResourceOutcome::Failed { message, changes },
                    None if changes.is_empty() => ResourceOutcome::InSync,
                    None if !approval.covers(&id, &changes) => {
                        ResourceOutcome::NotApproved(changes)
                    }
                    None => ResourceOutcome::Changed(changes),
                };
                let resources = vec![Applied {
                    id,
                    formula: name("app"),
                    outcome,
                }];
                JobResult::Applied(ApplyReport { resources })
            }
            Task::Health(_) => JobResult::Health {
                failing: script.failing,
            },
            Task::Live(_) => JobResult::Live(brine_model::live::LiveFacts::default()),
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

    async fn act(&self, what: &str, script: &Script) -> JobResult {
        self.note("begins");
        drop(self.may_finish.acquire().await.expect("open"));
        self.note("ends");
        match &script.fails {
            Some(why) => JobResult::Failed(why.clone()),
            None => JobResult::Acted(format!("{what}: done")),
        }
    }

    async fn plan(&self, catalog: Digest, script: &Script) -> JobResult {
        let Some(connection) = self.connection() else {
            return JobResult::Failed("not connected".into());
        };
        let Some(bytes) = fetch(&connection, catalog).await else {
            return JobResult::Failed("the catalog is missing".into());
        };
        let catalog: Catalog = codec::decode(&bytes, bytes.len()).expect("a catalog");
        assert_eq!(catalog.node.as_str(), self.name);
        for blob in catalog.blobs() {
            if fetch(&connection, blob).await.is_none() {
                return JobResult::Failed("a blob is missing".into());
            }
        }
        let changes = changes(script);
        let outcome = if changes.is_empty() {
            PlanOutcome::InSync
        } else {
            PlanOutcome::Changes(changes)
        };
        let planned = Planned {
            id: resource(),
            formula: name("app"),
            outcome,
        };
        JobResult::Planned(Plan {
            resources: vec![planned],
            released: vec![],
        })
    }
}

async fn fetch(connection: &Connection, digest: Digest) -> Option<Vec<u8>> {
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

fn resource() -> ResourceId {
    ResourceId::new("file", "/etc/app.conf")
}

fn changes(script: &Script) -> Vec<Change> {
    let change = |impact| Change {
        verb: "content".into(),
        text: "content".into(),
        diff: None,
        impact,
        effects: vec![],
    };
    script.impact.map(change).into_iter().collect()
}

/// How many were between begin and end at the same time, at most.
pub(crate) fn most_at_once(log: &Log) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for line in log.lock().expect("unpoisoned").iter() {
        if line.ends_with("begins") {
            now += 1;
            most = most.max(now);
        } else if line.ends_with("ends") {
            now -= 1;
        }
    }
    most
}

pub(crate) fn begun(log: &Log) -> Vec<String> {
    let log = log.lock().expect("unpoisoned");
    log.iter()
        .filter_map(|line| line.strip_suffix(" begins"))
        .map(str::to_owned)
        .collect()
}

/// Long enough for what must not happen to happen.
pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
