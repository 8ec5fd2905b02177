//! Nodes as places: another machine may take one, and runs may be kept away from it.

use brine_model::time::Timestamp;
use brine_transport::identity::Key;
use brine_wire::enroll::EnrollReply;
use brine_wire::operator::{Enrollment, NodeInfo, OperatorReply, OperatorRequest, Why};
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{Agent, begun, enrol, request, secret_of};
use crate::fixture::{Fixture, SOON, name, start};
use crate::rollouts::formed_web;

async fn replace(fixture: &Fixture, node: &str) -> String {
    let request = OperatorRequest::ReplaceNode {
        name: name(node),
        ttl: 600,
    };
    match fixture.ask(request).await {
        OperatorReply::Token { token, .. } => token,
        other => panic!("no token: {other:?}"),
    }
}

async fn info(fixture: &Fixture, node: &str) -> NodeInfo {
    let nodes = fixture.nodes().await;
    let found = nodes.into_iter().find(|info| info.name.as_str() == node);
    found.expect("registered")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_takes_a_place_and_the_old_one_gets_nothing_more() {
    let (fixture, agents, log) = formed_web(2).await;
    let old = &agents[1];
    let connection = old.connection();
    let catalog = info(&fixture, "web02").await.applied.expect("applied");
    assert!(old.blob(catalog).await.is_some());
    let token = replace(&fixture, "web02").await;
    let closed = tokio::time::timeout(SOON, connection.closed()).await;
    closed.expect("closed at once");
    assert!(old.connect().await.is_err(), "it does not come back");
    let place = info(&fixture, "web02").await;
    assert_eq!(place.generation, 1);
    assert_eq!(place.enrollment, Enrollment::Expected);
    assert_eq!((place.applied, place.connected), (None, false));
    assert_eq!(place.roles, [name("web")]);

    // Its key is out with the new token, too; a stranger's key is in, once, whatever its name.
    let (certificate, key) = old.identity.certificate.as_ref().expect("enrolled");
    assert!(!certificate.is_empty());
    let again = request(secret_of(&token), "web02", "machine-web02", key);
    let refused = enrol(&fixture.servers(), &fixture.ca(), &again).await;
    assert!(
        matches!(refused, EnrollReply::Refused { .. }),
        "{refused:?}"
    );
    let new = Agent::join(&fixture, &token, "fresh", &log).await;
    assert_eq!(new.name, "web02");
    let second = Key::generate().expect("a key");
    let late = request(secret_of(&token), "fresher", "m3", &second);
    let refused = enrol(&fixture.servers(), &fixture.ca(), &late).await;
    assert!(
        matches!(refused, EnrollReply::Refused { .. }),
        "{refused:?}"
    );
    fixture.connected(&["web01", "web02"]).await;
    assert!(
        new.blob(catalog).await.is_none(),
        "nothing before it applies"
    );
    assert!(old.connect().await.is_err(), "another key has its name now");

    let run = fixture.apply("node=web02").await;
    fixture.succeeds(run).await;
    let place = info(&fixture, "web02").await;
    assert_eq!(place.generation, 1);
    assert_eq!(place.applied, place.newest);
    let audit = fixture.audit().await;
    assert!(audit.contains("replace node web02"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_replaced_while_it_applies_ends_its_step() {
    let (fixture, agents, log) = formed_web(2).await;
    agents[0].hold();
    let run = fixture.apply("role=web").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    replace(&fixture, "web01").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(reason.contains("web01"), "{reason}");
    assert_eq!(begun(&log), ["web01"]);
    assert_eq!(fixture.state_of(run, "web02").await, NodeState::Untouched);
    assert_eq!(info(&fixture, "web01").await.applied, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_can_be_replaced_and_not_for_ever() {
    let (fixture, _agents, _log) = formed_web(1).await;
    for (node, ttl, expected) in [
        ("web09", 60, Why::NotFound),
        ("web01", 0, Why::BadRequest),
        ("web01", u64::MAX, Why::BadRequest),
    ] {
        let request = OperatorRequest::ReplaceNode {
            name: name(node),
            ttl,
        };
        let reply = fixture.ask(request).await;
        assert!(
            matches!(&reply, OperatorReply::Refused(refusal) if refusal.why == expected),
            "{reply:?}"
        );
    }
    assert!(info(&fixture, "web01").await.connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_keep_away_from_a_paused_node() {
    let (fixture, _agents, log) = formed_web(2).await;
    let pause = async |until: Option<Timestamp>| {
        let request = OperatorRequest::PauseNode {
            name: name("web02"),
            until,
            reason: until.map(|_| "disk is replaced".to_owned()),
        };
        fixture.ask(request).await
    };
    let now = jiff::Timestamp::now().as_second();
    let (later, earlier) = (
        Timestamp::from_secs(now + 3600),
        Timestamp::from_secs(now - 1),
    );
    assert_eq!(pause(Some(later)).await, OperatorReply::Done);
    let (why, message) = fixture
        .apply_with(start("role=web"), true)
        .await
        .expect_err("refused");
    assert_eq!(why, Why::Conflict);
    assert!(message.contains("web02 is paused"), "{message}");
    assert!(message.contains("disk is replaced"), "{message}");
    let mut skipping = start("role=web");
    skipping.skip_unreachable = true;
    let run = fixture.apply_with(skipping, true).await.expect("begun");
    fixture.succeeds(run).await;
    assert_eq!(begun(&log), ["web01"]);
    let left_out = fixture.state_of(run, "web02").await;
    assert_eq!(left_out, NodeState::SkippedUnreachable);
    let paused = info(&fixture, "web02").await.paused.expect("paused");
    assert_eq!(paused.until, later);

    // Taken back, or over: as if it had never been.
    for until in [None, Some(earlier)] {
        assert_eq!(pause(until).await, OperatorReply::Done);
        let run = fixture.apply("role=web").await;
        fixture.succeeds(run).await;
    }
}
