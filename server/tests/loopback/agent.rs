//! An agent that is a script: it plans, applies and feels as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brine_model::catalog::Catalog;
use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, ConnectError, connect};
use brine_transport::connection::Connection;
use brine_transport::identity::Key;
use brine_transport::join::JoinToken;
use brine_wire::agent::{AgentReply, AgentRequest, Hello};
use brine_wire::enroll::{CertificateRequest, EnrollReply, EnrollRequest};
use brine_wire::job::{JobId, JobState};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::fixture::{Fixture, SOON};
use crate::script::Script;
use crate::worker::{Worker, fetch};

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
    catalogs: Arc<Mutex<BTreeMap<Digest, Catalog>>>,
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
        let agent = Self {
            name: name.to_string(),
            identity: ClientIdentity {
                ca: fixture.ca(),
                certificate: Some((certificate, key)),
            },
            servers: fixture.servers(),
            machine_id: machine,
            log: Arc::clone(log),
            script: Arc::default(),
            jobs: Arc::default(),
            may_finish: Arc::new(Semaphore::new(1000)),
            session: Mutex::default(),
            connection: Arc::default(),
            catalogs: Arc::default(),
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
            catalogs: Arc::clone(&self.catalogs),
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
        self.ask(&AgentRequest::Facts(Box::new(facts))).await
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
