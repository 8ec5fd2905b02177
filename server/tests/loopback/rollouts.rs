//! How applies move over the members of a role.

use brine_model::resource::Impact;
use brine_wire::operator::{OperatorRequest, Why};
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{Agent, Log, a_while, begun, most_at_once};
use crate::fixture::{Fixture, start, states_of};

pub(crate) async fn web(count: usize) -> (Fixture, Vec<Agent>, Log) {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 20).await;
    let log = Log::default();
    let mut agents = Vec::new();
    for number in 1..=count {
        agents.push(Agent::join(&fixture, &token, &format!("web{number:02}"), &log).await);
    }
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    fixture.connected(&names).await;
    (fixture, agents, log)
}

/// As [`web`], with everything applied once.
pub(crate) async fn formed_web(count: usize) -> (Fixture, Vec<Agent>, Log) {
    let (fixture, agents, log) = web(count).await;
    let run = fixture.apply("role=web").await;
    fixture.succeeds(run).await;
    log.lock().expect("unpoisoned").clear();
    (fixture, agents, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn formed_at_once_then_one_by_one_and_the_third_apply_proves_it() {
    let (fixture, agents, log) = web(3).await;
    agents.iter().for_each(Agent::hold);
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("all to begin", async || begun(&log).len() == 3)
        .await;
    agents
        .iter()
        .for_each(|agent| agent.may_finish.add_permits(1000));
    let events = fixture.events(run).await;
    fixture.succeeds(run).await;
    assert_eq!(
        most_at_once(&log),
        3,
        "nobody misses a member of a role that is being formed"
    );
    use NodeState::{Applying, Changed, Checking, Planned, Planning};
    assert_eq!(
        states_of(&events, "web02"),
        [Planning, Planned, Applying, Checking, Changed]
    );

    log.lock().expect("unpoisoned").clear();
    let run = fixture.apply("role=web").await;
    fixture.succeeds(run).await;
    assert_eq!(begun(&log), ["web01", "web02", "web03"]);
    assert_eq!(most_at_once(&log), 1);

    agents
        .iter()
        .for_each(|agent| agent.script(|script| script.impact = None));
    let run = fixture
        .apply_with(start("role=web"), false)
        .await
        .expect("begun");
    fixture.succeeds(run).await;
    assert_eq!(fixture.state_of(run, "web03").await, NodeState::InSync);
    let nodes = fixture.nodes().await;
    assert!(
        nodes
            .iter()
            .all(|node| node.applied == node.newest && node.applied.is_some())
    );
    fixture.write_greeting("ahoy");
    let nodes = fixture.nodes().await;
    assert!(
        nodes.iter().all(|node| node.applied != node.newest),
        "now they are behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_member_refuses_before_another_is_touched() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[1].disconnect();
    fixture.connected(&["web01", "web03"]).await;
    let refused = fixture
        .apply_with(start("role=web"), true)
        .await
        .expect_err("refused");
    assert_eq!(
        refused,
        (Why::Conflict, "not reachable: web02 is disconnected".into())
    );
    let mut skipping = start("role=web");
    skipping.skip_unreachable = true;
    for start in [skipping, start("node=web01")] {
        let run = fixture.apply_with(start, true).await.expect("begun");
        let (phase, reason) = fixture.ended(run).await;
        assert_eq!(phase, RunPhase::Refused);
        let expected =
            "web02 is disconnected: taking out web01 too would leave 1 of 3 members of web";
        assert!(reason.starts_with(expected), "{reason}");
        assert_eq!(fixture.state_of(run, "web01").await, NodeState::Untouched);
    }
    assert!(begun(&log).is_empty());
    // It comes back, and everything goes its way.
    agents[1].connect().await.expect("connected");
    let run = fixture.apply("role=web").await;
    fixture.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_silent_is_found_out_before_his_connection_is() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[1].script(|script| script.silent = true);
    let (why, message) = fixture
        .apply_with(start("role=web"), true)
        .await
        .expect_err("refused");
    let expected = "not reachable: web02 does not answer, though it is connected";
    assert_eq!((why, message.as_str()), (Why::Conflict, expected));
    // Nor may another go while it is away.
    let run = fixture.apply("node=web01").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Refused);
    assert!(reason.starts_with("web02 is disconnected"), "{reason}");
    assert!(begun(&log).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_member_that_is_not_targeted_counts_and_is_mended_first() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[2].script(|script| script.failing = vec!["tcp: refused".into()]);
    let run = fixture.apply("node=web01").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Refused);
    assert!(
        reason.starts_with("web03 is not healthy (tcp: refused): taking out web01"),
        "{reason}"
    );
    assert!(begun(&log).is_empty());
    // Working on the unhealthy one takes nothing away; as it stays unhealthy, the rest is spared.
    let run = fixture.apply("role=web").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(
        reason.contains("web03 did not become healthy after its step: tcp: refused"),
        "{reason}"
    );
    assert!(reason.ends_with("untouched: web01, web02"), "{reason}");
    assert_eq!(begun(&log), ["web03"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_stops_the_rest_and_names_the_resource() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[0].script(|script| script.fails = Some("disk full".into()));
    let run = fixture.apply("role=web").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    let expected = "web01 failed: file:/etc/app.conf: disk full; untouched: web02, web03";
    assert_eq!(reason, expected);
    assert_eq!(begun(&log), ["web01"]);
    assert_eq!(fixture.state_of(run, "web02").await, NodeState::Untouched);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_approved_stops_there() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[1].script(|script| script.impact = None);
    let run = fixture
        .apply_with(start("role=web"), false)
        .await
        .expect("begun");
    let asked = async || fixture.summary(run).await.phase == RunPhase::Approval;
    fixture.wait_until("the question", asked).await;
    // Somebody changes the node that was in sync: nobody has agreed to mend that.
    agents[1].script(|script| script.impact = Some(Impact::Restart));
    fixture.ask(OperatorRequest::Approve(run)).await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    let expected = "web02 failed: file:/etc/app.conf: would content, which was not approved";
    assert!(reason.starts_with(expected), "{reason}");
    assert_eq!(begun(&log), ["web02"]);
    assert_eq!(fixture.state_of(run, "web01").await, NodeState::Untouched);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_impact_go_in_parallel() {
    let (fixture, agents, log) = formed_web(3).await;
    for agent in &agents {
        agent.script(|script| script.impact = Some(Impact::None));
        agent.hold();
    }
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("all to begin", async || begun(&log).len() == 3)
        .await;
    agents
        .iter()
        .for_each(|agent| agent.may_finish.add_permits(1));
    fixture.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_is_refused_or_waits() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[0].hold();
    let first = fixture.apply("node=web01").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    let (why, message) = fixture
        .apply_with(start("node=web02"), true)
        .await
        .expect_err("refused");
    assert_eq!(why, Why::Conflict);
    let expected =
        format!("run {first} by admin over `node=web01` holds web/app (applying, at web01)");
    assert_eq!(message, expected);
    let mut waiting = start("node=web02");
    waiting.wait = true;
    let second = fixture.apply_with(waiting, true).await.expect("begun");
    a_while().await;
    assert_eq!(begun(&log), ["web01"], "it waits");
    agents[0].may_finish.add_permits(1);
    fixture.succeeds(first).await;
    fixture.succeeds(second).await;
    assert_eq!(begun(&log), ["web01", "web02"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waited_finds_the_role_formed() {
    let (fixture, agents, log) = web(3).await;
    agents[0].hold();
    let first = fixture.apply("node=web01").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    let mut waiting = start("role=web");
    waiting.wait = true;
    let second = fixture.apply_with(waiting, true).await.expect("begun");
    agents[0].may_finish.add_permits(1);
    fixture.succeeds(first).await;
    fixture.succeeds(second).await;
    assert_eq!(begun(&log), ["web01", "web01", "web02", "web03"]);
    assert_eq!(most_at_once(&log), 1, "it is formed by now: one at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_mean_nobody_or_do_not_compile() {
    let (fixture, _agents, log) = web(1).await;
    for target in ["", "  ", "role=none", "rule=web", "node=web01 and"] {
        let (why, message) = fixture
            .apply_with(start(target), true)
            .await
            .expect_err(target);
        assert_eq!(why, Why::BadRequest, "{target}: {message}");
    }
    let template = fixture
        .folder
        .path()
        .join("states/formulas/app/templates/app.hbs");
    std::fs::write(template, "{{app.greting}}\n").expect("written");
    let (_, message) = fixture
        .apply_with(start("role=web"), true)
        .await
        .expect_err("invalid");
    assert!(message.contains("greting"), "{message}");
    assert!(begun(&log).is_empty());
}
