//! Approving and cancelling.

use std::time::Duration;

use brine_wire::operator::{OperatorReply, OperatorRequest, Why};
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{a_while, begun};
use crate::fixture::{Fixture, start};
use crate::rollouts::{formed_web, web};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_touched_before_the_yes() {
    let (fixture, _agents, log) = web(2).await;
    let run = fixture
        .apply_with(start("role=web"), false)
        .await
        .expect("begun");
    let early = fixture
        .ask(OperatorRequest::Approve(brine_wire::job::RunId(99)))
        .await;
    assert!(matches!(early, OperatorReply::Refused(refusal) if refusal.why == Why::NotFound));
    phase(&fixture, run, RunPhase::Approval).await;
    a_while().await;
    assert!(begun(&log).is_empty());
    assert_eq!(
        fixture.ask(OperatorRequest::Approve(run)).await,
        OperatorReply::Done
    );
    fixture.succeeds(run).await;
    assert_eq!(begun(&log).len(), 2);
    let again = fixture.ask(OperatorRequest::Approve(run)).await;
    assert!(matches!(again, OperatorReply::Refused(refusal) if refusal.why == Why::Conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_or_silence_touches_nothing_and_frees_the_lease() {
    let (mut fixture, agents, log) = web(1).await;
    let run = fixture
        .apply_with(start("role=web"), false)
        .await
        .expect("begun");
    phase(&fixture, run, RunPhase::Approval).await;
    assert_eq!(
        fixture.ask(OperatorRequest::Cancel(run)).await,
        OperatorReply::Done
    );
    assert_eq!(
        fixture.ended(run).await,
        (RunPhase::Cancelled, "cancelled by admin".into())
    );
    assert_eq!(fixture.state_of(run, "web01").await, NodeState::Untouched);

    fixture.down().await;
    fixture.limits.approval = Duration::from_millis(200);
    fixture.up().await;
    agents[0].connect().await.expect("connected");
    fixture.connected(&["web01"]).await;
    let run = fixture
        .apply_with(start("role=web"), false)
        .await
        .expect("the lease is free");
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(
        (phase, reason.as_str()),
        (RunPhase::Cancelled, "not approved within 0 s")
    );
    assert!(begun(&log).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_after_what_is_at_hand() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[0].hold();
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    assert_eq!(
        fixture.ask(OperatorRequest::Cancel(run)).await,
        OperatorReply::Done
    );
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Cancelled);
    assert_eq!(reason, "cancelled by admin; untouched: web02, web03");
    assert_eq!(begun(&log), ["web01"]);
    assert!(
        log.lock()
            .expect("unpoisoned")
            .iter()
            .any(|line| line.starts_with("web01 cancel"))
    );
    let again = fixture.ask(OperatorRequest::Cancel(run)).await;
    assert!(matches!(again, OperatorReply::Refused(refusal) if refusal.why == Why::Conflict));
}

async fn phase(fixture: &Fixture, run: brine_wire::job::RunId, phase: RunPhase) {
    let reached = async || fixture.summary(run).await.phase == phase;
    fixture.wait_until("the phase", reached).await;
}
