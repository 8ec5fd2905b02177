//! How a member is taken out of service for its step, put back after it, and given back what it had.

use brine_model::digest::Digest;
use brine_wire::operator::{ActionRequest, OperatorReply, OperatorRequest, Start};
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{Agent, Log, begun};
use crate::fixture::{Fixture, name, start};
use crate::ring::{ONCE, fixture, formed, join, noted, write_word};

const NAMES: [&str; 3] = ["ring01", "ring02", "ring03"];

/// Leaves the thing that is done once out of it.
fn without_once(agents: &[Agent]) {
    let settle = |agent: &Agent| agent.script(|script| script.in_sync = vec![ONCE.into()]);
    agents.iter().for_each(settle);
}

async fn applied(fixture: &Fixture, node: &str) -> Option<Digest> {
    let nodes = fixture.nodes().await;
    let found = nodes.into_iter().find(|info| info.name.as_str() == node);
    found.expect("registered").applied
}

fn runs(log: &Log, node: &str) -> Vec<String> {
    noted(log, node, "runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_before_and_put_back_after() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES[..2], "ring").await;
    without_once(&agents);
    let run = fixture.apply("role=ring").await;
    fixture.succeeds(run).await;
    let lines = log.lock().expect("unpoisoned").clone();
    let of_first: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("ring01 "))
        .filter(|what| {
            ["runs", "begins", "ends"]
                .iter()
                .any(|word| what.starts_with(word))
        })
        .collect();
    let step = ["runs drain", "begins", "ends", "runs undrain"];
    assert_eq!(
        of_first,
        [step, step].concat(),
        "twice: before and after what is done once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_drained_that_does_not_serve() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    let new = join(&fixture, &log, &["ring04"], &["ring"]).await;
    without_once(&agents);
    without_once(&new);
    // One of the two things that are asked of it fails: it serves partly, and is drained.
    agents[1].script(|script| script.failing = vec!["tcp: refused".into()]);
    let run = fixture.apply("node=ring02").await;
    fixture.ended(run).await;
    assert_eq!(runs(&log, "ring02"), ["runs drain", "runs undrain"]);
    // Nothing of it works: waiting until it has drained would be in vain.
    log.lock().expect("unpoisoned").clear();
    agents[1].script(|script| script.failing = vec!["tcp: refused".into(); 2]);
    let run = fixture.apply("node=ring02").await;
    fixture.ended(run).await;
    assert_eq!(runs(&log, "ring02"), ["runs undrain"]);
    agents[1].script(|script| script.failing = vec![]);
    // And a bare machine has nothing to drain with.
    let run = fixture.apply("node=ring04").await;
    fixture.succeeds(run).await;
    let ran = runs(&log, "ring04");
    assert!(!ran.contains(&"runs drain".to_owned()), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_finds_what_was_left_drained() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    without_once(&agents);
    agents[1].script(|script| script.fails = Some("disk full".into()));
    let run = fixture.apply("role=ring").await;
    assert_eq!(fixture.ended(run).await.0, RunPhase::Failed);
    // By now all of them are as they should be, but who knows whether they serve.
    for agent in &agents {
        agent.script(|script| (script.impact, script.fails) = (None, None));
    }
    log.lock().expect("unpoisoned").clear();
    let plain = fixture.apply("role=ring").await;
    fixture.succeeds(plain).await;
    assert_eq!(runs(&log, "ring01"), [""; 0]);
    let resume = |run| Start {
        resume: Some(run),
        ..start("role=ring")
    };
    let next = fixture.apply_with(resume(run), false).await.expect("begun");
    fixture.succeeds(next).await;
    for node in NAMES {
        assert_eq!(runs(&log, node), ["runs undrain"], "{node}");
    }
    // And it is asked whether it is well.
    agents[2].script(|script| script.failing = vec!["tcp: refused".into()]);
    let next = fixture.apply_with(resume(run), false).await.expect("begun");
    let (phase, reason) = fixture.ended(next).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(reason.contains("ring03 did not become healthy"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_takes_back_what_its_own_role_changed() {
    let (fixture, log) = fixture().await;
    let ring = formed(&fixture, &log, &NAMES[..2], "ring").await;
    let edge = formed(&fixture, &log, &["edge01", "edge02"], "edge").await;
    for agents in [&ring, &edge] {
        without_once(agents);
    }
    edge[1].script(|script| script.stumbles = true);
    let run = fixture.apply("role=ring or role=edge").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed, "{reason}");
    assert!(reason.ends_with("; reverted: edge02, edge01"), "{reason}");
    for (node, state) in [
        ("ring01", NodeState::Changed),
        ("ring02", NodeState::Changed),
        ("edge01", NodeState::Reverted),
        ("edge02", NodeState::Reverted),
    ] {
        assert_eq!(fixture.state_of(run, node).await, state, "{node}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_nothing_before_keeps_what_it_got() {
    let (fixture, log) = fixture().await;
    let new = join(&fixture, &log, &["edge00"], &["edge"]).await;
    let edge = formed_beside(&fixture, &log, &new).await;
    // The last of them fails; the new one went before it.
    edge[1].script(|script| script.stumbles = true);
    let run = fixture.apply("role=edge").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert_eq!(begun(&log)[..1], ["edge00"], "{reason}");
    assert_eq!(fixture.state_of(run, "edge00").await, NodeState::Changed);
    assert!(reason.ends_with("; reverted: edge02, edge01"), "{reason}");
}

/// `edge01` and `edge02` formed, while others of the role are bare.
async fn formed_beside(fixture: &Fixture, log: &Log, bare: &[Agent]) -> Vec<Agent> {
    let exists = crate::script::tells("edge", &[("formed", "true"), ("role", "leader")]);
    let edge = join(fixture, log, &["edge01", "edge02"], &["edge"]).await;
    edge[0].script(|script| script.live = exists);
    without_once(&edge);
    without_once(bare);
    let run = fixture.apply("node=edge01 or node=edge02").await;
    fixture.succeeds(run).await;
    log.lock().expect("unpoisoned").clear();
    edge
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_goes_back_to_is_what_was_there_when_its_turn_came() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &["ring01"], "ring").await;
    without_once(&agents);
    agents[0].hold();
    write_word(&fixture, "first");
    let first = fixture.apply("role=ring").await;
    fixture
        .wait_until("its begin", async || !begun(&log).is_empty())
        .await;
    write_word(&fixture, "second");
    let waiting = Start {
        wait: true,
        ..start("role=ring")
    };
    let second = fixture.apply_with(waiting, true).await.expect("begun");
    let reverts =
        async || fixture.summary(second).await.phase != RunPhase::Planning || begun(&log).len() > 1;
    assert!(!reverts().await, "it waits");
    // The first run's step comes out well, the second's does not.
    agents[0].may_finish.add_permits(2);
    fixture.succeeds(first).await;
    let between = applied(&fixture, "ring01").await.expect("applied");
    agents[0].script(|script| script.failing = vec!["tcp: refused".into(); 2]);
    agents[0].may_finish.add_permits(1000);
    fixture.ended(second).await;
    let catalogs = noted(&log, "ring01", "applies");
    let last = catalogs.last().cloned().unwrap_or_default();
    assert_eq!(last, format!("applies {between}"), "{catalogs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_machine_is_out_until_all_of_its_catalog_is_applied() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    let request = OperatorRequest::ReplaceNode {
        name: name("ring02"),
        ttl: 600,
    };
    let OperatorReply::Token { token, .. } = fixture.ask(request).await else {
        panic!("no token")
    };
    let new = Agent::join(&fixture, &token, "ring02", &log).await;
    let everybody = [&agents[0], &new, &agents[2]];
    for agent in everybody {
        agent.script(|script| script.in_sync = vec![ONCE.into()]);
    }
    fixture.connected(&NAMES).await;
    // Its first part alone does not make it a member again: nobody else may go.
    let run = fixture.apply("role=ring").await;
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert!(
        reason.starts_with("ring02 is not healthy (it was replaced, and not all of its catalog"),
        "{reason}"
    );
    assert_eq!(begun(&log), ["ring02"]);
    let run = fixture.apply("node=ring02").await;
    fixture.succeeds(run).await;
    let run = fixture.apply("role=ring").await;
    fixture.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_not_waited_for_and_who_acts_is() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    for (action, phase) in [
        ("leave", RunPhase::Succeeded),
        ("restart", RunPhase::Failed),
    ] {
        agents[2].script(|script| script.failing = vec![]);
        agents[2].hold();
        let before = begun(&log).len();
        let asked = ActionRequest::Formula {
            formula: "ring".into(),
            action: action.into(),
        };
        let run = fixture
            .act(start("node=ring03"), asked)
            .await
            .expect("begun");
        let begins = async || begun(&log).len() > before;
        fixture.wait_until("its begin", begins).await;
        // From here on it does not serve.
        agents[2].script(|script| script.failing = vec!["tcp: refused".into(); 2]);
        agents[2].may_finish.add_permits(1000);
        let ended = fixture.ended(run).await;
        assert_eq!(ended.0, phase, "{action}: {}", ended.1);
    }
    assert_eq!(
        runs(&log, "ring03"),
        ["runs drain", "runs drain", "runs undrain"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_role_does_not_leave() {
    let (fixture, log) = fixture().await;
    let agents = formed(&fixture, &log, &NAMES, "ring").await;
    agents[0].hold();
    let asked = ActionRequest::Formula {
        formula: "ring".into(),
        action: "leave".into(),
    };
    let run = fixture.act(start("role=ring"), asked).await.expect("begun");
    let begins = async || !begun(&log).is_empty();
    fixture.wait_until("its begin", begins).await;
    agents[0].script(|script| script.failing = vec!["tcp: refused".into(); 2]);
    agents[0].may_finish.add_permits(1000);
    let (phase, reason) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed, "{reason}");
    assert!(reason.starts_with("ring01 is not healthy"), "{reason}");
    assert_eq!(begun(&log), ["ring01"]);
}
