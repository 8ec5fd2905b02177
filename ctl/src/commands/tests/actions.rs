//! `ctl do`

use super::*;

fn acted(outputs: &[(&str, i32, &str)]) -> RunDetail {
    let states: Vec<_> = outputs
        .iter()
        .map(|(n, ..)| node(n, NodeState::Changed, None))
        .collect();
    let mut run = run(RunKind::Action, RunPhase::Succeeded, &states);
    run.outputs = outputs
        .iter()
        .map(|(n, code, text)| {
            let output = brine_wire::run::Output {
                code: *code,
                stdout: (*text).to_owned(),
                stderr: String::new(),
            };
            (name(n), output)
        })
        .collect();
    run
}

#[tokio::test]
async fn an_action_asks_first() {
    let script = Script::new(
        vec![
            nodes(&[info("lb01", true), info("lb02", false)]),
            OperatorReply::Run(RUN),
            record(&acted(&[("lb01", 0, "6.1.0\n"), ("lb02", 0, "6.1.0\n")])),
        ],
        vec![vec![
            phase(1, RunPhase::Applying),
            state(2, "lb01", NodeState::Draining),
            state(3, "lb01", NodeState::Changed),
            phase(4, RunPhase::Succeeded),
        ]],
    );
    let line = ["do", "role=balancer", "exec", "--wait", "--", "uname", "-r"];
    let call = call(&line, &["y"], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    let OperatorRequest::StartActions(asked) = &call.asked[1] else {
        panic!("{:?}", call.asked)
    };
    assert!(asked.start.wait);
    let argv = ["uname", "-r"].map(str::to_owned).to_vec();
    assert_eq!(asked.action, ActionRequest::Execute(argv));
    insta::assert_snapshot!(format!(
        "──── stdout\n{}──── stderr\n{}",
        call.out, call.err
    ));
}

#[tokio::test]
async fn how_actions_end() {
    let check = async |run: &RunDetail, expected: Exit| {
        let script = Script::new(
            vec![OperatorReply::Run(RUN), record(run)],
            vec![vec![phase(1, run.summary.phase)]],
        );
        let line = ["do", "node=lb01", "reboot", "--yes", "--output", "json"];
        let call = call(&line, &[], script).await;
        assert_eq!(call.result.expect("an exit code"), expected);
        let last = call.out.lines().last().expect("a line");
        assert!(last.contains("\"outputs\":{\"lb01\""), "{last}");
    };
    check(&acted(&[("lb01", 0, "")]), Exit::Ok).await;
    check(&acted(&[("lb01", 3, "")]), Exit::Failed).await;
    let mut failed = acted(&[("lb01", 0, "")]);
    failed.summary.phase = RunPhase::Failed;
    check(&failed, Exit::Failed).await;
    failed.summary.phase = RunPhase::Refused;
    check(&failed, Exit::Refused).await;
}

#[tokio::test]
async fn an_action_on_nobody() {
    let script = Script::new(vec![nodes(&[info("lb01", true)])], vec![]);
    let call = call(&["do", "role=db", "reboot"], &["y"], script).await;
    let error = call.result.expect_err("no node");
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.to_string().contains("no node matches"), "{error}");
    let script = Script::new(vec![nodes(&[info("lb01", true)])], vec![]);
    let call = self::call(&["do", "all", "reboot"], &["n"], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Cancelled);
    assert_eq!(call.asked, [OperatorRequest::Nodes]);
}
