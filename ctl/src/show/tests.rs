//! Every screen, as it is drawn without colours.

use std::io;
use std::time::Duration;

use brine_model::converge::{PlanOutcome, ResourceOutcome};
use brine_model::diagnostic::{Diagnostic, Label};
use brine_model::digest::Digest;
use brine_model::facts::{Cpu, Facts, Os};
use brine_model::resource::{Diff, Impact};
use brine_transport::client::ConnectError;
use brine_wire::operator::{
    Answer, Enrollment, NodeDetail, Paused, Refusal, Status, TokenInfo, Why,
};
use brine_wire::run::{Happening, NodeState, Output, RunDetail, RunKind, RunPhase};
use insta::assert_snapshot;

use super::style::Style;
use crate::client::ClientError;
use crate::error::{CtlError, UsageError};
use crate::saved::SavedError;
use crate::settings::SettingsError;
use crate::testing::{
    before, change, changes, id, info, name, node, plan, planned, progress, report, run, state,
    style, with_diff, with_impact,
};
use crate::{json, show};

fn planned_run() -> RunDetail {
    let cfg = |maxconn: u32| {
        let text =
            format!("@@ -1,3 +1,3 @@\n global\n-  maxconn 1000\n+  maxconn {maxconn}\n\tdaemon\n");
        changes(
            "file:/etc/haproxy/haproxy.cfg",
            &[
                with_diff(
                    change("content", "content of /etc/haproxy/haproxy.cfg"),
                    Diff::Text(text),
                ),
                change("mode", "mode 0600 → 0644"),
            ],
        )
    };
    let reload = || {
        let text = "reload, for /etc/haproxy/haproxy.cfg is newer";
        changes(
            "service:haproxy",
            &[with_impact(change("reload", text), Impact::Reload)],
        )
    };
    let key = changes(
        "file:/etc/key",
        &[with_diff(
            change("content", "content of /etc/key"),
            Diff::Sensitive,
        )],
    );
    let logo = changes(
        "file:/logo.png",
        &[with_diff(
            change("create", "create /logo.png"),
            Diff::Binary {
                before: None,
                after: 5120,
            },
        )],
    );
    let upgrade = changes(
        "package:openssl",
        &[with_impact(
            change("upgrade", "openssl 3.0.1 → 3.0.2"),
            Impact::Restart,
        )],
    );
    let fresh = [
        changes(
            "package:haproxy",
            &[change("install", "install haproxy 2.6.12-1")],
        ),
        planned(
            "service:haproxy",
            PlanOutcome::After {
                resource: id("package:haproxy"),
                intent: vec![change("enable", "enable"), change("start", "start")],
            },
        ),
    ];
    let in_sync = || planned("package:haproxy", PlanOutcome::InSync);
    let nodes = ["lb01", "lb02", "lb03", "lb04", "lb05"].map(|n| node(n, NodeState::Planned, None));
    let mut run = run(RunKind::Plan, RunPhase::Succeeded, &nodes);
    run.plans = vec![
        (name("lb01"), plan(&[in_sync(), cfg(2000), reload(), key])),
        (
            name("lb02"),
            plan(&[in_sync(), cfg(2000), reload(), logo, upgrade]),
        ),
        (name("lb03"), plan(&fresh)),
        (name("lb04"), plan(&[in_sync()])),
        (name("lb05"), plan(&[in_sync()])),
    ];
    run.plans[3].1.released = vec![id("file:/etc/old.cfg")];
    run
}

#[test]
fn plan_groups_what_is_the_same() {
    assert_snapshot!(show::plan::plan(&planned_run(), style()));
}

#[test]
fn plan_in_colours() {
    assert_snapshot!(show::plan::plan(
        &planned_run(),
        Style {
            color: true,
            ..style()
        }
    ));
}

#[test]
fn plan_as_json() {
    let text = serde_json::to_string_pretty(&json::run(&planned_run())).expect("JSON");
    assert_snapshot!(text);
}

#[test]
fn plan_with_failures_and_the_unreachable() {
    let nodes = [
        node("db01", NodeState::Planned, None),
        node("db02", NodeState::SkippedUnreachable, Some("silent for 3m")),
        node(
            "db03",
            NodeState::Failed,
            Some("the agent cannot decode `etcd_member`: it needs 0.2"),
        ),
    ];
    let mut run = run(RunKind::Plan, RunPhase::Failed, &nodes);
    let why =
        "render the template: line 3, column 7: `maxcon` is not known\ndid you mean `maxconn`?";
    run.plans = vec![(
        name("db01"),
        plan(&[planned("file:/x", PlanOutcome::Failed(why.to_owned()))]),
    )];
    run.summary.reason = Some("2 of 3 nodes cannot be planned".to_owned());
    let text = show::plan::plan(&run, style()) + &show::runs::ending(&run.summary, style());
    assert_snapshot!(text);
    assert!(show::plan::has_failures(&run));
}

#[test]
fn hostile_text_is_spelled_out() {
    let mut run = run(RunKind::Plan, RunPhase::Succeeded, &[]);
    let diff = Diff::Text("@@ -1 +1 @@\n-a\r\n+\x1b[1A\x1b[2Kb\u{202e}\n".to_owned());
    let hidden = with_diff(change("content", "\x1b]0;title\x07mode"), diff);
    run.plans = vec![
        (name("a"), plan(&[changes("file:/\x1b[8m", &[hidden])])),
        (
            name("b"),
            plan(&[planned(
                "x:y",
                PlanOutcome::Failed("\u{9b}2J\nline".to_owned()),
            )]),
        ),
    ];
    assert_snapshot!(show::plan::plan(&run, style()));
}

#[test]
fn apply_with_a_failure() {
    let nodes = [
        node("lb01", NodeState::Changed, None),
        node("lb02", NodeState::Failed, Some("package:haproxy failed")),
        node("lb03", NodeState::Failed, Some("package:haproxy failed")),
        node("lb04", NodeState::Untouched, None),
        node("lb05", NodeState::SkippedUnreachable, Some("silent for 3m")),
    ];
    let mut run = run(RunKind::Apply, RunPhase::Failed, &nodes);
    let failed = || {
        let message = "install haproxy: exit status: 100\nE: Unable to locate package haproxy";
        report(&[
            ("package:curl", ResourceOutcome::InSync),
            (
                "package:haproxy",
                ResourceOutcome::Failed {
                    message: message.to_owned(),
                    changes: vec![change("install", "install haproxy")],
                },
            ),
            (
                "file:/x",
                ResourceOutcome::Skipped {
                    after: id("package:haproxy"),
                },
            ),
            (
                "service:haproxy",
                ResourceOutcome::Skipped {
                    after: id("package:haproxy"),
                },
            ),
        ])
    };
    let done = report(&[
        ("package:curl", ResourceOutcome::InSync),
        (
            "package:haproxy",
            ResourceOutcome::Changed(vec![change("install", "install haproxy")]),
        ),
    ]);
    run.reports = vec![
        (name("lb01"), done),
        (name("lb02"), failed()),
        (name("lb03"), failed()),
    ];
    run.summary.reason = Some("lb02 failed; lb04 was not reached".to_owned());
    run.summary.target = "role=balancer and not node=lb09".to_owned();
    assert_snapshot!(show::apply::summary(&run, style()));
    assert_snapshot!(
        "apply_as_json",
        serde_json::to_string_pretty(&json::run(&run)).expect("JSON")
    );
}

#[test]
fn apply_that_would_take_more_than_approved() {
    let mut run = run(
        RunKind::Apply,
        RunPhase::Failed,
        &[node("lb01", NodeState::Failed, None)],
    );
    let more = vec![change("restart", "restart, for the unit is new")];
    run.reports = vec![(
        name("lb01"),
        report(&[("service:haproxy", ResourceOutcome::NotApproved(more))]),
    )];
    assert_snapshot!(show::apply::summary(&run, style()));
}

#[test]
fn apply_cancelled() {
    let nodes = [
        node("lb01", NodeState::Changed, None),
        node("lb02", NodeState::Untouched, None),
    ];
    let mut run = run(RunKind::Apply, RunPhase::Cancelled, &nodes);
    run.summary.reason = Some("cancelled by admin".to_owned());
    run.reports = vec![(
        name("lb01"),
        report(&[
            ("file:/a", ResourceOutcome::Changed(Vec::new())),
            ("file:/b", ResourceOutcome::Cancelled),
        ]),
    )];
    assert_snapshot!(show::runs::detail(&run, false, style()));
}

#[test]
fn apply_reverted() {
    let nodes = [
        node("lb01", NodeState::Reverted, Some("lb02 failed")),
        node("lb02", NodeState::Failed, Some("not healthy within 30s")),
        node("lb03", NodeState::Between, None),
    ];
    let run = run(RunKind::Apply, RunPhase::Failed, &nodes);
    assert_snapshot!(show::apply::summary(&run, style()));
}

#[test]
fn action() {
    let nodes = [
        node("web01", NodeState::Changed, None),
        node("web02", NodeState::Changed, None),
        node("web03", NodeState::Failed, Some("exit code 2")),
        node("web04", NodeState::Failed, Some("did not become healthy")),
        node("web05", NodeState::Untouched, Some("web03 failed")),
    ];
    let mut run = run(RunKind::Action, RunPhase::Failed, &nodes);
    let output = |code, stdout: &str, stderr: &str| Output {
        code,
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    };
    run.outputs = vec![
        (name("web01"), output(0, "6.1.0\x1b[2J\n", "")),
        (name("web02"), output(0, "6.1.0\x1b[2J\n", "")),
        (name("web03"), output(2, "", "uname: no\n")),
        (name("web04"), output(0, "", "")),
    ];
    run.summary.reason = Some("web03 failed; web04 was not reached".to_owned());
    assert_snapshot!(show::runs::detail(&run, false, style()));
}

#[test]
fn left_behind() {
    let with_role = |name: &str, role: &str| {
        let mut node = info(name, true);
        node.roles = vec![role.parse().expect("a role")];
        node
    };
    let behind = show::behind::Behind {
        now: vec![
            with_role("balancer01", "balancer"),
            with_role("balancer02", "balancer"),
        ],
        still: vec![with_role("db01", "db"), with_role("web01", "web")],
    };
    assert_snapshot!(show::behind::behind(&behind, style()));
    assert_eq!(
        show::behind::behind(&show::behind::Behind::default(), style()),
        ""
    );
}

fn fleet() -> Status {
    let mut behind = info("lb01", true);
    behind.newest = Some(Digest::of(b"new"));
    behind.generation = 2;
    behind.paused = Some(Paused {
        until: before(-7300),
        reason: Some("disk is being replaced".to_owned()),
    });
    let mut silent = info("lb02", false);
    silent.drifted = 2;
    let mut waiting = info("web01", false);
    waiting.enrollment = Enrollment::Waiting {
        fingerprint: "1f3a-77c0".to_owned(),
    };
    (waiting.applied, waiting.agent_version, waiting.last_seen) = (None, None, None);
    let mut expected = info("db01", false);
    expected.enrollment = Enrollment::Expected;
    expected.labels.insert("zone".to_owned(), "a".to_owned());
    (expected.applied, expected.newest, expected.last_seen) = (None, None, None);
    (expected.address, expected.agent_version) = (None, None);
    Status {
        server_version: "0.1.0".to_owned(),
        snapshot: "4f2e1c9a8b7d (git 1a2b3c4)".to_owned(),
        nodes: vec![expected, behind, silent, info("lb03", true), waiting],
        runs: vec![run(RunKind::Apply, RunPhase::Applying, &[]).summary],
        diagnostics: vec![typo()],
    }
}

fn typo() -> Diagnostic {
    let text = "formula: haproxy\nparameters:\n  maxcon: 2000\n";
    let label = |start: u32, end: u32, message: &str| Label {
        file: "formulas/haproxy/formula.yaml".into(),
        start,
        end,
        text: text.into(),
        message: message.to_owned(),
    };
    Diagnostic::error("unknown parameter `maxcon`")
        .with_label(label(31, 37, "not a parameter of `haproxy`"))
        .with_label(Label {
            file: "roles/balancer.yaml".into(),
            text: "role: balancer\nformulas: [haproxy]\n".into(),
            ..label(26, 33, "used here")
        })
        .with_help("did you mean `maxconn`?")
}

#[test]
fn status() {
    assert_snapshot!(show::status::status(&fleet(), style()));
    let text = serde_json::to_string_pretty(&json::status(&fleet())).expect("JSON");
    assert_snapshot!("status_as_json", text);
}

#[test]
fn drift() {
    let row = |node: &str, resource: &str, state: &str, how: &str, diff: Option<&str>| {
        vec![
            node.into(),
            resource.into(),
            state.into(),
            show::time::rfc3339(before(90)).into(),
            how.into(),
            "base".into(),
            diff.map(str::to_owned).into(),
        ]
    };
    let columns = [
        "node", "resource", "state", "since", "how", "formula", "diff",
    ];
    let hostile = "content\u{1b}[31m of {{7*7}}";
    let answer = Answer {
        columns: columns.map(str::to_owned).to_vec(),
        rows: vec![
            row(
                "db01",
                "file:/etc/motd",
                "drifted",
                hostile,
                Some("@@ -1 +1 @@\n-a\n+b\n"),
            ),
            row(
                "db01",
                "service:etcd",
                "needs a run",
                "restart etcd.service",
                None,
            ),
            row("db02", "catalog", "unknown", "it was begun", None),
        ],
        truncated: false,
        reports: Vec::new(),
    };
    assert_snapshot!(show::drift::drift(&answer, true, style()));
    let none = Answer {
        rows: Vec::new(),
        ..answer
    };
    assert_snapshot!("no_drift", show::drift::drift(&none, true, style()));
}

#[test]
fn nodes() {
    assert_snapshot!(show::nodes::nodes(&fleet().nodes, style()));
    assert_snapshot!("no_nodes", show::nodes::nodes(&[], style()));
}

#[test]
fn one_node() {
    let facts = Facts {
        os: Os {
            name: "Debian GNU/Linux 12 \x1b[5m".to_owned(),
            ..Os::default()
        },
        cpu: Cpu {
            count: 4,
            model: "QEMU".to_owned(),
        },
        ..Facts::default()
    };
    let detail = NodeDetail {
        info: fleet().nodes.swap_remove(1),
        facts: Some(facts),
        facts_at: Some(before(61)),
        runs: vec![run(RunKind::Apply, RunPhase::Succeeded, &[]).summary],
        resources: vec!["package:haproxy".to_owned(), "service:haproxy".to_owned()],
        diagnostics: Vec::new(),
    };
    assert_snapshot!(show::node::node(&detail, style()));
}

#[test]
fn tokens() {
    let token = TokenInfo {
        id: "3f9a".to_owned(),
        roles: vec![name("backend")],
        names: "backend*".to_owned(),
        uses_left: 19,
        expires: before(-3600),
    };
    assert_snapshot!(show::tokens::tokens(&[token], style()));
}

#[test]
fn findings() {
    let broken = Label {
        file: "x.yaml".into(),
        start: 900,
        end: 2,
        text: "é\x1b[2J: 1\n".into(),
        message: String::new(),
    };
    let found = [
        typo(),
        Diagnostic::warning("role `cache` has no members \x1b[31m"),
        Diagnostic::error("an offset beyond the end").with_label(broken),
    ];
    let text = show::diagnostics::list(&found, style())
        + &show::diagnostics::verdict(&found, 12, "states", style())
        + &show::diagnostics::verdict(&found[1..2], 1, "states", style())
        + &show::diagnostics::verdict(&[], 12, "states", style());
    assert_snapshot!(text);
}

#[test]
fn progress_lines() {
    let mut board = show::live::Board::default();
    let events = [
        state(1, "lb01", NodeState::Applying),
        state(2, "web-long-name", NodeState::Pending),
        progress("lb01", 3, 12, "package:haproxy"),
        progress("unknown", 3, 12, "package:haproxy"),
    ];
    let mut lines = String::new();
    for event in &events {
        board.take(&event.what);
        lines += &show::live::event(&event.what, style()).unwrap_or_default();
    }
    let note = Happening::Note("waiting for run 11 to release \x1b[1mbalancer/haproxy".to_owned());
    lines += &show::live::event(&note, style()).expect("a line");
    for node in ["lb01", "web-long-name"] {
        lines += &format!("{}\n", board.line(&name(node), style()));
    }
    lines += &board.sum();
    assert_snapshot!(lines);
}

#[test]
fn errors() {
    let refused = |why, message: &str, help: &str| {
        CtlError::Refused(Refusal {
            why,
            message: message.to_owned(),
            help: Some(help.to_owned()).filter(|help| !help.is_empty()),
        })
    };
    let (server, address) = (
        "brine:4640".to_owned(),
        "10.0.0.1:4640".parse().expect("an address"),
    );
    let connect = |error| CtlError::Client(ClientError::Connect(error));
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    let errors = [
        UsageError::EmptyTarget { verb: "apply" }.into(),
        UsageError::ManyWords {
            verb: "apply",
            joined: "role=db and not node=db03".to_owned(),
        }
        .into(),
        SettingsError::Missing(vec![
            "/etc/brine/ctl.json".into(),
            "/root/.config/brine/ctl.json".into(),
        ])
        .into(),
        SettingsError::Read {
            path: "/etc/brine/ctl.json".into(),
            source: denied,
        }
        .into(),
        SettingsError::Exposed {
            path: "/etc/brine/ctl.json".into(),
            mode: 0o644,
        }
        .into(),
        refused(
            Why::Conflict,
            "run 11 of admin holds balancer/haproxy\nit is at lb02 (2 of 3)",
            "wait for it with --wait, or end it: `ctl runs cancel 11`",
        ),
        refused(Why::NotFound, "no node is called `db9`", ""),
        refused(Why::Forbidden, "operator `guest` may not apply", ""),
        refused(Why::Internal, "the store is full", ""),
        connect(ConnectError::NoAnswer {
            server: server.clone(),
            address,
            after: Duration::from_secs(5),
        }),
        connect(ConnectError::Refused {
            server: server.clone(),
            address,
        }),
        connect(ConnectError::Untrusted {
            server: server.clone(),
            address,
            by_us: true,
            why: "unknown authority".to_owned(),
        }),
        connect(ConnectError::Version {
            server,
            address,
            protocol: "brine-ctl/1".to_owned(),
        }),
        ClientError::Unexpected.into(),
        UsageError::NothingStopped.into(),
        SavedError::Format {
            path: "db.plan".into(),
            format: 2,
        }
        .into(),
        refused(
            Why::Conflict,
            "the plan is stale: db01 has another catalog by now",
            "plan again",
        ),
        CtlError::Invalid(vec![typo()]),
    ];
    let mut text = String::new();
    for error in &errors {
        let exit = error.exit();
        text += &show::failure::failure(error, style());
        text += &format!("[{} {exit:?}]\n\n", exit.code());
    }
    assert_snapshot!(text);
    assert_snapshot!("error_as_json", json::error(&errors[5]).to_string());
}
