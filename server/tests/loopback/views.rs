//! What operators see.

use brine_model::facts::Facts;
use brine_wire::agent::AgentReply;
use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest, Why};
use brine_wire::run::{Happening, RunPhase};

use crate::agent::{Agent, Log};
use crate::fixture::{Fixture, name, start};
use crate::rollouts::{formed_web, web};

#[tokio::test(flavor = "multi_thread")]
async fn rendering_masks_secrets() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("db*", &["db"], 5).await;
    let _db = Agent::join(&fixture, &token, "db01", &Log::default()).await;
    let render = |node: &str, path: &str| OperatorRequest::Render {
        node: name(node),
        path: path.into(),
    };
    let reply = fixture.ask(render("db01", "/etc/store.conf")).await;
    let text = "password=(secret store.password)\n".to_owned();
    assert_eq!(
        reply,
        OperatorReply::Rendered {
            text,
            sensitive: true
        }
    );
    for (node, path) in [
        ("db01", "/etc/passwd"),
        ("db01", "../x"),
        ("db09", "/etc/store.conf"),
    ] {
        let reply = fixture.ask(render(node, path)).await;
        let not_found = matches!(&reply, OperatorReply::Refused(r) if r.why == Why::NotFound);
        assert!(not_found, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_data_and_bounded() {
    let (fixture, agents, _) = web(1).await;
    let mut facts = Facts::default();
    facts.network.hostname = "{{7*7}}".into();
    assert_eq!(
        agents[0].report_facts(facts.clone()).await,
        AgentReply::Acknowledged
    );
    let OperatorReply::Node(detail) = fixture.ask(OperatorRequest::Node(name("web01"))).await
    else {
        panic!("no node");
    };
    assert_eq!(detail.facts, Some(facts.clone()));
    assert!(!detail.resources.is_empty() && detail.diagnostics.is_empty());
    facts.os.name = "x".repeat(1 << 20);
    assert!(matches!(
        agents[0].report_facts(facts).await,
        AgentReply::Refused(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_followed_from_any_event() {
    let (fixture, _agents, _) = formed_web(2).await;
    let run = RunId(1);
    let events = fixture.events(run).await;
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event.sequence)
        .filter(|sequence| *sequence > 0)
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let last = &events.last().expect("one").what;
    let succeeded = Happening::Phase {
        phase: RunPhase::Succeeded,
        reason: None,
    };
    assert_eq!(*last, succeeded);
    let OperatorReply::RunDetail(detail) = fixture.ask(OperatorRequest::Run(run)).await else {
        panic!("no run");
    };
    assert_eq!((detail.plans.len(), detail.reports.len()), (2, 2));
    assert_eq!(detail.summary.target, "role=web");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_and_needs_no_lease() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[0].hold();
    let apply = fixture.apply("node=web01").await;
    let reply = fixture
        .ask(OperatorRequest::StartPlan(start("role=web")))
        .await;
    let OperatorReply::Run(plan) = reply else {
        panic!("{reply:?}")
    };
    fixture.succeeds(plan).await;
    agents[0].may_finish.add_permits(1);
    fixture.succeeds(apply).await;
    assert_eq!(crate::agent::begun(&log), ["web01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_cannot_be_read_do_not_hide_the_fleet() {
    let (fixture, _agents, _) = web(1).await;
    std::fs::remove_dir_all(fixture.folder.path().join("states")).expect("removed");
    let OperatorReply::Status(status) = fixture.ask(OperatorRequest::Status).await else {
        panic!("no status");
    };
    assert_eq!(status.nodes.len(), 1);
    assert!(
        status.diagnostics[0].message.contains("states"),
        "{:?}",
        status.diagnostics
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_is_in_the_audit_log() {
    let (fixture, _agents, _) = formed_web(1).await;
    fixture
        .ask(OperatorRequest::RemoveNode(name("nobody")))
        .await;
    fixture.ask(OperatorRequest::Status).await;
    let audit = fixture.audit().await;
    let lines: Vec<&str> = audit.lines().collect();
    assert_eq!(lines.len(), 3, "{audit}");
    assert!(
        lines[0].contains("remove node nobody") && lines[0].contains("refused"),
        "{audit}"
    );
    assert!(
        lines[1].contains("admin") && lines[1].contains("apply role=web"),
        "{audit}"
    );
    assert!(lines[2].contains("add token"), "{audit}");
}
