//! The verbs against a server that follows a script: what is asked, and how the call ends.

mod actions;
mod agreed;

use brine_model::converge::{PlanOutcome, ResourceOutcome};
use brine_model::digest::Digest;
use brine_wire::job::RunId;
use brine_wire::operator::{
    ActionRequest, NodeInfo, OperatorReply, OperatorRequest, Refusal, Start, Why,
};
use brine_wire::run::{Happening, NodeState, RunDetail, RunKind, RunPhase};
use clap::FromArgMatches;

use super::follow::Follow;
use super::{Context, dispatch};
use crate::cli::{Cli, command};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::{Format, Output};
use crate::testing::{
    Script, change, changes, event, info, name, node, phase, plan, planned, progress, report, run,
    state,
};

const RUN: RunId = RunId(12);

/// One call: its command line, the answers to its questions, and the server's script.
struct Call {
    result: Result<Exit, CtlError>,
    out: String,
    err: String,
    asked: Vec<OperatorRequest>,
}

async fn call(line: &[&str], answers: &[&str], script: Script) -> Call {
    let matches = command()
        .try_get_matches_from([&["ctl"], line].concat())
        .expect("a command line");
    let cli = Cli::from_arg_matches(&matches).expect("a command line");
    let output = Output::captured(cli.global.output, answers);
    let context = Context {
        server: &script,
        output: &output,
    };
    let result = dispatch(cli.command, &context).await;
    let (out, err) = output.written();
    Call {
        result,
        out,
        err,
        asked: script.asked.into_inner(),
    }
}

fn start(target: &str) -> Start {
    Start {
        target: target.to_owned(),
        skip_unreachable: false,
        wait: false,
        agreed: None,
        resume: None,
    }
}

fn detail(kind: RunKind, phase: RunPhase) -> RunDetail {
    let mut run = run(kind, phase, &[node("lb01", NodeState::Changed, None)]);
    run.plans = vec![(
        name("lb01"),
        plan(&[changes("file:/a", &[change("create", "create /a")])]),
    )];
    run
}

fn nodes(list: &[NodeInfo]) -> OperatorReply {
    OperatorReply::Nodes(list.to_vec())
}

fn behind(name: &str) -> NodeInfo {
    let mut node = info(name, true);
    node.newest = Some(Digest::of(b"new"));
    node
}

fn record(detail: &RunDetail) -> OperatorReply {
    OperatorReply::RunDetail(Box::new(detail.clone()))
}

fn applied() -> RunDetail {
    let mut run = detail(RunKind::Apply, RunPhase::Succeeded);
    run.reports = vec![(
        name("lb01"),
        report(&[(
            "file:/a",
            ResourceOutcome::Changed(vec![change("create", "create /a")]),
        )]),
    )];
    run
}

#[tokio::test]
async fn plan_exit_codes() {
    let check = async |run: &RunDetail, flags: &[&str], expected: Exit| {
        let script = Script::new(
            vec![OperatorReply::Run(RUN), record(run)],
            vec![vec![
                phase(1, RunPhase::Planning),
                phase(2, run.summary.phase),
            ]],
        );
        let line = [&["plan", "role=balancer"], flags].concat();
        let call = call(&line, &[], script).await;
        assert_eq!(call.result.expect("an exit code"), expected, "{}", call.out);
        assert_eq!(
            call.asked[0],
            OperatorRequest::StartPlan(start("role=balancer"))
        );
    };
    let with_changes = detail(RunKind::Plan, RunPhase::Succeeded);
    check(&with_changes, &[], Exit::Ok).await;
    check(&with_changes, &["--detailed-exit-code"], Exit::Changes).await;
    let mut in_sync = with_changes.clone();
    in_sync.plans[0].1 = plan(&[planned("file:/a", PlanOutcome::InSync)]);
    check(&in_sync, &["--detailed-exit-code"], Exit::Ok).await;
    let mut broken = with_changes.clone();
    broken.plans[0].1 = plan(&[planned("file:/a", PlanOutcome::Failed("no".to_owned()))]);
    check(&broken, &["--detailed-exit-code"], Exit::Failed).await;
    check(&detail(RunKind::Plan, RunPhase::Failed), &[], Exit::Failed).await;
    check(
        &detail(RunKind::Plan, RunPhase::Refused),
        &[],
        Exit::Refused,
    )
    .await;
    check(
        &detail(RunKind::Plan, RunPhase::Cancelled),
        &[],
        Exit::Cancelled,
    )
    .await;
}

fn until_approval() -> Vec<brine_wire::run::Event> {
    vec![
        phase(1, RunPhase::Planning),
        state(2, "lb01", NodeState::Planning),
        state(3, "lb01", NodeState::Planned),
        phase(4, RunPhase::Approval),
    ]
}

fn after_approval() -> Vec<brine_wire::run::Event> {
    vec![
        phase(5, RunPhase::Applying),
        state(6, "lb01", NodeState::Applying),
        progress("lb01", 1, 2, "file:/a"),
        state(7, "lb01", NodeState::Changed),
        phase(8, RunPhase::Succeeded),
    ]
}

#[tokio::test]
async fn apply_asks_and_goes_on_where_it_was() {
    let waiting = record(&detail(RunKind::Apply, RunPhase::Approval));
    let script = Script::new(
        vec![
            nodes(&[info("lb01", true), info("web01", true), behind("web02")]),
            OperatorReply::Run(RUN),
            waiting,
            OperatorReply::Done,
            record(&applied()),
            nodes(&[behind("lb01"), behind("web01"), behind("web02")]),
        ],
        vec![until_approval(), after_approval()],
    );
    let call = call(&["apply", "role=balancer"], &["y"], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    let requests = [
        OperatorRequest::Nodes,
        OperatorRequest::StartApply {
            start: start("role=balancer"),
            approved: false,
        },
        OperatorRequest::Watch { run: RUN, from: 1 },
        OperatorRequest::Run(RUN),
        OperatorRequest::Approve(RUN),
        OperatorRequest::Watch { run: RUN, from: 5 },
        OperatorRequest::Run(RUN),
        OperatorRequest::Nodes,
    ];
    assert_eq!(call.asked, requests);
    insta::assert_snapshot!(format!(
        "──── stdout\n{}──── stderr\n{}",
        call.out, call.err
    ));
}

#[tokio::test]
async fn apply_answered_with_no_changes_nothing() {
    let waiting = record(&detail(RunKind::Apply, RunPhase::Approval));
    let script = Script::new(
        vec![
            nodes(&[]),
            OperatorReply::Run(RUN),
            waiting,
            OperatorReply::Done,
        ],
        vec![until_approval()],
    );
    let call = call(&["apply", "role=balancer"], &[""], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Cancelled);
    assert_eq!(call.asked.last(), Some(&OperatorRequest::Cancel(RUN)));
    assert!(call.err.contains("nothing was changed"), "{}", call.err);
}

#[tokio::test]
async fn apply_with_yes_shows_the_plan_all_the_same() {
    let mut events = vec![phase(1, RunPhase::Planning), phase(5, RunPhase::Applying)];
    events.push(phase(8, RunPhase::Succeeded));
    let script = Script::new(
        vec![
            nodes(&[]),
            OperatorReply::Run(RUN),
            record(&detail(RunKind::Apply, RunPhase::Applying)),
            record(&applied()),
            nodes(&[behind("web01")]),
        ],
        vec![events, after_approval()],
    );
    let call = call(&["apply", "role=balancer", "--yes", "--wait"], &[], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    let start = Start {
        wait: true,
        ..start("role=balancer")
    };
    assert_eq!(
        call.asked[1],
        OperatorRequest::StartApply {
            start,
            approved: true
        }
    );
    assert!(call.out.contains("file:/a  create\n"), "{}", call.out);
    assert!(call.out.contains("run 12 succeeded"), "{}", call.out);
}

#[tokio::test]
async fn apply_as_json_is_one_line_per_event() {
    let mut events = until_approval();
    events.pop();
    events.extend(after_approval());
    let script = Script::new(
        vec![
            nodes(&[]),
            OperatorReply::Run(RUN),
            record(&detail(RunKind::Apply, RunPhase::Applying)),
            record(&applied()),
            nodes(&[behind("web01")]),
        ],
        vec![events.clone(), events],
    );
    let call = call(&["apply", "all", "--yes", "--output", "json"], &[], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    assert_eq!(call.err, "");
    insta::assert_snapshot!(call.out);
}

#[tokio::test]
async fn without_anybody_to_ask_nothing_is_sent() {
    for line in [
        &["apply", "all"] as &[&str],
        &["apply", "all", "--output", "json"],
        &["nodes", "remove", "db01"],
        &["runs", "approve", "12"],
        &["do", "all", "reboot"],
        &["do", "all", "exec", "--", "uname", "-r"],
    ] {
        let call = call(line, &[], Script::default()).await;
        let error = call.result.expect_err("nobody can be asked");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.hint().expect("a hint").contains("--yes"));
        assert_eq!(call.asked, []);
    }
}

#[tokio::test]
async fn targets_that_make_no_sense_are_not_sent() {
    for line in [
        &["apply", "", "--yes"] as &[&str],
        &["apply", "role=db", "and", "node=x", "--yes"],
        &["plan", " "],
        &["do", "", "reboot", "--yes"],
        &["do", "role=db", "and", "node=x", "reboot", "--yes"],
        &["do", "all", "restart", "--yes"],
        &["apply", "--plan", "/nowhere/x.plan"],
    ] {
        let call = call(line, &[], Script::default()).await;
        assert_eq!(call.result.expect_err("no target").exit(), Exit::Usage);
        assert_eq!(call.asked, []);
    }
}

#[tokio::test]
async fn refusals() {
    let check = async |why, expected: Exit| {
        let refusal = Refusal {
            why,
            message: "no".to_owned(),
            help: None,
        };
        let script = Script::new(vec![nodes(&[]), OperatorReply::Refused(refusal)], vec![]);
        let call = call(&["apply", "all", "--yes"], &[], script).await;
        assert_eq!(call.result.expect_err("refused").exit(), expected);
    };
    check(Why::BadRequest, Exit::Usage).await;
    check(Why::NotFound, Exit::Usage).await;
    check(Why::Conflict, Exit::Refused).await;
    check(Why::Forbidden, Exit::Unreachable).await;
    check(Why::Internal, Exit::Failed).await;
}

/// Refused by the run itself: a gate, a cluster that nobody can tell about, a stale plan.
#[tokio::test]
async fn refused_with_nothing_touched() {
    let mut refused = detail(RunKind::Apply, RunPhase::Refused);
    refused.summary.nodes[0].state = NodeState::Untouched;
    refused.summary.reason = Some("cannot tell whether etcd exists: db03 did not answer".into());
    let end = Happening::Phase {
        phase: RunPhase::Refused,
        reason: refused.summary.reason.clone(),
    };
    let script = Script::new(
        vec![
            nodes(&[]),
            OperatorReply::Run(RUN),
            record(&refused),
            nodes(&[]),
        ],
        vec![vec![phase(1, RunPhase::Planning), event(2, end)]],
    );
    let call = call(&["apply", "role=balancer", "--yes"], &[], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Refused);
    assert!(call.err.contains("db03 did not answer"), "{}", call.err);
}

#[tokio::test]
async fn another_machine_takes_the_name() {
    let token = OperatorReply::Token {
        id: "3f9a".to_owned(),
        token: "brine1.abc".to_owned(),
        expires: crate::testing::before(-3600),
    };
    let script = Script::new(vec![token], vec![]);
    let call = call(&["nodes", "replace", "db02"], &["y"], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    assert_eq!(call.out, "brine1.abc\n");
    assert!(call.err.contains("`ctl apply node=db02`"), "{}", call.err);
    let request = OperatorRequest::ReplaceNode {
        name: name("db02"),
        ttl: 3600,
    };
    assert_eq!(call.asked, [request]);
}

#[tokio::test]
async fn pausing_a_node() {
    let line = ["nodes", "pause", "db02", "--for", "2h", "--reason", "disk"];
    let script = Script::new(vec![OperatorReply::Done], vec![]);
    let paused = call(&line, &[], script).await;
    assert_eq!(paused.result.expect("an exit code"), Exit::Ok);
    let request = OperatorRequest::PauseNode {
        name: name("db02"),
        until: Some(crate::testing::before(-7200)),
        reason: Some("disk".to_owned()),
    };
    assert_eq!(paused.asked, [request]);
    let script = Script::new(vec![OperatorReply::Done], vec![]);
    let resumed = call(&["nodes", "resume", "db02"], &[], script).await;
    let request = OperatorRequest::PauseNode {
        name: name("db02"),
        until: None,
        reason: None,
    };
    assert_eq!(resumed.asked, [request]);
}

#[tokio::test]
async fn a_lost_server_is_found_again() {
    let broken = vec![
        phase(1, RunPhase::Planning),
        state(2, "lb01", NodeState::Planning),
    ];
    let mut whole = broken.clone();
    whole.extend([
        state(3, "lb01", NodeState::Planned),
        phase(4, RunPhase::Succeeded),
    ]);
    let script = Script::new(vec![], vec![broken, whole]);
    let output = Output::captured(Format::Text, &[]);
    let mut follow = Follow::new(RUN, true);
    follow.pause = std::time::Duration::ZERO;
    let context = Context {
        server: &script,
        output: &output,
    };
    follow.until(&context, |_| false).await.expect("the end");
    let watches = [1, 3].map(|from| OperatorRequest::Watch { run: RUN, from });
    assert_eq!(script.asked.into_inner(), watches);
    insta::assert_snapshot!(output.written().1);
}

#[tokio::test]
async fn another_ones_run_goes_on_waiting() {
    let waiting = record(&detail(RunKind::Apply, RunPhase::Approval));
    let script = Script::new(vec![waiting.clone(), waiting], vec![until_approval()]);
    let call = call(&["runs", "approve", "12"], &["n"], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Cancelled);
    assert!(!call.asked.contains(&OperatorRequest::Cancel(RUN)));
}

#[tokio::test]
async fn nothing_to_approve() {
    let waiting = record(&detail(RunKind::Apply, RunPhase::Succeeded));
    let script = Script::new(vec![waiting], vec![]);
    let call = call(&["runs", "approve", "12"], &["y"], script).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Refused);
}

#[tokio::test]
async fn tokens_are_data() {
    let token = OperatorReply::Token {
        id: "3f9a".to_owned(),
        token: "brine1.abc".to_owned(),
        expires: crate::testing::before(-3600),
    };
    let line = [
        "tokens", "add", "--role", "backend", "--names", "backend*", "--uses", "20",
    ];
    let call = call(&line, &[], Script::new(vec![token], vec![])).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    assert_eq!(call.out, "brine1.abc\n");
    assert_eq!(
        call.err,
        "token 3f9a expires in 60m; it is shown this once\n"
    );
}

#[tokio::test]
async fn setting_a_node() {
    let line = [
        "nodes",
        "set",
        "db01",
        "--label",
        "zone=a",
        "--unlabel",
        "rack",
    ];
    let call = call(&line, &[], Script::new(vec![OperatorReply::Done], vec![])).await;
    assert_eq!(call.result.expect("an exit code"), Exit::Ok);
    let labels = [
        ("zone".to_owned(), Some("a".to_owned())),
        ("rack".to_owned(), None),
    ]
    .into();
    let request = OperatorRequest::SetNode {
        name: name("db01"),
        roles: None,
        labels,
        address: None,
    };
    assert_eq!(call.asked, [request]);
    let nothing = ["nodes", "set", "db01"];
    let call = self::call(&nothing, &[], Script::default()).await;
    assert_eq!(call.result.expect_err("nothing to set").exit(), Exit::Usage);
}

#[tokio::test]
async fn rendered_files_are_byte_for_byte() {
    let text = "a\x1b[0m\r\nno line end".to_owned();
    let reply = OperatorReply::Rendered {
        text: text.clone(),
        sensitive: true,
    };
    let call = call(
        &["render", "lb01", "/x"],
        &[],
        Script::new(vec![reply], vec![]),
    )
    .await;
    assert_eq!(call.out, text);
    assert_eq!(call.err, "secrets in it are masked\n");
}
