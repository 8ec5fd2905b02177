//! Applies that have had their yes before: saved plans, and runs that stopped half-way.

use std::collections::BTreeMap;

use brine_model::resource::Impact;
use brine_wire::operator::{Agreed, AgreedNode, OperatorReply, OperatorRequest, Start, Why};
use brine_wire::run::{NodeState, RunPhase};

use crate::agent::{Agent, begun};
use crate::fixture::{Fixture, start};
use crate::rollouts::formed_web;

/// As `ctl plan --out` has it.
async fn saved(fixture: &Fixture, target: &str) -> Start {
    let OperatorReply::Run(run) = fixture.ask(OperatorRequest::StartPlan(start(target))).await
    else {
        panic!("no plan")
    };
    fixture.succeeds(run).await;
    let detail = fixture.detail(run).await;
    let catalogs: BTreeMap<_, _> = detail.catalogs.into_iter().collect();
    let node = |(name, plan): &(_, brine_model::converge::Plan)| {
        let agreed = AgreedNode {
            catalog: catalogs[name],
            approval: plan.approval(),
        };
        (Clone::clone(name), agreed)
    };
    let nodes = detail.plans.iter().map(node).collect();
    Start {
        agreed: Some(Agreed { nodes }),
        ..start(target)
    }
}

fn without_changes(agents: &[Agent]) {
    agents
        .iter()
        .for_each(|agent| agent.script(|script| script.impact = None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_needs_no_second_yes() {
    let (fixture, agents, _log) = formed_web(2).await;
    let plan = saved(&fixture, "role=web").await;
    // It may do less by now: web01 has come right by itself.
    agents[0].script(|script| script.impact = None);
    let run = fixture.apply_with(plan, false).await.expect("begun");
    fixture.succeeds(run).await;
    assert_eq!(fixture.state_of(run, "web01").await, NodeState::InSync);
    assert_eq!(fixture.state_of(run, "web02").await, NodeState::Changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_plan_is_refused_before_anything_is_touched() {
    let (fixture, agents, log) = formed_web(2).await;
    let check = async |plan: Start, expected: &str| {
        let reason = match fixture.apply_with(plan, true).await {
            Ok(run) => {
                let (phase, reason) = fixture.ended(run).await;
                assert_eq!(phase, RunPhase::Refused, "{reason}");
                reason
            }
            Err((why, message)) => {
                assert_eq!(why, Why::Conflict, "{message}");
                message
            }
        };
        assert!(reason.contains(expected), "{reason}");
    };
    without_changes(&agents);
    let nothing = saved(&fixture, "role=web").await;
    agents[1].script(|script| script.impact = Some(Impact::Restart));
    check(nothing, "web02 would now content").await;

    let one = saved(&fixture, "node=web01").await;
    let two = Start {
        target: "role=web".into(),
        ..one
    };
    check(two, "web02 was not part of it").await;

    let old = saved(&fixture, "role=web").await;
    fixture.write_greeting("ahoy");
    check(old, "the catalog of web01 is another one by now").await;
    assert!(begun(&log).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_it_stopped() {
    let (fixture, agents, log) = formed_web(3).await;
    agents[1].script(|script| script.fails = Some("disk full".into()));
    let run = fixture.apply("role=web").await;
    let (phase, _) = fixture.ended(run).await;
    assert_eq!(phase, RunPhase::Failed);
    assert_eq!(begun(&log), ["web01", "web02"]);
    assert_eq!(fixture.state_of(run, "web03").await, NodeState::Untouched);

    agents[0].script(|script| script.impact = None);
    agents[1].script(|script| script.fails = None);
    let resume = Start {
        resume: Some(run),
        ..start("role=web")
    };
    let next = fixture.apply_with(resume.clone(), false).await;
    let next = next.expect("begun");
    fixture.succeeds(next).await;
    for (node, state) in [
        ("web01", NodeState::InSync),
        ("web02", NodeState::Changed),
        ("web03", NodeState::Changed),
    ] {
        assert_eq!(fixture.state_of(next, node).await, state);
    }
    assert_eq!(fixture.summary(next).await.target, "role=web");

    // What was agreed to was for the states of then.
    fixture.write_greeting("ahoy");
    let refused = match fixture.apply_with(resume, false).await {
        Ok(run) => fixture.ended(run).await,
        Err((_, message)) => (RunPhase::Refused, message),
    };
    assert_eq!(refused.0, RunPhase::Refused);
    assert!(refused.1.contains("another one by now"), "{}", refused.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_agreed_to_does_not_go_on() {
    let (fixture, _agents, log) = formed_web(1).await;
    let run = fixture.apply_with(start("role=web"), false).await;
    let run = run.expect("begun");
    let asked = async || fixture.summary(run).await.phase == RunPhase::Approval;
    fixture.wait_until("the question", asked).await;
    let resume = |run| Start {
        resume: Some(run),
        ..start("role=web")
    };
    let (why, message) = fixture
        .apply_with(resume(run), true)
        .await
        .expect_err("refused");
    assert_eq!(why, Why::Conflict, "{message}");
    fixture.ask(OperatorRequest::Cancel(run)).await;
    fixture.ended(run).await;
    for run in [run, brine_wire::job::RunId(99)] {
        let refused = fixture.apply_with(resume(run), true).await;
        refused.expect_err("refused");
    }
    assert!(begun(&log).is_empty());
}
