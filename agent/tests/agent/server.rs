//! A server that does as it is told, and an agent for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brine_agent::config::Config;
use brine_model::catalog::{Catalog, Entry};
use brine_model::converge::{Approval, Part};
use brine_model::digest::Digest;
use brine_model::host::Program;
use brine_model::inventory::Section;
use brine_model::resource::ResourceId;
use brine_model::span::Origin;
use brine_model::time::Timestamp;
use brine_model::value::Value;
use brine_transport::Alpn;
use brine_transport::authority::{Authority, Subject};
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_transport::identity::{Key, PublicKey};
use brine_transport::join::JoinToken;
use brine_transport::server::{Listener, ServerIdentity};
use brine_transport::stream::Stream;
use brine_wire::agent::{AgentReply, AgentRequest, Hello, ServerReply, ServerRequest};
use brine_wire::blob::BlobReply;
use brine_wire::codec;
use brine_wire::enroll::{EnrollReply, EnrollRequest};
use brine_wire::job::{Extent, Job, JobId, JobResult, JobState, RunId, Task};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How the next request for a certificate is answered; without any, it is issued.
pub(crate) enum Enrol {
    LoseReply,
    Wait,
    Refuse,
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) enrolments: VecDeque<Enrol>,
    pub(crate) tokens: Vec<Option<String>>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(crate) fetched: Vec<Digest>,
    /// Results that are refused before one is taken.
    pub(crate) refuse_results: usize,
    pub(crate) revoked: bool,
    /// The resources that certificates were asked for.
    pub(crate) certified: Vec<String>,
    /// Requests for certificates whose reply is lost.
    pub(crate) lose_certificates: usize,
    /// Every table that was sent, in order.
    pub(crate) sections: Vec<Section>,
}

impl Script {
    /// A table as it was sent last.
    pub(crate) fn table(&self, name: &str) -> Option<&Section> {
        self.sections.iter().rfind(|section| section.table == name)
    }
}

pub(crate) struct Server {
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) token: JoinToken,
    connections: mpsc::UnboundedReceiver<(Connection, Hello)>,
    results: mpsc::UnboundedReceiver<(JobId, JobResult)>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Shared {
    authority: Authority,
    workloads: Authority,
    script: Arc<Mutex<Script>>,
    connections: mpsc::UnboundedSender<(Connection, Hello)>,
    results: mpsc::UnboundedSender<(JobId, JobResult)>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let authority = Authority::create(now()).unwrap();
        let key = Key::generate().unwrap();
        let public = PublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
        let validity = Subject::Server.validity();
        let certificate = authority
            .issue(&Subject::Server, &public, now(), validity)
            .unwrap()
            .der;
        let ca = authority.certificate_der().to_vec();
        let identity = ServerIdentity {
            ca: ca.clone(),
            certificate,
            key,
        };
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity).unwrap();
        let token = JoinToken {
            servers: vec![listener.local_address().unwrap().to_string()],
            ca,
            secret: None,
        };
        let script = Arc::new(Mutex::new(Script::default()));
        let (connections, connected) = mpsc::unbounded_channel();
        let (results, delivered) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            authority,
            workloads: Authority::create(now()).unwrap(),
            script: script.clone(),
            connections,
            results,
        });
        let accepting = tokio::spawn(async move {
            while let Some(incoming) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.handshake().await {
                        shared.serve(connection).await;
                    }
                });
            }
        });
        Self {
            script,
            token,
            connections: connected,
            results: delivered,
            accepting,
        }
    }

    /// The next connection that said hello.
    pub(crate) async fn connected(&mut self) -> (Connection, Hello) {
        timeout(LIMIT, self.connections.recv())
            .await
            .expect("no hello")
            .unwrap()
    }

    /// The next result that was taken.
    pub(crate) async fn result(&mut self) -> (JobId, JobResult) {
        timeout(LIMIT, self.results.recv())
            .await
            .expect("no result")
            .unwrap()
    }

    pub(crate) fn offer(&self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.script.lock().unwrap().blobs.insert(digest, bytes);
        digest
    }
}

impl Shared {
    async fn serve(&self, connection: Connection) {
        if connection.alpn() == Alpn::Enroll {
            while let Some(stream) = connection.accept().await {
                self.enrol(stream).await;
            }
            return;
        }
        if self.script.lock().unwrap().revoked {
            connection.close(Code::REVOKED, "not registered");
            return;
        }
        while let Some(stream) = connection.accept().await {
            self.answer(stream, &connection).await;
        }
    }

    async fn enrol(&self, mut stream: Stream) {
        let EnrollRequest::Certificate(request) = stream.read_request().await.unwrap();
        let next = {
            let mut script = self.script.lock().unwrap();
            script.tokens.push(request.token.clone());
            script.keys.push(request.csr.clone());
            script.enrolments.pop_front()
        };
        let reply = match next {
            Some(Enrol::LoseReply) => {
                stream.connection().close(Code::SHUTDOWN, "");
                return;
            }
            Some(Enrol::Wait) => EnrollReply::Waiting {
                fingerprint: "1234".to_owned(),
            },
            Some(Enrol::Refuse) => EnrollReply::Refused {
                reason: "used".to_owned(),
            },
            None => self.issue(&request.csr, &request.machine_id),
        };
        stream.reply(&reply).await.unwrap();
    }

    fn issue(&self, csr: &[u8], machine_id: &str) -> EnrollReply {
        let name = "db01".parse().unwrap();
        let subject = Subject::Node {
            name,
            machine_id: machine_id.to_owned(),
        };
        let key = PublicKey::from_csr(csr).unwrap();
        let issued = self
            .authority
            .issue(&subject, &key, now(), subject.validity())
            .unwrap();
        EnrollReply::Issued {
            name: "db01".parse().unwrap(),
            certificate: issued.der,
        }
    }

    /// For db01, whatever is asked.
    fn certify(&self, csr: &[u8]) -> AgentReply {
        let key = PublicKey::from_csr(csr).unwrap();
        let names = ["db01".to_owned()];
        let year = Duration::from_secs(365 * 24 * 3600);
        let issued = self.workloads.issue_workload(&names, &key, now(), year);
        AgentReply::Certificate {
            certificate: issued.unwrap().der,
            authority: self.workloads.certificate_der().to_vec(),
        }
    }

    async fn answer(&self, mut stream: Stream, connection: &Connection) {
        let Ok(request) = stream.read_request().await else {
            return;
        };
        let reply = match request {
            AgentRequest::Hello(hello) => {
                let welcome = AgentReply::Welcome {
                    server_version: "test".to_owned(),
                    node: "db01".parse().unwrap(),
                    paused: None,
                };
                stream.reply(&welcome).await.unwrap();
                self.connections.send((connection.clone(), hello)).unwrap();
                return;
            }
            AgentRequest::Inventory(told) => {
                let script = self.script.lock().unwrap();
                let known = |name: &str| script.table(name).map(Section::digest);
                let told = told.into_iter();
                let wanted = told.filter(|(name, digest)| known(name) != Some(*digest));
                AgentReply::Wanted(wanted.map(|(name, _)| name).collect())
            }
            AgentRequest::Section(section) => {
                assert!(section.checked().is_some(), "{section:?}");
                self.script.lock().unwrap().sections.push(section);
                AgentReply::Acknowledged
            }
            AgentRequest::Blob(digest) => {
                let found = {
                    let mut script = self.script.lock().unwrap();
                    script.fetched.push(digest);
                    script.blobs.get(&digest).cloned()
                };
                let Some(bytes) = found else {
                    let _ = stream.reply(&AgentReply::Blob(BlobReply::NotFound)).await;
                    return;
                };
                let length = bytes.len() as u64;
                stream
                    .send(&AgentReply::Blob(BlobReply::Follows { length }))
                    .await
                    .unwrap();
                stream.send_raw(&bytes).await.unwrap();
                stream.finish().unwrap();
                return;
            }
            AgentRequest::Result { job, result } => {
                let mut script = self.script.lock().unwrap();
                if script.refuse_results > 0 {
                    script.refuse_results -= 1;
                    AgentReply::Refused("disk full".to_owned())
                } else {
                    let _ = self.results.send((job, result));
                    AgentReply::Acknowledged
                }
            }
            AgentRequest::Certificate { resource, csr } => {
                let lose = {
                    let mut script = self.script.lock().unwrap();
                    script.certified.push(resource);
                    let lose = script.lose_certificates > 0;
                    script.lose_certificates -= usize::from(lose);
                    lose
                };
                if lose {
                    connection.close(Code::SHUTDOWN, "");
                    return;
                }
                self.certify(&csr)
            }
            AgentRequest::Progress(_) | AgentRequest::Facts(_) => AgentReply::Acknowledged,
        };
        let _ = stream.reply(&reply).await;
    }
}

/// A machine whose only user, `me`, is whoever runs this.
pub(crate) struct Machine {
    directory: tempfile::TempDir,
    life: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self {
            directory: tempfile::tempdir().unwrap(),
            life: None,
        };
        let root = machine.root();
        std::fs::create_dir_all(root.join("etc/brine")).unwrap();
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        std::fs::write(
            root.join("etc/passwd"),
            format!("me:x:{uid}:{gid}::/:/bin/sh\n"),
        )
        .unwrap();
        std::fs::write(root.join("etc/group"), format!("me:x:{gid}:\n")).unwrap();
        std::fs::write(root.join("etc/machine-id"), format!("{}\n", "a".repeat(32))).unwrap();
        machine
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(crate) fn join_file(&self) -> PathBuf {
        self.root().join("etc/brine/join")
    }

    pub(crate) fn place(&self, token: &JoinToken) {
        std::fs::write(self.join_file(), token.to_text().unwrap().as_bytes()).unwrap();
    }

    pub(crate) fn start(&mut self) {
        let config = Config {
            root: self.root(),
            state: self.state(),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let life = tokio::spawn(async move {
            brine_agent::run(config, stopped.cancelled_owned())
                .await
                .unwrap();
        });
        self.life = Some((stop, life));
    }

    /// As SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        let (stop, life) = self.life.take().unwrap();
        stop.cancel();
        timeout(LIMIT, life)
            .await
            .expect("it does not stop")
            .unwrap();
    }

    /// Waits for a level, not an edge.
    pub(crate) async fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, waited)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::default().plus(since)
}

pub(crate) fn id(run: u64) -> JobId {
    JobId {
        run: RunId(run),
        step: 0,
    }
}

pub(crate) fn job(run: u64, task: Task) -> Job {
    Job {
        id: id(run),
        deadline: now().plus(Duration::from_secs(60)),
        task,
    }
}

/// One file, `/etc/motd`, with `content`.
pub(crate) fn catalog(node: &str, content: &str) -> Vec<u8> {
    catalog_of(node, vec![file("/etc/motd", content)])
}

pub(crate) fn catalog_of(node: &str, resources: Vec<Entry>) -> Vec<u8> {
    catalog_with(node, resources, &[])
}

/// With formulas that are to be kept between applies.
pub(crate) fn catalog_with(node: &str, resources: Vec<Entry>, enforced: &[&str]) -> Vec<u8> {
    let catalog = Catalog {
        node: node.parse().unwrap(),
        resources,
        contexts: BTreeMap::new(),
        ports: BTreeMap::new(),
        enforced: enforced.iter().map(|name| name.parse().unwrap()).collect(),
    };
    codec::encode(&catalog).unwrap()
}

pub(crate) fn file(path: &str, content: &str) -> Entry {
    let fields = [("content", content), ("mode", "0644")];
    entry("file", path, &fields)
}

/// Owned by whoever runs this.
pub(crate) fn entry(kind: &str, name: &str, fields: &[(&str, &str)]) -> Entry {
    let fields = fields.iter().chain(&[("owner", "me"), ("group", "me")]);
    let value = |&(name, value): &(&str, &str)| (name.to_owned(), Value::from(value));
    Entry {
        id: ResourceId::new(kind, name),
        formula: "base".parse().unwrap(),
        fields: fields.map(value).collect(),
        require: Vec::new(),
        origin: Origin::default(),
    }
}

pub(crate) fn motd() -> ResourceId {
    ResourceId::new("file", "/etc/motd")
}

pub(crate) fn plan(catalog: Digest) -> Task {
    Task::Plan {
        catalog,
        secrets: Vec::new(),
    }
}

pub(crate) fn apply(catalog: Digest, approval: Approval) -> Task {
    Task::Apply {
        catalog,
        secrets: Vec::new(),
        approval,
        part: Part::WHOLE,
        extent: Extent::Wholly,
    }
}

pub(crate) fn shell(script: &str) -> Task {
    Task::Execute(Program {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: LIMIT,
    })
}

pub(crate) async fn ask(connection: &Connection, request: ServerRequest) -> ServerReply {
    connection.request_within(&request, LIMIT).await.unwrap()
}

pub(crate) async fn submit(connection: &Connection, job: Job) -> JobState {
    match ask(connection, ServerRequest::Job(Box::new(job))).await {
        ServerReply::Job(state) => state,
        other => panic!("{other:?}"),
    }
}
