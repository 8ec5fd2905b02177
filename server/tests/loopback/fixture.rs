//! A server in a temporary directory, and an operator for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use brine_model::name::NodeName;
use brine_server::Server;
use brine_server::config::{Config, DataPaths, Limits, Settings};
use brine_server::init::{self, Connection as CtlSettings, InitOptions};
use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, connect};
use brine_transport::connection::Connection;
use brine_transport::identity::{Key, certificate_from_pem};
use brine_wire::job::RunId;
use brine_wire::operator::{
    ActionRequest, AddToken, NodeInfo, OperatorReply, OperatorRequest, Start, StartAction, Why,
};
use brine_wire::run::{Event, Happening, NodeState, RunDetail, RunPhase, RunSummary};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Short, so that what is late is late soon.
const LIMITS: Limits = Limits {
    plan: Duration::from_secs(20),
    apply: Duration::from_secs(20),
    approval: Duration::from_secs(20),
    reconnect: Duration::from_millis(300),
    gate: Duration::from_secs(1),
    choice: Duration::from_secs(2),
    sign_of_life: Duration::from_secs(1),
    shutdown: Duration::from_secs(4),
};

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    data: DataPaths,
    settings: Settings,
    pub(crate) limits: Limits,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    ctl: CtlSettings,
    operator: Option<Connection>,
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub(crate) fn start(target: &str) -> Start {
    Start {
        target: target.into(),
        skip_unreachable: false,
        wait: false,
        agreed: None,
        resume: None,
    }
}

/// Three roles: `web` asks its members' health and lets one be out, `db` has a secret, `cache` a
/// certificate.
fn write_states(root: &Path) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write(
        "roles/web.yaml",
        "role: web\ndescription: Web.\nformulas: [app]\n",
    );
    write(
        "roles/db.yaml",
        "role: db\ndescription: Database.\nformulas: [store]\n",
    );
    write(
        "formulas/app/formula.yaml",
        "formula: app\ndescription: App.\nparameters:\n  greeting: { type: string, default: hello, \
         description: A word. }\nresources:\n  - file: /etc/app.conf\n    template: app.hbs\n\
         cluster:\n  healthy: { tcp: \"127.0.0.1:80\", within: 2s }\n  max_unavailable: 1\n",
    );
    write(
        "formulas/app/templates/app.hbs",
        "{{app.greeting}} from {{node.name}}\n",
    );
    write(
        "formulas/store/formula.yaml",
        "formula: store\ndescription: Store.\nparameters:\n  password: { type: secret, \
         description: A secret. }\nresources:\n  - file: /etc/store.conf\n    template: store.hbs\n",
    );
    write(
        "formulas/store/templates/store.hbs",
        "password={{store.password}}\n",
    );
    write(
        "roles/cache.yaml",
        "role: cache\ndescription: Cache.\nformulas: [tls, node_metrics]\n",
    );
    write(
        "formulas/node_metrics/formula.yaml",
        "formula: node_metrics\ndescription: Metrics.\nparameters:\n  port: { type: port, default: 9100, \
         description: Where. }\nresources:\n  - file: /etc/metrics.conf\n    content: here\n",
    );
    write(
        "formulas/tls/formula.yaml",
        "formula: tls\ndescription: TLS.\nresources:\n  - certificate: /etc/tls.pem\n    \
         key: /etc/tls.key\n    ca: /etc/ca.pem\n    names: [\"${{ node.name }}\", 10.0.0.5]\n",
    );
}

/// An address that nobody else takes while its server is down: each fixture has a loopback address
/// to itself, and the port is one that is never given to a client that asks for any.
fn address_of_its_own() -> SocketAddr {
    static FIXTURES: AtomicU8 = AtomicU8::new(1);
    let [low, middle, ..] = std::process::id().to_le_bytes();
    let fixture = FIXTURES.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, middle, low, fixture], 4640))
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let states = root.join("states");
        write_states(&states);
        let listen = address_of_its_own();
        let data = DataPaths::new(root.join("data"));
        let options = InitOptions {
            config: root.join("server.yaml"),
            ctl: root.join("ctl.json"),
            states: Some(states),
            listen: Some(listen),
            addresses: vec![listen.to_string()],
            http: Some(SocketAddr::new(listen.ip(), 4641)),
        };
        let mut settings = init::init(&data, &options).await.expect("made").settings;
        // The handshake is the lab's business; here it would be one more client to write.
        let http = settings.http.as_mut().expect("asked for");
        http.tls = false;
        http.token = "app.metrics_token".to_owned();
        let ctl = std::fs::read_to_string(&options.ctl).expect("written");
        let ctl = serde_json::from_str(&ctl).expect("settings");
        let (running, operator) = (None, None);
        let mut fixture = Self {
            folder,
            data,
            settings,
            limits: LIMITS,
            running,
            ctl,
            operator,
        };
        fixture.up().await;
        fixture
    }

    pub(crate) async fn up(&mut self) {
        let config = Config {
            settings: self.settings.clone(),
            data: self.data.clone(),
            limits: self.limits,
        };
        let server = Server::start(config).await.expect("started");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = server.serve(async {
            let _ = stopped.await;
        });
        self.running = Some((stop, tokio::spawn(serving)));
        let identity = self.operator_identity();
        let operator = connect(&self.servers(), Alpn::Ctl, &identity, SOON).await;
        self.operator = Some(operator.expect("connected"));
    }

    /// Stops the server as SIGTERM does.
    pub(crate) async fn down(&mut self) {
        self.operator = None;
        if let Some((stop, serving)) = self.running.take() {
            let _ = stop.send(());
            let stopped = tokio::time::timeout(self.limits.shutdown + SOON, serving).await;
            stopped.expect("in time").expect("no panic");
        }
    }

    /// A page that programs ask for: its status, and its text.
    pub(crate) async fn page(&self, path: &str, header: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let http = self.settings.http.as_ref().expect("asked for");
        let stream = tokio::net::TcpStream::connect(http.listen).await;
        let mut stream = stream.expect("connected");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut told = String::new();
        stream.read_to_string(&mut told).await.expect("a text");
        let (head, text) = told.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status");
        (status.parse().expect("a number"), text.to_owned())
    }

    /// The header that opens its pages: the secret is made up by the server.
    pub(crate) fn bearer(&self) -> String {
        let secrets = std::fs::read_to_string(self.data.secrets()).expect("written");
        let line = secrets
            .lines()
            .find_map(|line| line.trim().strip_prefix("metrics_token:"));
        let token = line.expect("made up").trim().trim_matches('"');
        format!("Authorization: Bearer {token}\r\n")
    }

    pub(crate) fn servers(&self) -> Vec<String> {
        self.settings.addresses.clone()
    }

    pub(crate) fn ca(&self) -> Vec<u8> {
        certificate_from_pem(&self.ctl.ca).expect("a certificate")
    }

    pub(crate) fn operator_identity(&self) -> ClientIdentity {
        Self::identity(&self.ctl)
    }

    pub(crate) fn identity(ctl: &CtlSettings) -> ClientIdentity {
        let certificate = certificate_from_pem(&ctl.certificate).expect("a certificate");
        let key = Key::from_pem(&ctl.key).expect("a key");
        let ca = certificate_from_pem(&ctl.ca).expect("a certificate");
        ClientIdentity {
            ca,
            certificate: Some((certificate, key)),
        }
    }

    pub(crate) async fn another_operator(&self, operator: &str) -> ClientIdentity {
        let added = init::add_operator(&self.data, &self.settings, name(operator)).await;
        Self::identity(&added.expect("added"))
    }

    pub(crate) async fn remove_operator(&self, operator: &str) {
        init::remove_operator(&self.data, name(operator))
            .await
            .expect("removed");
    }

    pub(crate) async fn audit(&self) -> String {
        init::audit(&self.data, 1000).await.expect("read")
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.data.database()
    }

    pub(crate) fn secrets(&self) -> String {
        std::fs::read_to_string(self.data.secrets()).expect("readable")
    }

    pub(crate) async fn ask(&self, request: OperatorRequest) -> OperatorReply {
        let operator = self.operator.as_ref().expect("up");
        operator
            .request_within(&request, SOON)
            .await
            .expect("a reply")
    }

    pub(crate) async fn pool_token(&self, names: &str, roles: &[&str], uses: u32) -> String {
        let token = AddToken {
            roles: roles.iter().map(|role| name(role)).collect(),
            labels: [("env".to_owned(), "test".to_owned())].into(),
            names: names.into(),
            uses,
            ttl: 3600,
        };
        match self.ask(OperatorRequest::AddToken(token)).await {
            OperatorReply::Token { token, .. } => token,
            other => panic!("no token: {other:?}"),
        }
    }

    pub(crate) async fn nodes(&self) -> Vec<NodeInfo> {
        match self.ask(OperatorRequest::Nodes).await {
            OperatorReply::Nodes(nodes) => nodes,
            other => panic!("no nodes: {other:?}"),
        }
    }

    /// Waits until exactly these are connected.
    pub(crate) async fn connected(&self, names: &[&str]) {
        self.wait_until("the connections", async || {
            let nodes = self.nodes().await;
            let connected = nodes
                .iter()
                .filter(|node| node.connected)
                .map(|node| node.name.as_str());
            connected.eq(names.iter().copied())
        })
        .await;
    }

    pub(crate) async fn wait_until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let end = tokio::time::Instant::now() + SOON;
        while !condition().await {
            assert!(
                tokio::time::Instant::now() < end,
                "waited in vain for {what}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn apply(&self, target: &str) -> RunId {
        self.apply_with(start(target), true).await.expect("begun")
    }

    pub(crate) async fn apply_with(
        &self,
        start: Start,
        approved: bool,
    ) -> Result<RunId, (Why, String)> {
        match self
            .ask(OperatorRequest::StartApply { start, approved })
            .await
        {
            OperatorReply::Run(run) => Ok(run),
            OperatorReply::Refused(refusal) => Err((refusal.why, refusal.message)),
            OperatorReply::Invalid(diagnostics) => {
                Err((Why::BadRequest, diagnostics[0].message.clone()))
            }
            other => panic!("neither begun nor refused: {other:?}"),
        }
    }

    pub(crate) async fn act(
        &self,
        start: Start,
        action: ActionRequest,
    ) -> Result<RunId, (Why, String)> {
        let request = OperatorRequest::StartActions(StartAction { start, action });
        match self.ask(request).await {
            OperatorReply::Run(run) => Ok(run),
            OperatorReply::Refused(refusal) => Err((refusal.why, refusal.message)),
            other => panic!("neither begun nor refused: {other:?}"),
        }
    }

    pub(crate) async fn detail(&self, run: RunId) -> RunDetail {
        match self.ask(OperatorRequest::Run(run)).await {
            OperatorReply::RunDetail(detail) => *detail,
            other => panic!("no run: {other:?}"),
        }
    }

    pub(crate) async fn summary(&self, run: RunId) -> RunSummary {
        self.detail(run).await.summary
    }

    /// All events of a run until it is over.
    pub(crate) async fn events(&self, run: RunId) -> Vec<Event> {
        let operator = self.operator.clone().expect("up");
        let watch = OperatorRequest::Watch { run, from: 1 };
        let mut stream = operator.request_stream(&watch).await.expect("a stream");
        let mut events = Vec::new();
        loop {
            let reply = tokio::time::timeout(SOON, stream.receive())
                .await
                .expect("in time");
            match reply.expect("a reply") {
                Some(OperatorReply::Event(event)) => events.push(event),
                Some(OperatorReply::EndOfEvents) => return events,
                other => panic!("no event: {other:?}"),
            }
        }
    }

    /// How the run ended, once it has.
    pub(crate) async fn ended(&self, run: RunId) -> (RunPhase, String) {
        self.events(run).await;
        let summary = self.summary(run).await;
        assert!(summary.phase.is_over(), "{summary:?}");
        (summary.phase, summary.reason.unwrap_or_default())
    }

    pub(crate) async fn succeeds(&self, run: RunId) {
        let ended = self.ended(run).await;
        assert_eq!(ended, (RunPhase::Succeeded, String::new()));
    }

    pub(crate) async fn state_of(&self, run: RunId, node: &str) -> NodeState {
        let summary = self.summary(run).await;
        let node: NodeName = name(node);
        summary
            .nodes
            .iter()
            .find(|member| member.name == node)
            .expect("a member")
            .state
    }

    pub(crate) fn write_greeting(&self, word: &str) {
        let path = self.folder.path().join("states/data/common.yaml");
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, format!("app: {{ greeting: {word} }}\n")).expect("written");
    }
}

/// The states that a node went through, in order.
pub(crate) fn states_of(events: &[Event], node: &str) -> Vec<NodeState> {
    let node: NodeName = name(node);
    let of = |event: &Event| match &event.what {
        Happening::Node {
            node: whose, state, ..
        } if *whose == node => Some(*state),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
