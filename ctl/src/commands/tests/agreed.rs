//! Applies that have had their yes before.

use super::*;

/// What was saved goes to the server as it was, with its yes.
#[tokio::test]
async fn a_saved_plan_is_applied() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lb.plan");
    let file = path.to_str().expect("UTF-8");
    let mut planned = detail(RunKind::Plan, RunPhase::Succeeded);
    planned.catalogs = vec![(name("lb01"), Digest::of(b"new"))];
    let script = Script::new(
        vec![OperatorReply::Run(RUN), record(&planned)],
        vec![vec![phase(1, RunPhase::Succeeded)]],
    );
    let saved = call(&["plan", "role=balancer", "--out", file], &[], script).await;
    assert_eq!(saved.result.expect("an exit code"), Exit::Ok);
    assert!(saved.err.contains("`ctl apply --plan /"), "{}", saved.err);

    for line in [&["apply", "--plan", file] as &[&str], &["apply", file]] {
        let mut ending = detail(RunKind::Apply, RunPhase::Refused);
        ending.summary.reason = Some("the plan is stale: lb01 has another catalog".to_owned());
        let script = Script::new(
            vec![
                nodes(&[]),
                OperatorReply::Run(RUN),
                record(&ending),
                nodes(&[]),
            ],
            vec![vec![phase(1, RunPhase::Refused)]],
        );
        let call = call(line, &[], script).await;
        assert_eq!(call.result.expect("an exit code"), Exit::Refused);
        assert!(
            call.err
                .contains("saved plan of run 12: role=balancer, 1 node")
        );
        let OperatorRequest::StartApply { start, approved } = &call.asked[1] else {
            panic!("{:?}", call.asked)
        };
        assert!(approved);
        assert_eq!(start.target, "role=balancer");
        let agreed = start.agreed.as_ref().expect("what was saved");
        let node = &agreed.nodes["lb01"];
        assert_eq!(node.catalog, Digest::of(b"new"));
        assert_eq!(node.approval, planned.plans[0].1.approval());
    }
}

#[tokio::test]
async fn what_could_not_be_planned_is_not_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lb.plan");
    let file = path.to_str().expect("UTF-8");
    let mut broken = detail(RunKind::Plan, RunPhase::Succeeded);
    broken.plans[0].1 = plan(&[planned("file:/a", PlanOutcome::Failed("no".to_owned()))]);
    let script = Script::new(
        vec![OperatorReply::Run(RUN), record(&broken)],
        vec![vec![phase(1, RunPhase::Succeeded)]],
    );
    let call = call(&["plan", "role=balancer", "--out", file], &[], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Failed);
    assert!(!path.exists());
    assert!(call.err.contains("not saved"), "{}", call.err);
}

#[tokio::test]
async fn a_stopped_run_is_taken_up_again() {
    let stopped = detail(RunKind::Apply, RunPhase::Interrupted);
    for (line, asked) in [
        (
            &["apply", "--resume"] as &[&str],
            OperatorRequest::Runs { limit: 200 },
        ),
        (&["apply", "--resume", "12"], OperatorRequest::Run(RUN)),
    ] {
        let found = match &asked {
            OperatorRequest::Run(_) => record(&stopped),
            _ => OperatorReply::Runs(vec![stopped.summary.clone()]),
        };
        let script = Script::new(
            vec![
                found,
                nodes(&[]),
                OperatorReply::Run(RunId(13)),
                record(&applied()),
                record(&applied()),
                nodes(&[]),
            ],
            vec![
                vec![phase(1, RunPhase::Applying), phase(2, RunPhase::Succeeded)],
                vec![phase(2, RunPhase::Succeeded)],
            ],
        );
        let call = call(line, &[], script).await;
        assert_eq!(call.result.expect("an exit code"), Exit::Ok);
        assert!(call.err.contains("going on with run 12"), "{}", call.err);
        assert_eq!(call.asked[0], asked);
        let start = Start {
            resume: Some(RUN),
            ..start("role=balancer")
        };
        let expected = OperatorRequest::StartApply {
            start,
            approved: true,
        };
        assert_eq!(call.asked[2], expected);
    }
    let script = Script::new(vec![OperatorReply::Runs(vec![])], vec![]);
    let call = call(&["apply", "--resume"], &[], script).await;
    assert_eq!(call.result.expect_err("none").exit(), Exit::Usage);
}
