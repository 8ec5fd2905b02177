//! What is founded, by whom, and what is done once for a cluster.

use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{begun, most_at_once};
use crate::fixture::start;
use crate::ring::{ONCE, fixture, formed, join, noted};
use crate::script::tells;

const NAMES: [&str; 3] = ["ring01", "ring02", "ring03"];

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_on_nodes_of_an_old_one_goes_through_the_old_ones_gate() {
    let (fixture, log) = fixture().await;
    let old = join(&fixture, &log, &["web01"], &["web"]).await;
    let run = fixture.apply("role=web").await;
    fixture.succeeds(run).await;
    let both = join(&fixture, &log, &["both01", "both02"], &["web", "ring"]).await;
    for agent in &both {
        let leads = if agent.name == "both01" {
            "leader"
        } else {
            "replica"
        };
        let live = tells("ring", &[("formed", "true"), ("role", leads)]);
        agent.script(|script| script.becomes = Some(("patroni_member:member".into(), live)));
    }
    log.lock().expect("unpoisoned").clear();

    // Nobody may found anything where another role would feel that all its members are busy at once.
    both[0].script(|script| script.founds = Some("patroni_member:member".into()));
    let run = fixture.apply("role=ring").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Refused);
    assert!(
        reason.contains("both01 would found the cluster of ring")
            && reason.contains("another role that exists already"),
        "{reason}"
    );
    assert!(begun(&log).is_empty());

    both[0].script(|script| script.founds = None);
    let run = fixture.apply("role=ring").await;
    fixture.succeeds(run).await;
    assert_eq!(most_at_once(&log), 1, "one by one, as web has it");
    drop(old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_exists_is_not_founded_again() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    agents[2].script(|script| script.founds = Some("patroni_member:member".into()));
    for target in ["node=ring03", "role=ring"] {
        let run = fixture.apply(target).await;
        let (phase, reason) = fixture.ended(run).await;
        assert_eq!(phase, RunPhase::Refused);
        let expected = "ring03 would found a second cluster (patroni_member:member: bootstrap)";
        assert!(reason.starts_with(expected), "{reason}");
    }
    assert!(begun(&log).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn forming_that_was_cut_short_can_be_finished() {
    let (fixture, log) = fixture().await;
    let agents = join(&fixture, &log, &NAMES, &["ring"]).await;
    // Something was founded, so it is formed; but nobody came to be its leader, and nothing of the
    // catalogs was ever applied to the end.
    for agent in &agents {
        agent.script(|script| {
            script.live = tells("ring", &[("formed", "true"), ("role", "replica")]);
            script.becomes = Some((
                "file:/etc/word.conf".into(),
                tells(
                    "ring",
                    &[
                        ("formed", "true"),
                        (
                            "role",
                            if agent.name == "ring02" {
                                "leader"
                            } else {
                                "replica"
                            },
                        ),
                    ],
                ),
            ));
        });
    }
    let run = fixture.apply("role=ring").await;
    fixture.succeeds(run).await;
    let has = |node| noted(&log, node, "has");
    assert_eq!(
        has("ring01"),
        ["has patroni_member:member", "has file:/etc/word.conf"]
    );
    assert_eq!(
        has("ring02").last().map(String::as_str),
        Some("has file:/etc/once.conf"),
        "it leads by then"
    );

    // Of a cluster that was whole, the same is no beginning but an outage.
    for agent in &agents {
        agent.script(|script| {
            script.live = tells("ring", &[("formed", "true"), ("role", "replica")]);
        });
    }
    log.lock().expect("unpoisoned").clear();
    let run = fixture.apply("role=ring").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(
        reason.contains("nobody can do file:/etc/once.conf"),
        "{reason}"
    );
    // Nobody went on to what comes after it.
    for node in NAMES {
        let has = noted(&log, node, "has");
        assert!(
            !has.contains(&"has file:/etc/word.conf".to_owned()),
            "{has:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_does_it_also_where_it_is_not_part_of_the_run() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    let only_once = |script: &mut crate::script::Script| {
        script.in_sync = vec!["patroni_member:member".into(), "file:/etc/word.conf".into()];
    };
    agents.iter().for_each(|agent| agent.script(only_once));
    let request = OperatorRequest::StartPlan(start("node=ring02"));
    let OperatorReply::Run(plan) = fixture.ask(request).await else {
        panic!("no plan")
    };
    fixture.succeeds(plan).await;
    let detail = fixture.detail(plan).await;
    let [(node, shown)] = detail.plans.as_slice() else {
        panic!("{:?}", detail.plans)
    };
    assert_eq!(node.as_str(), "ring02");
    let mut resources = shown.resources.iter();
    let once = resources.find(|planned| planned.id.to_string() == ONCE);
    assert!(once.is_some_and(|planned| !planned.outcome.changes().is_empty()));

    let run = fixture.apply("node=ring02").await;
    fixture.succeeds(run).await;
    assert_eq!(noted(&log, "ring01", "has"), ["has file:/etc/once.conf"]);
    assert_eq!(noted(&log, "ring03", "has"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_leaders_nobody_does_it() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    agents[1].script(|script| script.live = tells("ring", &[("role", "leader")]));
    let run = fixture.apply("role=ring").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(reason.contains("holds on ring01 and ring02"), "{reason}");
    // What came before it was done, and is taken back.
    assert_eq!(fixture.state_of(run, "ring03").await, NodeState::Reverted);
    for node in NAMES {
        let has = noted(&log, node, "has");
        assert!(!has.iter().any(|has| has.contains(ONCE)), "{has:?}");
    }
}

/// A leader is being elected, or a member has just come back: it is asked again before anybody gives up.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_it_may_be_clear_only_a_moment_later() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    for agent in &agents {
        agent.script(|script| script.live = tells("ring", &[("role", "replica")]));
    }
    let run = fixture.apply("role=ring").await;
    let all_have = async || {
        NAMES
            .iter()
            .all(|node| !noted(&log, node, "has patroni_member:member").is_empty())
    };
    fixture.wait_until("what comes before", all_have).await;
    let before = noted(&log, "ring02", "tells").len();
    let asked = async || noted(&log, "ring02", "tells").len() > before;
    fixture.wait_until("the question", asked).await;
    agents[1].script(|script| script.live = tells("ring", &[("role", "leader")]));
    fixture.succeeds(run).await;
    assert!(noted(&log, "ring02", "has").contains(&format!("has {ONCE}")));
}
