//! Actions: the same rollout as an apply, without a plan.

use brine_wire::operator::{ActionRequest, OperatorReply, OperatorRequest, Why};
use brine_wire::run::{NodeState, RunKind, RunPhase};

use crate::agent::{begun, most_at_once};
use crate::fixture::start;
use crate::rollouts::formed_web;

fn uname() -> ActionRequest {
    ActionRequest::Execute(vec!["uname".into(), "-r".into()])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_with_what_each_said() {
    let (fixture, _agents, log) = formed_web(3).await;
    let run = fixture.act(start("role=web"), uname()).await;
    let run = run.expect("begun");
    fixture.succeeds(run).await;
    assert_eq!(begun(&log), ["web01", "web02", "web03"]);
    assert_eq!(most_at_once(&log), 1);
    let detail = fixture.detail(run).await;
    assert_eq!(detail.summary.kind, RunKind::Action);
    assert!(detail.summary.target.contains("role=web"));
    let said: Vec<_> = detail
        .outputs
        .iter()
        .map(|(node, output)| (node.as_str(), output.code, output.stdout.as_str()))
        .collect();
    let expected = [
        ("web01", 0, "uname -r on web01"),
        ("web02", 0, "uname -r on web02"),
        ("web03", 0, "uname -r on web03"),
    ];
    assert_eq!(said, expected);
    let audit = fixture.audit().await;
    assert!(audit.contains("uname"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_stops_the_rest() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[1].script(|script| script.fails = Some("no".into()));
    let run = fixture.act(start("role=web"), uname()).await;
    let run = run.expect("begun");
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(reason.contains("web02 failed: exit code 3"), "{reason}");
    assert_eq!(begun(&log), ["web01", "web02"]);
    assert_eq!(fixture.state_of(run, "web03").await, NodeState::Untouched);
    let detail = fixture.detail(run).await;
    let code = |node: &str| {
        let mut outputs = detail.outputs.iter();
        outputs
            .find(|(name, _)| name.as_str() == node)
            .map(|o| o.1.code)
    };
    assert_eq!(
        (code("web01"), code("web02"), code("web03")),
        (Some(0), Some(3), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_gates_of_the_role() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[2].script(|script| script.failing = vec!["tcp: refused".into()]);
    for action in [uname(), ActionRequest::Reboot] {
        let run = fixture.act(start("node=web01"), action).await;
        let (phase, reason) = fixture.ended(run.expect("begun")).await;
        assert_eq!(phase, RunPhase::Refused);
        assert!(reason.contains("web03 is not healthy"), "{reason}");
    }
    assert!(begun(&log).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_machines_are_restarted() {
    let (fixture, _agents, log) = formed_web(2).await;
    for action in [
        ActionRequest::RestartService("haproxy".into()),
        ActionRequest::Reboot,
    ] {
        let run = fixture.act(start("role=web"), action).await;
        fixture.succeeds(run.expect("begun")).await;
    }
    assert_eq!(begun(&log), ["web01", "web02", "web01", "web02"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_or_is_not_there() {
    let (fixture, _agents, log) = formed_web(1).await;
    let formula = |action: &str| ActionRequest::Formula {
        formula: "app".into(),
        action: action.into(),
    };
    for (target, action) in [
        ("role=none", ActionRequest::Reboot),
        ("role=web", formula("explode")),
        ("role=web", ActionRequest::Execute(vec![])),
        ("role=web", ActionRequest::Execute(vec!["a\0b".into()])),
        ("role=web", ActionRequest::RestartService("--now".into())),
    ] {
        let refused = fixture.act(start(target), action.clone()).await;
        let (why, message) = refused.expect_err("refused");
        assert_eq!(why, Why::BadRequest, "{action:?}: {message}");
    }
    assert!(begun(&log).is_empty());
    let OperatorReply::Runs(runs) = fixture.ask(OperatorRequest::Runs { limit: 9 }).await else {
        panic!("no runs")
    };
    assert_eq!(runs.len(), 1, "only the apply has a record");
}
