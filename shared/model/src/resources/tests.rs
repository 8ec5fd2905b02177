use serde_json::{Value as Json, json};

use super::*;
use crate::converge::fake::{FakeFile, FakeHost, Scene, check_converges, exit, fake_path, summary};
use crate::converge::{PlanOutcome, ResourceOutcome};
use crate::host::{FileKind, Host, Ownership, ReadHost, UnitVerb};
use crate::resource::{Diff, Impact, Subject};
use crate::time::Timestamp;

#[track_caller]
pub(super) fn check_fails(id: &str, fields: Json, expected: &str) {
    let scene = Scene::new(&[(id, fields)]);
    let errors = scene.try_prepare().err().expect("an error");
    let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(messages.join(" | "), expected);
}

#[track_caller]
pub(super) fn check_plan(host: &FakeHost, id: &str, fields: Json, expected: &[&str]) {
    let plan = Scene::new(&[(id, fields)]).plan(host);
    let outcome = &plan.resources[0].outcome;
    let texts: Vec<_> = match outcome {
        PlanOutcome::Failed(message) => vec![message.as_str()],
        outcome => outcome
            .changes()
            .iter()
            .map(|change| change.text.as_str())
            .collect(),
    };
    assert_eq!(texts, expected);
}

#[test]
fn every_kind_tells_its_fields() {
    for kind in kinds() {
        assert!(!kind.doc.is_empty(), "{}", kind.name);
        for field in kind.path_fields {
            assert!(
                kind.fields.contains(&field.name),
                "{} {}",
                kind.name,
                field.name
            );
        }
    }
    assert_eq!(
        kind("directory").unwrap().fields,
        ["owner", "group", "mode"]
    );
    assert!(kind("file").unwrap().fields.contains(&"validate"));
    assert!(kind("nothing").is_none());
    assert_eq!(capability_list().len(), kinds().len());
    assert_eq!(capabilities(), capabilities());
}

#[test]
fn fields_are_checked_when_read() {
    check_fails(
        "file:/a",
        json!({"content": "", "mode": "rw", "owner": "0"}),
        "`rw` is not a mode: expected 3 or 4 octal digits, as in 0644 | `0` is not the name of a \
         user or group: write the name, not the number",
    );
    check_fails(
        "file:a/b",
        json!({"content": ""}),
        "`a/b` is not an absolute path",
    );
    check_fails(
        "file:/a/../b",
        json!({"content": ""}),
        "`/a/../b` has a `.`, `..` or empty component",
    );
    check_fails(
        "file:/a",
        json!({}),
        "what it holds is missing: give one of `template`, `source` and `content`",
    );
    check_fails(
        "file:/a",
        json!({"content": "", "source": {"$blob": ""}}),
        "it can hold one thing only: give one of `template`, `source` and `content`",
    );
    check_fails(
        "file:/a",
        json!({"content": "", "validate": ["check"]}),
        "`validate` does not name the file to check: write {} where the program takes the file's \
         path",
    );
    let secret = json!({"content": "", "validate": ["x", {"$secret": "s"}, "{}"]});
    check_fails(
        "file:/a",
        secret,
        "a secret cannot be used here: put it into a file by a template; only fields made for \
         secrets take one",
    );
    check_fails(
        "absent:/etc",
        json!({"recursive": true}),
        "removing `/etc` with all that lies in it ends the machine",
    );
    check_fails(
        "absent:/",
        json!({"recursive": true}),
        "removing `/` with all that lies in it ends the machine",
    );
    check_fails(
        "package:a=1",
        json!({}),
        "`a=1` is not the name of a Debian package",
    );
    check_fails(
        "package:ab",
        json!({"version": "1", "upgrade": true}),
        "`upgrade` contradicts `version`",
    );
    check_fails(
        "package:ab",
        json!({"hold": true, "upgrade": true}),
        "`upgrade` contradicts `hold`",
    );
    check_fails(
        "service:a",
        json!({"masked": true, "running": true}),
        "`running` contradicts `masked`",
    );
    check_fails(
        "service:a",
        json!({"restart_on": "file:/x", "reload_on": ["file:/x"]}),
        "`file:/x` is under `restart_on` already, which reloads, too",
    );
    check_fails(
        "service:a",
        json!({"restart_on": ["/x"]}),
        "`/x` does not name a resource: expected `kind:name`, as in `file:/etc/hosts`",
    );
    check_fails(
        "service:../a",
        json!({}),
        "`../a` is not the name of a systemd unit",
    );
    check_fails(
        "drop_in:a.service",
        json!({"content": ""}),
        "which unit it changes, and its own name, is not clear: write `drop_in: UNIT/NAME`, or \
         give both `unit` and `name`",
    );
    check_fails(
        "drop_in:a/b/c",
        json!({"content": ""}),
        "`b/c` is not the name of a drop-in",
    );
    check_fails(
        "user:a:b",
        json!({}),
        "`a:b` is not the name of a user or group: expected letters, \
         digits, `_`, `-` and `.`, starting with a letter",
    );
    check_fails(
        "user:a",
        json!({"comment": "a:b"}),
        "a comment cannot have a colon or a line break",
    );
}

#[test]
fn commands_and_waits_are_checked_when_read() {
    check_fails(
        "command:c",
        json!({"argv": ["c"]}),
        "this command would run every time: say when to run it: `creates`, `unless`, `only_if` or \
         `on_change`",
    );
    check_fails(
        "command:c",
        json!({"argv": ["c"], "creates": "/a", "unless": ["b"]}),
        "only one of `creates`, `unless`, `only_if` and `on_change` decides",
    );
    check_fails(
        "command:c",
        json!({"argv": ["c"], "on_change": []}),
        "`on_change` names nothing to watch",
    );
    check_fails(
        "command:c",
        json!({"argv": ["rm -rf /"], "creates": "/a"}),
        "`rm -rf /` is one word: write each argument as an element of the list, no shell takes it \
         apart",
    );
    check_fails(
        "command:c",
        json!({"argv": [], "creates": "/a"}),
        "the program is missing",
    );
    check_fails(
        "wait_for:w",
        json!({}),
        "what to wait for is not clear: give exactly one of `tcp`, `http` and `command`",
    );
    check_fails(
        "wait_for:w",
        json!({"tcp": "localhost"}),
        "`localhost` is not an address: expected `host:port`",
    );
    check_fails(
        "wait_for:w",
        json!({"http": "ftp://x"}),
        "`ftp://x` is not a URL: expected http://… or https://…",
    );
    check_fails(
        "wait_for:w",
        json!({"tcp": "a:1", "status": 200}),
        "`status` goes with `http`",
    );
    check_fails(
        "wait_for:w",
        json!({"tcp": "a:1", "within": "60"}),
        "`60` is not a length of time: expected a number with its unit, as in 30s",
    );
}

#[test]
fn drift_of_a_file_is_mended_without_writing_it() {
    let mut host = FakeHost::new();
    let fields = json!({"content": "a\n", "mode": "0640"});
    check_plan(&host, "file:/a", fields.clone(), &["create /a"]);
    check_converges(&Scene::new(&[("file:/a", fields.clone())]), &mut host);
    host.files.get_mut(&fake_path("/a")).unwrap().mode = 0o777;
    host.files.get_mut(&fake_path("/a")).unwrap().group = "games".into();
    let drift = ["mode 0777 → 0640", "owner root:games → root:root"];
    check_plan(&host, "file:/a", fields.clone(), &drift);
    host.log.clear();
    check_converges(&Scene::new(&[("file:/a", fields.clone())]), &mut host);
    assert_eq!(host.log, ["chown /a"]);
    host.put("/a", "b\n");
    host.log.clear();
    check_converges(&Scene::new(&[("file:/a", fields)]), &mut host);
    assert_eq!(host.log, ["write /a"]);
}

#[test]
fn what_else_lies_at_a_path() {
    let mut host = FakeHost::new();
    let lay = |host: &mut FakeHost, kind: FileKind| {
        let file = FakeFile {
            kind,
            ..FakeFile::new(b"", Timestamp(0))
        };
        host.files.insert(fake_path("/a"), file);
    };
    let file = json!({"content": "x"});
    lay(&mut host, FileKind::Directory);
    let due = |what: &str, found: &str| {
        format!("cannot have {what} at /a: there is {found}, which Brine does not remove unasked")
    };
    check_plan(
        &host,
        "file:/a",
        file.clone(),
        &[&due("a file", "a directory")],
    );
    check_plan(
        &host,
        "symlink:/a",
        json!({"target": "b"}),
        &[&due("a symbolic link", "a directory")],
    );
    check_plan(
        &host,
        "absent:/a",
        json!({}),
        &[
            "cannot remove /a: it is a directory: `recursive: true` removes it with all that lies in it",
        ],
    );
    lay(
        &mut host,
        FileKind::Symlink {
            target: "/b".into(),
        },
    );
    check_plan(
        &host,
        "file:/a",
        file.clone(),
        &["replace a symbolic link to /b by a file"],
    );
    check_plan(
        &host,
        "directory:/a",
        json!({}),
        &[&due("a directory", "a symbolic link to /b")],
    );
    check_plan(
        &host,
        "symlink:/a",
        json!({"target": "c"}),
        &["target /b → c"],
    );
    check_plan(
        &host,
        "absent:/a",
        json!({}),
        &["remove /a, a symbolic link to /b"],
    );
    let kept = json!({"content": "x", "keep": true});
    check_plan(&host, "file:/a", kept.clone(), &[]);
    lay(&mut host, FileKind::File);
    check_plan(
        &host,
        "symlink:/a",
        json!({"target": "c"}),
        &["replace a file by a link to c"],
    );
    check_plan(&host, "file:/a", kept, &[]);
    check_plan(
        &host,
        "file:/a",
        json!({"content": "x", "keep": true, "mode": "600"}),
        &["mode 0644 → 0600"],
    );
    check_converges(
        &Scene::new(&[("symlink:/a", json!({"target": "c"}))]),
        &mut host,
    );
}

#[test]
fn secrets_are_never_shown() {
    let scene = Scene::new(&[
        ("file:/key", json!({"content": {"$secret": "hunter2"}})),
        (
            "file:/conf",
            json!({"template": {"$blob": "password={{password}}\n"}}),
        ),
        (
            "file:/plain",
            json!({"content": "hunter2", "sensitive": true, "validate": ["check", "{}"]}),
        ),
        (
            "command:c",
            json!({
                "argv": ["login"],
                "environment": {"PASSWORD": {"$secret": "hunter2"}},
                "unless": ["ask"],
            }),
        ),
    ]);
    let scene = scene.context(&json!({"password": {"$secret": "hunter2"}}));
    let mut host = FakeHost::new();
    host.put("/key", "hunter1");
    host.program("check", |_, _| crate::host::ProgramOutput {
        stderr: "bad: hunter2".into(),
        ..exit(1)
    });
    host.program("ask", |_, _| exit(1));
    let plan = scene.plan(&host);
    for planned in &plan.resources[..3] {
        assert_eq!(planned.outcome.changes()[0].diff, Some(Diff::Sensitive));
    }
    let report = scene.apply(&mut host);
    assert_eq!(host.text("/conf").as_deref(), Some("password=hunter2\n"));
    for path in ["/key", "/conf"] {
        assert_eq!(host.files[&fake_path(path)].mode, 0o600);
    }
    let ResourceOutcome::Failed { message, .. } = &report.resources[2].outcome else {
        panic!()
    };
    assert!(message.contains("its output is not shown"), "{message}");

    host.program("check", |_, _| exit(0));
    host.program("login", |program, _| {
        let password = &program.environment["PASSWORD"];
        crate::host::ProgramOutput {
            stderr: format!("wrong: {password}"),
            ..exit(1)
        }
    });
    let failed = scene.apply(&mut host);
    let text = serde_json::to_string(&(&plan, &report, &failed)).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("wrong: (secret)"), "{text}");
}

#[test]
fn templates_are_rendered_when_read() {
    let template = |text: &str| json!({"template": {"$blob": text}});
    let context = json!({"name": "db01"});
    let scene = Scene::new(&[("file:/a", template("I am {{name}}\n"))]).context(&context);
    let mut host = FakeHost::new();
    check_converges(&scene, &mut host);
    assert_eq!(host.text("/a").as_deref(), Some("I am db01\n"));

    let scene = Scene::new(&[("file:/a", template("\n  {{nome}}\n"))]).context(&context);
    let error = scene.try_prepare().err().unwrap().remove(0).message;
    assert!(error.starts_with("template, line 2, column "), "{error}");

    let secret = json!({"name": {"$secret": "s"}});
    let scene = Scene::new(&[("unit:a.service", template("{{name}}"))]).context(&secret);
    let error = scene.try_prepare().err().unwrap().remove(0).message;
    assert!(
        error.starts_with("a unit file cannot hold a secret"),
        "{error}"
    );
}

#[test]
fn the_server_reads_without_materials() {
    let fields = Spanned::from_value(
        Value::from([("template", Value::Blob(Digest::of(b"t")))]),
        crate::span::Span::default(),
    );
    let id = ResourceId::new("file", "/etc/a");
    let resource = kind("file").unwrap().decode(&id, &fields, None).unwrap();
    assert_eq!(resource.subjects(), [Subject::Path(fake_path("/etc/a"))]);
    assert!(resource.plan(&FakeHost::new()).is_err());
}

#[test]
fn packages() {
    use crate::converge::fake::FakePackage;
    let mut host = FakeHost::new();
    host.repository
        .insert("app".into(), FakePackage::new(&["1", "2"]));
    check_plan(&host, "package:app", json!({}), &["install app 2"]);
    check_plan(
        &host,
        "package:app",
        json!({"version": "1", "hold": true}),
        &["install app 1", "hold app"],
    );
    check_converges(
        &Scene::new(&[("package:app", json!({"version": "1", "hold": true}))]),
        &mut host,
    );
    check_plan(&host, "package:app", json!({}), &[]);
    // Held, by whomever: `upgrade` alone does not go over it.
    check_plan(&host, "package:app", json!({"upgrade": true}), &[]);
    let unhold = json!({"upgrade": true, "hold": false});
    check_plan(
        &host,
        "package:app",
        unhold.clone(),
        &["app 1 → 2", "no longer hold app"],
    );
    let plan = Scene::new(&[("package:app", unhold.clone())]).plan(&host);
    assert_eq!(plan.impact(), Impact::Restart);
    check_converges(&Scene::new(&[("package:app", unhold)]), &mut host);
    host.installed.get_mut("app").unwrap().broken = true;
    check_plan(
        &host,
        "package:app",
        json!({}),
        &["finish the installation of app"],
    );
    check_converges(&Scene::new(&[("package:app", json!({}))]), &mut host);
}

#[test]
fn users_and_groups() {
    let mut host = FakeHost::new();
    let user = json!({"uid": 900, "home": "/srv", "groups": ["b", "a"], "comment": "An app"});
    let scene = Scene::new(&[
        ("group:a", json!({})),
        ("group:b", json!({})),
        ("user:u", user),
    ]);
    check_converges(&scene, &mut host);
    assert_eq!(host.users["u"].groups, ["a", "b"]);
    // Further groups are somebody else's business.
    host.users.get_mut("u").unwrap().groups = vec!["a".into(), "wheel".into()];
    host.users.get_mut("u").unwrap().home = "/home/u".into();
    let plan = scene.plan(&host);
    assert_eq!(summary(&plan), ["user:u: home, groups"]);
    check_converges(&scene, &mut host);
    assert_eq!(host.users["u"].groups, ["a", "b", "wheel"]);
    check_plan(
        &host,
        "group:a",
        json!({"gid": 7}),
        &[&format!("gid {} → 7", host.groups["a"].gid)],
    );
}

#[test]
fn commands_run_when_their_guard_says_so() {
    let mut host = FakeHost::new();
    host.program("touch", |program, files| {
        files.insert(
            fake_path(&program.argv[1]),
            FakeFile::new(b"", Timestamp(0)),
        );
        exit(0)
    });
    host.program("missing", |program, files| {
        exit(i32::from(files.contains_key(&fake_path(&program.argv[1]))))
    });
    host.program("there", |program, files| {
        exit(i32::from(!files.contains_key(&fake_path(&program.argv[1]))))
    });
    let scene = Scene::new(&[
        (
            "command:a",
            json!({"argv": ["touch", "/a"], "creates": "/a"}),
        ),
        (
            "command:b",
            json!({"argv": ["touch", "/b"], "unless": ["there", "/b"]}),
        ),
        (
            "command:c",
            json!({"argv": ["touch", "/c"], "only_if": ["missing", "/c"]}),
        ),
        ("file:/d", json!({"content": "d"})),
        (
            "command:d",
            json!({"argv": ["touch", "/e"], "on_change": "file:/d"}),
        ),
    ]);
    check_converges(&scene, &mut host);
    let runs = |host: &FakeHost| {
        host.log
            .iter()
            .filter(|step| step.starts_with("run"))
            .count()
    };
    assert_eq!(runs(&host), 4);
    // A level, not an edge: by the content, not by who changed it.
    host.put("/d", "edited");
    check_converges(&scene, &mut host);
    assert_eq!(runs(&host), 4);
    let changed = Scene::new(&[
        ("file:/d", json!({"content": "new"})),
        (
            "command:d",
            json!({"argv": ["touch", "/e"], "on_change": "file:/d"}),
        ),
    ]);
    check_converges(&changed, &mut host);
    assert_eq!(runs(&host), 5);
    // Another command is another thing to have run.
    let other = Scene::new(&[
        ("file:/d", json!({"content": "new"})),
        (
            "command:d",
            json!({"argv": ["touch", "/f"], "on_change": "file:/d"}),
        ),
    ]);
    check_converges(&other, &mut host);
    assert_eq!(runs(&host), 6);
}

#[test]
fn a_wait_ends_or_says_why() {
    let mut host = FakeHost::new();
    host.holds_from.insert(
        "127.0.0.1:80".into(),
        host.elapsed() + std::time::Duration::from_secs(20),
    );
    let scene = |within: &str| {
        Scene::new(&[(
            "wait_for:web",
            json!({"tcp": "127.0.0.1:80", "within": within}),
        )])
    };
    let report = scene("10s").apply(&mut host);
    let ResourceOutcome::Failed { message, .. } = &report.resources[0].outcome else {
        panic!()
    };
    let expected = "cannot see tcp 127.0.0.1:80 within 10s: 127.0.0.1:80 does not answer";
    assert_eq!(message, expected);
    check_plan(
        &host,
        "wait_for:web",
        json!({"tcp": "127.0.0.1:80"}),
        &["wait up to 60s for tcp 127.0.0.1:80 (now: 127.0.0.1:80 does not answer)"],
    );
    check_converges(&scene("30s"), &mut host);
    check_plan(&host, "wait_for:web", json!({"tcp": "127.0.0.1:80"}), &[]);
    assert_eq!(host.log, [] as [String; 0]);
}

#[test]
fn what_systemd_has_not_read_is_read_even_after_a_crash() {
    let mut host = FakeHost::new();
    let unit = |text: &str| {
        Scene::new(&[
            ("unit:a.service", json!({"content": text})),
            ("service:a", json!({})),
        ])
    };
    check_converges(&unit("one"), &mut host);
    let path = fake_path("/etc/systemd/system/a.service");
    let root = || "root".to_owned();
    let ownership = Ownership {
        mode: 0o644,
        owner: root(),
        group: root(),
    };
    let content = crate::host::Content::Bytes(b"two".to_vec());
    host.write_file(&path, &content, &ownership, None).unwrap();
    assert!(host.unit("a.service").unwrap().need_daemon_reload);
    assert_eq!(
        summary(&unit("two").plan(&host)),
        ["unit:a.service: daemon-reload"]
    );
    assert_eq!(unit("two").plan(&host).impact(), Impact::None);
    // Nobody's unit file, but a service of ours.
    let service = Scene::new(&[("service:a", json!({}))]);
    assert_eq!(summary(&service.plan(&host)), ["service:a: daemon-reload"]);
    check_converges(&unit("two"), &mut host);
}

#[test]
fn services() {
    let mut host = FakeHost::new();
    host.put("/usr/lib/systemd/system/a.service", "");
    check_plan(
        &host,
        "service:a",
        json!({}),
        &["enable a.service", "start a.service"],
    );
    check_plan(
        &host,
        "service:a",
        json!({"enabled": false, "running": false}),
        &[],
    );
    check_plan(
        &host,
        "service:a",
        json!({"masked": true}),
        &["mask a.service"],
    );
    check_converges(&Scene::new(&[("service:a", json!({}))]), &mut host);
    let off = Scene::new(&[("service:a", json!({"enabled": false, "running": false}))]);
    assert_eq!(summary(&off.plan(&host)), ["service:a: disable, stop"]);
    assert_eq!(off.plan(&host).impact(), Impact::Restart);
    check_converges(&off, &mut host);
}

#[test]
fn a_reload_owed_to_what_cannot_reload_is_a_restart() {
    let mut host = FakeHost::new();
    host.put("/usr/lib/systemd/system/a.service", "");
    host.reads("a.service", "/c", false);
    let scene = |text: &str| {
        let file = ("file:/c", json!({"content": text}));
        Scene::new(&[file, ("service:a", json!({"reload_on": "file:/c"}))])
    };
    check_converges(&scene("1"), &mut host);
    let plan = scene("2").plan(&host);
    assert_eq!(summary(&plan), ["file:/c: content", "service:a: restart"]);
    assert_eq!(
        plan.resources[1].outcome.changes()[0].text,
        "restart (it cannot reload) a.service, which does not run on the present file:/c"
    );
    check_converges(&scene("2"), &mut host);
    host.units.get_mut("a.service").unwrap().can_reload = true;
    assert_eq!(
        summary(&scene("3").plan(&host)),
        ["file:/c: content", "service:a: reload"]
    );
    check_converges(&scene("3"), &mut host);
}

#[test]
fn who_edits_and_reloads_by_hand_leaves_no_process_on_the_edited_file() {
    let mut host = FakeHost::new();
    host.put("/usr/lib/systemd/system/a.service", "");
    host.reads("a.service", "/c", false);
    host.units.get_mut("a.service").unwrap().can_reload = true;
    let file = ("file:/c", json!({"content": "1"}));
    let scene = Scene::new(&[file, ("service:a", json!({"reload_on": "file:/c"}))]);
    check_converges(&scene, &mut host);
    host.put("/c", "by hand");
    host.unit_verb("a.service", UnitVerb::Reload).unwrap();
    assert_eq!(
        summary(&scene.plan(&host)),
        ["file:/c: content", "service:a: reload"]
    );
    // Also where somebody puts the file back without us.
    check_converges(&scene, &mut host);
    host.put("/c", "by hand");
    host.unit_verb("a.service", UnitVerb::Reload).unwrap();
    host.put("/c", "1");
    assert_eq!(summary(&scene.plan(&host)), ["service:a: reload"]);
    check_converges(&scene, &mut host);
}

#[test]
fn every_field_of_every_kind_is_asked() {
    for kind in kinds() {
        let Shape::Fields(fields) = (kind.shape)() else {
            panic!("{}: no fields", kind.name)
        };
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, kind.fields, "{}", kind.name);
    }
}
