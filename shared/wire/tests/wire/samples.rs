//! One message of every variant. A new variant does not compile before it has a sample here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use brine_model::catalog::{Entry, Health};
use brine_model::converge::{
    Applied, ApplyReport, Approval, Part, Plan, PlanOutcome, Planned, ResourceOutcome,
};
use brine_model::diagnostic::{Diagnostic, Label, Severity};
use brine_model::digest::Digest;
use brine_model::facts::{
    Agent, Cpu, Disk, Facts, Interface, Kernel, Machine, Memory, Network, Os,
};
use brine_model::host::{LiveQuestion, Probe, Program};
use brine_model::inventory::{Cell, Section};
use brine_model::live::LiveFacts;
use brine_model::name::{FormulaName, NodeName, OperatorName, RoleName};
use brine_model::resource::{Change, Diff, Impact, ResourceId};
use brine_model::span::Origin;
use brine_model::time::Timestamp;
use brine_model::value::{Map, SecretRef, SecretText, Value};
use brine_wire::agent::{AgentReply, AgentRequest, Hello, ServerReply, ServerRequest};
use brine_wire::blob::BlobReply;
use brine_wire::enroll::{CertificateRequest, EnrollReply, EnrollRequest};
use brine_wire::job::{Extent, Job, JobId, JobResult, JobState, Progress, RunId, Secret, Task};
use brine_wire::operator::{
    ActionRequest, AddNode, AddToken, Agreed, AgreedNode, Answer, Enrollment, NodeDetail, NodeInfo,
    OperatorReply, OperatorRequest, Paused, Query, Refusal, Report, Start, StartAction, Status,
    TokenInfo, Why,
};
use brine_wire::run::{
    Event, Happening, NodeState, Output, RunDetail, RunKind, RunNode, RunPhase, RunSummary,
};

/// A message type with a sample of each variant, in the order of declaration.
pub(crate) trait Samples: Sized {
    fn samples() -> Vec<(&'static str, Self)>;
}

macro_rules! samples {
    ($($type:ident { $($variant:ident => $value:expr,)* })*) => {$(
        impl Samples for $type {
            fn samples() -> Vec<(&'static str, Self)> {
                fn name(message: &$type) -> &'static str {
                    match message {
                        $($type::$variant { .. } => concat!(stringify!($type), "::", stringify!($variant)),)*
                    }
                }
                let samples = vec![$(
                    (concat!(stringify!($type), "::", stringify!($variant)), $value),
                )*];
                for (expected, sample) in &samples {
                    assert_eq!(name(sample), *expected);
                }
                samples
            }
        }
    )*};
}

samples! {
    EnrollRequest {
        Certificate => EnrollRequest::Certificate(CertificateRequest {
            token: Some("secret".to_owned()),
            proposed_name: "db01".to_owned(),
            machine_id: "0a1b".to_owned(),
            csr: vec![0x30, 0x82],
            agent_version: "0.1.0".to_owned(),
        }),
    }
    EnrollReply {
        Issued => EnrollReply::Issued { name: node(), certificate: vec![0x30] },
        Waiting => EnrollReply::Waiting { fingerprint: "1f3a".to_owned() },
        Refused => EnrollReply::Refused { reason: "expired".to_owned() },
    }
    AgentRequest {
        Hello => AgentRequest::Hello(Hello {
            agent_version: "0.1.0".to_owned(),
            machine_id: "0a1b".to_owned(),
            boot_id: "b".to_owned(),
            capabilities: digest(),
            applied: Some(digest()),
            jobs: vec![job_id()],
        }),
        Blob => AgentRequest::Blob(digest()),
        Result => AgentRequest::Result { job: job_id(), result: JobResult::Planned(plan()) },
        Progress => AgentRequest::Progress(progress()),
        Facts => AgentRequest::Facts(Box::new(facts())),
        Certificate => AgentRequest::Certificate {
            resource: "certificate:/etc/etcd/tls/peer.pem".to_owned(),
            csr: vec![0x30, 0x82],
        },
        Inventory => AgentRequest::Inventory(BTreeMap::from([("users".to_owned(), Digest::of(b"x"))])),
        Section => AgentRequest::Section(Section {
            table: "modules".to_owned(),
            rows: vec![vec![Cell::Text("fuse".to_owned()), Cell::Integer(-1), Cell::Null]],
        }),
    }
    AgentReply {
        Welcome => AgentReply::Welcome { server_version: "0.1.0".to_owned(), node: node(), paused: Some(Timestamp::from_secs(60)) },
        Blob => AgentReply::Blob(BlobReply::Follows { length: 70_000 }),
        Acknowledged => AgentReply::Acknowledged,
        Refused => AgentReply::Refused("no".to_owned()),
        Certificate => AgentReply::Certificate {
            certificate: vec![0x30],
            authority: vec![0x30, 0x82],
        },
        Wanted => AgentReply::Wanted(vec!["users".to_owned()]),
    }
    BlobReply {
        Follows => BlobReply::Follows { length: 300 },
        NotFound => BlobReply::NotFound,
    }
    ServerRequest {
        Job => ServerRequest::Job(Box::new(Job {
            id: job_id(),
            deadline: Timestamp::from_secs(1_800_000_000),
            task: Task::Plan { catalog: digest(), secrets: vec![secret()] },
        })),
        JobState => ServerRequest::JobState(job_id()),
        Cancel => ServerRequest::Cancel(job_id()),
        Ping => ServerRequest::Ping,
        Report => ServerRequest::Report,
        Pause => ServerRequest::Pause(None),
    }
    ServerReply {
        Job => ServerReply::Job(JobState::Running),
        Pong => ServerReply::Pong,
        Reported => ServerReply::Reported,
        Paused => ServerReply::Paused,
    }
    Task {
        Plan => Task::Plan { catalog: digest(), secrets: vec![secret()] },
        Apply => Task::Apply {
            catalog: digest(),
            secrets: vec![],
            approval: approval(),
            part: Part { from: 1, to: 300 },
            extent: Extent::Wholly,
        },
        Health => Task::Health(vec![Health {
            formula: formula(),
            probe: Probe::Tcp("127.0.0.1:80".to_owned()),
            within: 60,
        }]),
        Execute => Task::Execute(program()),
        Live => Task::Live(vec![entry()]),
        Act => Task::Act {
            resource: Box::new(entry()),
            action: "restart".to_owned(),
            secrets: vec![secret()],
        },
        Restart => Task::Restart("haproxy".to_owned()),
        Reboot => Task::Reboot,
    }
    JobState {
        Accepted => JobState::Accepted,
        Running => JobState::Running,
        Finished => JobState::Finished(JobResult::Failed("gone".to_owned())),
        Refused => JobState::Refused("late".to_owned()),
        Unknown => JobState::Unknown,
    }
    JobResult {
        Planned => JobResult::Planned(plan()),
        Applied => JobResult::Applied(report()),
        Health => JobResult::Health { failing: vec!["no answer".to_owned()] },
        Executed => JobResult::Executed {
            code: -1,
            stdout: "out".to_owned(),
            stderr: "err".to_owned(),
        },
        Failed => JobResult::Failed("no blob".to_owned()),
        Cancelled => JobResult::Cancelled(Some(report())),
        Live => JobResult::Live(LiveFacts {
            facts: BTreeMap::from([(formula(), fields())]),
            failures: vec!["etcd: no answer".to_owned()],
        }),
        Acted => JobResult::Acted("restarted".to_owned()),
    }
    OperatorRequest {
        Status => OperatorRequest::Status,
        Nodes => OperatorRequest::Nodes,
        Node => OperatorRequest::Node(node()),
        AddNode => OperatorRequest::AddNode(AddNode {
            name: node(),
            roles: vec![role()],
            labels: labels(),
            address: Some("10.77.0.11".to_owned()),
            ttl: 3600,
        }),
        AcceptNode => OperatorRequest::AcceptNode {
            name: node(),
            fingerprint: "1f3a".to_owned(),
            roles: vec![role()],
        },
        RemoveNode => OperatorRequest::RemoveNode(node()),
        SetNode => OperatorRequest::SetNode {
            name: node(),
            roles: Some(vec![role()]),
            labels: BTreeMap::from([("rack".to_owned(), None)]),
            address: None,
        },
        AddToken => OperatorRequest::AddToken(AddToken {
            roles: vec![role()],
            labels: labels(),
            names: "db*".to_owned(),
            uses: 20,
            ttl: 3600,
        }),
        Tokens => OperatorRequest::Tokens,
        RevokeToken => OperatorRequest::RevokeToken("t1".to_owned()),
        StartPlan => OperatorRequest::StartPlan(start()),
        StartApply => OperatorRequest::StartApply { start: start(), approved: true },
        Approve => OperatorRequest::Approve(RunId(7)),
        Cancel => OperatorRequest::Cancel(RunId(7)),
        Runs => OperatorRequest::Runs { limit: 10 },
        Run => OperatorRequest::Run(RunId(7)),
        Watch => OperatorRequest::Watch { run: RunId(7), from: 3 },
        Render => OperatorRequest::Render { node: node(), path: "/etc/hosts".to_owned() },
        ReplaceNode => OperatorRequest::ReplaceNode { name: node(), ttl: 3600 },
        PauseNode => OperatorRequest::PauseNode {
            name: node(),
            until: Some(Timestamp(9)),
            reason: Some("disk".to_owned()),
        },
        StartActions => OperatorRequest::StartActions(StartAction {
            start: start(),
            action: ActionRequest::Reboot,
        }),
        Query => OperatorRequest::Query(Query {
            sql: "SELECT 1".to_owned(),
            target: "all".to_owned(),
            parameters: BTreeMap::from([("v".to_owned(), "3".to_owned())]),
            limit: 300,
        }),
        Refresh => OperatorRequest::Refresh { target: "role=db".to_owned() },
    }
    OperatorReply {
        Done => OperatorReply::Done,
        Status => OperatorReply::Status(Status {
            server_version: "0.1.0".to_owned(),
            snapshot: "abc".to_owned(),
            nodes: vec![node_info()],
            runs: vec![run_summary()],
            diagnostics: vec![diagnostic()],
        }),
        Nodes => OperatorReply::Nodes(vec![node_info()]),
        Node => OperatorReply::Node(Box::new(NodeDetail {
            info: node_info(),
            facts: Some(facts()),
            facts_at: Some(Timestamp(5)),
            runs: vec![run_summary()],
            resources: vec!["file:/etc/hosts".to_owned()],
            diagnostics: vec![diagnostic()],
        })),
        Token => OperatorReply::Token {
            id: "t1".to_owned(),
            token: "brine1.x".to_owned(),
            expires: Timestamp(9),
        },
        Tokens => OperatorReply::Tokens(vec![TokenInfo {
            id: "t1".to_owned(),
            roles: vec![role()],
            names: "db*".to_owned(),
            uses_left: 1,
            expires: Timestamp(9),
        }]),
        Run => OperatorReply::Run(RunId(7)),
        Runs => OperatorReply::Runs(vec![run_summary()]),
        RunDetail => OperatorReply::RunDetail(Box::new(RunDetail {
            summary: run_summary(),
            diagnostics: vec![],
            plans: vec![(node(), plan())],
            reports: vec![(node(), report())],
            catalogs: vec![(node(), digest())],
            outputs: vec![(node(), output())],
        })),
        Event => OperatorReply::Event(Event {
            sequence: 1,
            at: Timestamp(2),
            what: Happening::Note("waiting".to_owned()),
        }),
        EndOfEvents => OperatorReply::EndOfEvents,
        Rendered => OperatorReply::Rendered { text: "x".to_owned(), sensitive: true },
        Invalid => OperatorReply::Invalid(vec![diagnostic()]),
        Refused => OperatorReply::Refused(Refusal {
            why: Why::Conflict,
            message: "held".to_owned(),
            help: Some("wait".to_owned()),
        }),
        Answer => OperatorReply::Answer(Box::new(Answer {
            columns: vec!["node".to_owned()],
            rows: vec![vec![Cell::Text("db01".to_owned())]],
            truncated: true,
            reports: vec![Report { node: node(), at: Some(Timestamp::from_secs(1)), connected: true }],
        })),
        Refreshed => OperatorReply::Refreshed { reported: vec![node()], silent: vec![] },
    }
    ActionRequest {
        Formula => ActionRequest::Formula {
            formula: "patroni".to_owned(),
            action: "restart".to_owned(),
        },
        RestartService => ActionRequest::RestartService("haproxy".to_owned()),
        Reboot => ActionRequest::Reboot,
        Execute => ActionRequest::Execute(vec!["uname".to_owned(), "-r".to_owned()]),
    }
    Why {
        BadRequest => Why::BadRequest,
        NotFound => Why::NotFound,
        Conflict => Why::Conflict,
        Forbidden => Why::Forbidden,
        Internal => Why::Internal,
    }
    Enrollment {
        Expected => Enrollment::Expected,
        Waiting => Enrollment::Waiting { fingerprint: "1f3a".to_owned() },
        Enrolled => Enrollment::Enrolled { fingerprint: "1f3a".to_owned(), expires: Timestamp(9) },
    }
    RunKind {
        Plan => RunKind::Plan,
        Apply => RunKind::Apply,
        Action => RunKind::Action,
    }
    RunPhase {
        Planning => RunPhase::Planning,
        Approval => RunPhase::Approval,
        Applying => RunPhase::Applying,
        Succeeded => RunPhase::Succeeded,
        Failed => RunPhase::Failed,
        Refused => RunPhase::Refused,
        Cancelled => RunPhase::Cancelled,
        Interrupted => RunPhase::Interrupted,
    }
    NodeState {
        Pending => NodeState::Pending,
        Planning => NodeState::Planning,
        Planned => NodeState::Planned,
        Applying => NodeState::Applying,
        Checking => NodeState::Checking,
        InSync => NodeState::InSync,
        Changed => NodeState::Changed,
        Failed => NodeState::Failed,
        Untouched => NodeState::Untouched,
        SkippedUnreachable => NodeState::SkippedUnreachable,
        Waiting => NodeState::Waiting,
        Between => NodeState::Between,
        Reverted => NodeState::Reverted,
        Draining => NodeState::Draining,
    }
    Happening {
        Phase => Happening::Phase { phase: RunPhase::Failed, reason: Some("gate".to_owned()) },
        Node => Happening::Node { node: node(), state: NodeState::Changed, reason: None },
        Progress => Happening::Progress { node: node(), progress: progress() },
        Note => Happening::Note("waiting".to_owned()),
    }
    PlanOutcome {
        InSync => PlanOutcome::InSync,
        Changes => PlanOutcome::Changes(vec![change()]),
        After => PlanOutcome::After { resource: resource(), intent: vec![change()] },
        Failed => PlanOutcome::Failed("no".to_owned()),
    }
    ResourceOutcome {
        InSync => ResourceOutcome::InSync,
        Changed => ResourceOutcome::Changed(vec![change()]),
        Failed => ResourceOutcome::Failed { message: "no".to_owned(), changes: vec![change()] },
        Skipped => ResourceOutcome::Skipped { after: resource() },
        NotApproved => ResourceOutcome::NotApproved(vec![change()]),
        Cancelled => ResourceOutcome::Cancelled,
    }
    Diff {
        Text => Diff::Text("-a\n+b\n".to_owned()),
        Sensitive => Diff::Sensitive,
        Binary => Diff::Binary { before: Some(1), after: 300 },
    }
    Impact {
        None => Impact::None,
        Reload => Impact::Reload,
        Restart => Impact::Restart,
        Reboot => Impact::Reboot,
    }
    Severity {
        Warning => Severity::Warning,
        Error => Severity::Error,
    }
    Probe {
        Tcp => Probe::Tcp("127.0.0.1:80".to_owned()),
        Http => Probe::Http { url: "http://127.0.0.1/".to_owned(), status: Some(200) },
        Command => Probe::Command(program()),
        Service => Probe::Service("nginx".to_owned()),
        Live => Probe::Live(LiveQuestion {
            sources: vec![entry()],
            condition: "patroni.streaming".to_owned(),
        }),
    }
}

fn node() -> NodeName {
    "db01".parse().expect("a name")
}

fn role() -> RoleName {
    "db".parse().expect("a name")
}

fn formula() -> FormulaName {
    "base".parse().expect("a name")
}

fn operator() -> OperatorName {
    "admin".parse().expect("a name")
}

fn digest() -> Digest {
    Digest::from_bytes([0xd1; 32])
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("rack".to_owned(), "r1".to_owned())])
}

fn job_id() -> JobId {
    JobId {
        run: RunId(7),
        step: 2,
    }
}

fn resource() -> ResourceId {
    ResourceId::new("file", "/etc/hosts")
}

fn fields() -> Map {
    Map::from([("role".to_owned(), Value::from("leader"))])
}

fn entry() -> Entry {
    Entry {
        id: resource(),
        formula: formula(),
        fields: fields(),
        require: vec![resource()],
        origin: Origin {
            file: Arc::from("formulas/base/formula.yaml"),
            line: 7,
            column: 300,
        },
    }
}

fn output() -> Output {
    Output {
        code: 1,
        stdout: "out".to_owned(),
        stderr: "err".to_owned(),
    }
}

fn secret() -> Secret {
    Secret {
        reference: SecretRef {
            name: "db.password".to_owned(),
            version: digest(),
        },
        text: SecretText::new("hunter2"),
    }
}

fn program() -> Program {
    Program {
        argv: vec!["/bin/true".to_owned()],
        environment: labels(),
        directory: Some("/tmp".parse().expect("a path")),
        user: Some("root".to_owned()),
        timeout: Duration::from_millis(1500),
    }
}

fn progress() -> Progress {
    Progress {
        job: job_id(),
        done: 1,
        total: 300,
        doing: "package:haproxy".to_owned(),
    }
}

fn change() -> Change {
    Change {
        verb: "content".to_owned(),
        text: "content changes".to_owned(),
        diff: Some(Diff::Text("-a\n+b\n".to_owned())),
        impact: Impact::Restart,
        effects: vec![],
    }
}

fn plan() -> Plan {
    let outcome = PlanOutcome::Changes(vec![change()]);
    Plan {
        resources: vec![Planned {
            id: resource(),
            formula: formula(),
            outcome,
        }],
        released: vec![resource()],
    }
}

fn approval() -> Approval {
    let verbs = BTreeSet::from(["content".to_owned()]);
    Approval(BTreeMap::from([(resource(), verbs)]))
}

fn report() -> ApplyReport {
    let outcome = ResourceOutcome::Changed(vec![change()]);
    ApplyReport {
        resources: vec![Applied {
            id: resource(),
            formula: formula(),
            outcome,
        }],
    }
}

fn facts() -> Facts {
    let text = str::to_owned;
    Facts {
        os: Os {
            family: text("debian"),
            id: text("debian"),
            version: text("12"),
            name: text("Debian GNU/Linux 12"),
        },
        kernel: Kernel {
            release: text("6.1.0"),
            architecture: text("amd64"),
        },
        cpu: Cpu {
            count: 4,
            model: text("EPYC"),
        },
        memory: Memory {
            total: 8 << 30,
            swap: 0,
        },
        network: Network {
            hostname: text("db01"),
            interfaces: vec![Interface {
                name: text("eth0"),
                mac: text("02:42:00:00:00:01"),
                addresses: vec![text("10.77.0.11/24")],
            }],
        },
        disks: vec![Disk {
            mount: text("/"),
            device: text("/dev/vda1"),
            file_system: text("ext4"),
            total: 1 << 40,
        }],
        machine: Machine {
            id: text("5f"),
            boot: text("b0"),
            virtualisation: text("kvm"),
            cloud: text("hetzner"),
            vendor: text("Hetzner"),
            product: text("vServer"),
        },
        time_zone: text("Etc/UTC"),
        agent: Agent {
            version: text("0.1.0"),
        },
        custom: BTreeMap::from([(text("rack"), text("a1"))]),
    }
}

fn start() -> Start {
    Start {
        target: "role=db".to_owned(),
        skip_unreachable: false,
        wait: true,
        agreed: Some(Agreed {
            nodes: BTreeMap::from([(
                node(),
                AgreedNode {
                    catalog: digest(),
                    approval: approval(),
                },
            )]),
        }),
        resume: Some(RunId(6)),
    }
}

fn diagnostic() -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message: "unknown key".to_owned(),
        labels: vec![Label {
            file: Arc::from("roles/db.yaml"),
            start: 0,
            end: 4,
            text: Arc::from("port: 1"),
            message: "here".to_owned(),
        }],
        help: Some("remove it".to_owned()),
    }
}

fn run_summary() -> RunSummary {
    RunSummary {
        id: RunId(7),
        kind: RunKind::Apply,
        target: "role=db".to_owned(),
        operator: operator(),
        phase: RunPhase::Failed,
        started: Timestamp(1),
        ended: Some(Timestamp(2)),
        snapshot: "abc".to_owned(),
        reason: Some("gate".to_owned()),
        nodes: vec![RunNode {
            name: node(),
            roles: vec![role()],
            state: NodeState::Failed,
            reason: None,
            changed: 1,
            failed: 2,
        }],
    }
}

fn node_info() -> NodeInfo {
    NodeInfo {
        name: node(),
        roles: vec![role()],
        labels: labels(),
        address: Some("10.77.0.11".to_owned()),
        enrollment: Enrollment::Expected,
        connected: true,
        last_seen: Some(Timestamp(3)),
        agent_version: Some("0.1.0".to_owned()),
        applied: Some(digest()),
        newest: None,
        generation: 1,
        paused: Some(Paused {
            until: Timestamp(9),
            reason: None,
        }),
        drifted: 3,
    }
}
