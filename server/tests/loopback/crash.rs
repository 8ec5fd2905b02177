//! Connections, operators and servers that go away in the middle.

use brine_wire::operator::OperatorRequest;
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{a_while, begun};
use crate::fixture::states_of;
use crate::rollouts::{formed_web, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_no_job() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[0].hold();
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    agents[0].disconnect();
    let waiting = async || fixture.state_of(run, "web01").await == NodeState::Waiting;
    fixture.wait_until("the server to notice", waiting).await;
    // It finishes without a server, and delivers when it is back.
    agents[0].may_finish.add_permits(1);
    fixture
        .wait_until("its end", async || {
            log.lock()
                .expect("unpoisoned")
                .contains(&"web01 ends".to_owned())
        })
        .await;
    assert_eq!(begun(&log), ["web01"], "nobody else is touched meanwhile");
    agents[0].connect().await.expect("connected");
    let events = fixture.events(run).await;
    fixture.succeeds(run).await;
    let states = states_of(&events, "web01");
    assert!(states.contains(&NodeState::Waiting), "{states:?}");
    assert_eq!(begun(&log), ["web01", "web02"], "nothing was run twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_while_it_works_goes_on_too() {
    let (fixture, agents, log) = formed_web(1).await;
    agents[0].hold();
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    agents[0].disconnect();
    agents[0].connect().await.expect("connected");
    agents[0].may_finish.add_permits(1);
    fixture.succeeds(run).await;
    assert_eq!(begun(&log), ["web01"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_without_its_operator() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[0].hold();
    let identity = fixture.another_operator("oncall").await;
    let servers = fixture.servers();
    let oncall = brine_transport::client::connect(
        &servers,
        brine_transport::Alpn::Ctl,
        &identity,
        crate::fixture::SOON,
    );
    let oncall = oncall.await.expect("connected");
    let request = OperatorRequest::StartApply {
        start: crate::fixture::start("role=web"),
        approved: true,
    };
    let reply = oncall
        .request_within(&request, crate::fixture::SOON)
        .await
        .expect("a reply");
    let brine_wire::operator::OperatorReply::Run(run) = reply else {
        panic!("{reply:?}")
    };
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    drop(oncall);
    agents[0].may_finish.add_permits(1);
    fixture.succeeds(run).await;
    assert_eq!(begun(&log), ["web01", "web02"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_says_where_it_stood_and_takes_late_results() {
    let (mut fixture, agents, log) = formed_web(3).await;
    agents[0].hold();
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    let begin = std::time::Instant::now();
    fixture.down().await;
    assert!(
        begin.elapsed() < fixture.limits.shutdown,
        "{:?}",
        begin.elapsed()
    );
    agents[0].may_finish.add_permits(1);
    a_while().await;
    assert_eq!(
        agents[0].unacknowledged(),
        1,
        "kept until somebody takes it"
    );

    fixture.up().await;
    let summary = fixture.summary(run).await;
    assert_eq!(summary.phase, RunPhase::Interrupted);
    let reason = summary.reason.expect("a reason");
    assert_eq!(
        reason,
        "the server stopped while web01 applied: 2 untouched"
    );
    assert_eq!(fixture.state_of(run, "web01").await, NodeState::Waiting);
    for agent in &agents {
        agent.connect().await.expect("connected");
    }
    let changed = async || fixture.state_of(run, "web01").await == NodeState::Changed;
    fixture.wait_until("the late result", changed).await;
    fixture
        .wait_until("its receipt", async || agents[0].unacknowledged() == 0)
        .await;
    assert_eq!(begun(&log), ["web01"]);
    // The next run begins afresh.
    fixture.connected(&["web01", "web02", "web03"]).await;
    let next = fixture.apply("role=web").await;
    assert!(next > run);
    fixture.succeeds(next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_ends_its_part_at_once() {
    let (fixture, agents, log) = web(1).await;
    agents[0].hold();
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    fixture
        .ask(OperatorRequest::RemoveNode(
            "web01".parse().expect("a name"),
        ))
        .await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(
        (phase, reason.as_str()),
        (RunPhase::Failed, "web01 failed: the node was removed")
    );
}
