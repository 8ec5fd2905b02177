use serde_json::{Value as Json, json};

use super::fake::{FakeHost, FakePackage, Scene, check_converges, check_settles, exit, summary};
use super::*;
use crate::host::UnitState;
use crate::resource::{Change, ResourceId};

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

/// A machine that could install `db`, which brings a user, a unit and configuration.
fn host() -> FakeHost {
    let mut host = FakeHost::new();
    let db = FakePackage::new(&["1", "2"])
        .user("db")
        .unit("db.service")
        .file("/etc/db.conf", "x");
    host.repository.insert("db".into(), db);
    host.repository
        .insert("curl".into(), FakePackage::new(&["8"]));
    host
}

#[track_caller]
fn check_plan(host: &FakeHost, resources: &[(&str, Json)], expected: &[&str]) {
    assert_eq!(summary(&Scene::new(resources).plan(host)), expected);
}

#[test]
fn a_fresh_machine_plans_without_red() {
    let resources = [
        ("package:db", json!({"start": false})),
        ("file:/etc/db.conf", json!({"content": "y", "owner": "db"})),
        ("file:/etc/other.conf", json!({"content": "y"})),
        ("drop_in:db.service/limits", json!({"content": "[Service]"})),
        ("service:db", json!({"restart_on": "file:/etc/db.conf"})),
        (
            "command:ready",
            json!({"argv": ["true"], "unless": ["db-ready"]}),
        ),
        ("unit:own.service", json!({"content": "[Service]"})),
        ("service:own", json!({"restart_on": "unit:own.service"})),
    ];
    let mut host = host();
    check_plan(
        &host,
        &resources,
        &[
            "package:db: install",
            "file:/etc/db.conf: after package:db: create",
            "file:/etc/other.conf: create",
            "drop_in:db.service/limits: create, daemon-reload",
            "service:db: after package:db: enable, start",
            "command:ready: after package:db: run",
            "unit:own.service: create, daemon-reload",
            "service:own: after unit:own.service: enable, start",
        ],
    );
    host.program("db-ready", |_, files| {
        exit(i32::from(!files.contains_key(&fake::fake_path("/ready"))))
    });
    host.program("true", |_, files| {
        let ready = fake::FakeFile::new(b"", crate::time::Timestamp(0));
        files.insert(fake::fake_path("/ready"), ready);
        exit(0)
    });
    check_converges(&Scene::new(&resources), &mut host);
    assert!(
        !host.log.contains(&"restart db.service".to_owned()),
        "{:#?}",
        host.log
    );
}

#[test]
fn without_a_package_to_come_what_is_missing_is_an_error() {
    check_plan(
        &host(),
        &[
            ("file:/a", json!({"content": "", "owner": "db"})),
            ("directory:/b", json!({"group": "db"})),
            ("user:u", json!({"group": "db"})),
            ("service:db", json!({})),
            ("service:off", json!({"enabled": false, "running": false})),
            ("service:watch", json!({"restart_on": "file:/nowhere"})),
        ],
        &[
            "file:/a: failed: cannot own /a: there is no user `db`",
            "directory:/b: failed: cannot own /b: there is no group `db`",
            "user:u: failed: cannot set up user u: there is no group `db`",
            "service:db: failed: cannot look after db.service: there is no such unit",
            "service:watch: failed: cannot look after watch.service: there is no such unit",
        ],
    );
}

#[test]
fn accounts_made_earlier_are_known() {
    let resources = [
        ("group:ops", json!({"gid": 900})),
        (
            "user:app",
            json!({"group": "ops", "home": "/srv/app", "shell": "/bin/false"}),
        ),
        (
            "directory:/srv/app",
            json!({"owner": "app", "group": "ops", "mode": "0750"}),
        ),
        (
            "file:/srv/app/x",
            json!({"content": "x", "owner": "app", "group": "ops"}),
        ),
    ];
    let mut host = host();
    let (plan, _) = check_converges(&Scene::new(&resources), &mut host);
    let creates: Vec<_> = resources
        .iter()
        .map(|(id, _)| format!("{id}: create"))
        .collect();
    assert_eq!(summary(&plan), creates);
}

#[test]
fn what_is_known_of_others_packages() {
    // Another formula's package does not blur the accounts that this one makes itself.
    check_plan(
        &host(),
        &[
            ("package:curl", json!({"formula": "base"})),
            ("user:app", json!({})),
            ("file:/x", json!({"content": "x", "owner": "app"})),
            ("absent:/y", json!({})),
        ],
        &[
            "package:curl: install",
            "user:app: create",
            "file:/x: create",
        ],
    );
}

#[test]
fn a_package_may_bring_what_is_to_be_absent() {
    let resources = [
        ("package:db", json!({})),
        ("absent:/etc/db.conf", json!({})),
    ];
    let mut host = host();
    let (plan, _) = check_converges(&Scene::new(&resources), &mut host);
    let expected = [
        "package:db: install",
        "absent:/etc/db.conf: after package:db: remove",
    ];
    assert_eq!(summary(&plan), expected);
    // From then on it is simply not there.
    check_plan(&host, &resources, &[]);
}

#[test]
fn later_resources_see_earlier_ones() {
    let mut host = host();
    for path in ["/old/a", "/old/b", "/watched"] {
        host.put(path, "old");
    }
    host.put("/usr/lib/systemd/system/app.service", "unit");
    host.units.entry("app.service".into()).or_default().enabled = true;
    host.restart_by_hand("app.service");
    let resources = [
        ("absent:/old/a", json!({})),
        ("absent:/old/b", json!({})),
        ("file:/watched", json!({"content": "new"})),
        ("service:app", json!({"restart_on": "file:/watched"})),
        (
            "command:c",
            json!({"argv": ["c"], "on_change": "service:app"}),
        ),
        ("command:d", json!({"argv": ["c"], "creates": "/watched"})),
        ("command:e", json!({"argv": ["c"], "creates": "/old/a"})),
    ];
    check_plan(
        &host,
        &resources,
        &[
            "absent:/old/a: remove",
            "absent:/old/b: remove",
            "file:/watched: content",
            "service:app: restart",
            "command:c: run",
            "command:e: run",
        ],
    );
}

#[test]
fn commands_blur_only_what_requires_them() {
    let mut host = host();
    host.program("init", |_, _| exit(0));
    host.program("ask", |_, _| exit(0));
    let required = json!(["command:init"]);
    check_plan(
        &host,
        &[
            (
                "command:init",
                json!({"argv": ["init"], "creates": "/data"}),
            ),
            ("file:/a", json!({"content": "a"})),
            (
                "file:/data/hba",
                json!({"content": "a", "require": required}),
            ),
            ("service:data", json!({"require": required})),
            (
                "command:ask",
                json!({"argv": ["init"], "unless": ["ask"], "require": required}),
            ),
            (
                "command:alone",
                json!({"argv": ["init"], "unless": ["ask"]}),
            ),
        ],
        &[
            "command:init: run",
            "file:/a: create",
            "file:/data/hba: after command:init: create",
            "service:data: after command:init: enable, start",
            "command:ask: after command:init: run",
        ],
    );
}

#[test]
fn the_approval_binds() {
    let scene = Scene::new(&[
        ("file:/a", json!({"content": "a"})),
        ("file:/b", json!({"content": "b"})),
    ]);
    let mut host = host();
    host.put("/a", "a");
    let approval = scene.plan(&host).approval();
    host.put("/a", "changed since");
    let report = apply(
        &scene.prepared(),
        Part::WHOLE,
        Some(&approval),
        &mut host,
        &mut Silent,
    );
    let outcomes: Vec<_> = report
        .resources
        .iter()
        .map(|applied| &applied.outcome)
        .collect();
    assert!(
        matches!(outcomes[0], ResourceOutcome::NotApproved(changes) if changes[0].verb == "content")
    );
    assert_eq!(
        *outcomes[1],
        ResourceOutcome::Skipped {
            after: id("file:/a")
        }
    );
    assert_eq!(host.text("/a").as_deref(), Some("changed since"));
    assert_eq!(host.text("/b"), None);
}

#[test]
fn what_an_approval_covers() {
    let change = |verb: &str| Change::new(verb, "");
    let check = |outcome: PlanOutcome, covered: &[&str], refused: &[&str]| {
        let planned = Planned {
            id: id("k:x"),
            formula: "f".parse().unwrap(),
            outcome,
        };
        let plan = Plan {
            resources: vec![planned],
            released: Vec::new(),
        };
        for verb in covered {
            assert!(
                plan.approval().covers(&id("k:x"), &[change(verb)]),
                "{verb}"
            );
        }
        for verb in refused {
            assert!(
                !plan.approval().covers(&id("k:x"), &[change(verb)]),
                "{verb}"
            );
        }
    };
    let changes = |verbs: &[&str]| verbs.iter().map(|verb| change(verb)).collect::<Vec<_>>();
    check(
        PlanOutcome::InSync,
        &["wait", "daemon-reload"],
        &["content", "restart"],
    );
    check(
        PlanOutcome::Changes(changes(&["create"])),
        &["create", "content", "mode"],
        &["remove"],
    );
    check(
        PlanOutcome::Changes(changes(&["content"])),
        &["content"],
        &["mode", "create"],
    );
    check(
        PlanOutcome::Changes(changes(&["restart"])),
        &["reload"],
        &["stop", "enable"],
    );
    check(
        PlanOutcome::Changes(changes(&["reload", "start"])),
        &["start"],
        &["restart", "unmask"],
    );
    let after = |verbs: &[&str]| PlanOutcome::After {
        resource: id("k:y"),
        intent: changes(verbs),
    };
    check(
        after(&["enable", "start"]),
        &["restart", "reload", "unmask"],
        &["stop", "mask"],
    );
    check(
        after(&["disable", "stop"]),
        &["stop"],
        &["start", "restart"],
    );
}

#[test]
fn adjacent_packages_are_one_transaction() {
    let scene = Scene::new(&[
        ("package:db", json!({"version": "1"})),
        ("package:nowhere", json!({})),
        ("package:curl", json!({})),
        ("file:/x", json!({"content": ""})),
    ]);
    let mut host = host();
    let report = scene.apply(&mut host);
    let outcomes: Vec<_> = report
        .resources
        .iter()
        .map(|applied| &applied.outcome)
        .collect();
    // The transaction is refused as a whole, and each tells.
    for outcome in &outcomes[..3] {
        let ResourceOutcome::Failed { message, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(message, "cannot install nowhere: apt knows no such package");
    }
    assert_eq!(
        *outcomes[3],
        ResourceOutcome::Skipped {
            after: id("package:db")
        }
    );

    host.repository
        .insert("nowhere".into(), FakePackage::new(&["1"]));
    host.log.clear();
    check_converges(&scene, &mut host);
    let steps: Vec<_> = host
        .log
        .iter()
        .map(|step| step.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        steps[..6],
        [
            "unpack",
            "unpack",
            "unpack",
            "configure",
            "configure",
            "configure"
        ]
    );
}

#[test]
fn a_transaction_ends_before_what_is_not_approved() {
    let scene = Scene::new(&[
        ("package:curl", json!({})),
        ("package:db", json!({})),
        ("package:last", json!({})),
    ]);
    let mut host = host();
    host.repository
        .insert("last".into(), FakePackage::new(&["1"]));
    let mut approval = scene.plan(&host).approval();
    approval.0.remove(&id("package:db"));
    let report = apply(
        &scene.prepared(),
        Part::WHOLE,
        Some(&approval),
        &mut host,
        &mut Silent,
    );
    let outcomes: Vec<_> = report
        .resources
        .iter()
        .map(|applied| &applied.outcome)
        .collect();
    assert!(matches!(outcomes[0], ResourceOutcome::Changed(_)));
    assert!(matches!(outcomes[1], ResourceOutcome::NotApproved(_)));
    assert_eq!(
        *outcomes[2],
        ResourceOutcome::Skipped {
            after: id("package:db")
        }
    );
    assert!(!host.installed.contains_key("db"));
}

#[test]
fn what_is_left_is_a_failure() {
    let mut host = host();
    host.program("lazy", |_, _| exit(0));
    let scene = Scene::new(&[("command:c", json!({"argv": ["lazy"], "creates": "/made"}))]);
    let report = scene.apply(&mut host);
    let ResourceOutcome::Failed { message, .. } = &report.resources[0].outcome else {
        panic!("{report:?}")
    };
    let expected = "still differs after apply: run `lazy`: /made does not exist";
    assert_eq!(message, expected);
}

#[test]
fn cancel_takes_effect_between_two_resources() {
    struct After(usize, Vec<String>);
    impl Observer for After {
        fn started(&mut self, index: usize, total: usize, id: &ResourceId) {
            self.1.push(format!("{index}/{total} {id}"));
        }
        fn finished(&mut self, _: &ResourceId, _: &ResourceOutcome) {
            self.0 -= 1;
        }
        fn cancelled(&self) -> bool {
            self.0 <= 2
        }
    }
    let file = json!({"content": ""});
    let files = [
        ("file:/a", file.clone()),
        ("file:/b", file.clone()),
        ("file:/c", file),
    ];
    let scene = Scene::new(&files);
    let mut observer = After(3, Vec::new());
    let report = apply(
        &scene.prepared(),
        Part::WHOLE,
        None,
        &mut host(),
        &mut observer,
    );
    assert!(matches!(
        report.resources[0].outcome,
        ResourceOutcome::Changed(_)
    ));
    assert_eq!(report.resources[1].outcome, ResourceOutcome::Cancelled);
    assert_eq!(report.resources[2].outcome, ResourceOutcome::Cancelled);
    assert_eq!(observer.1, ["0/3 file:/a"]);
}

#[test]
fn effects_never_leave() {
    let secret = json!({"content": {"$secret": "hunter2"}});
    let scene = Scene::new(&[("file:/key", secret), ("package:curl", json!({}))]);
    let mut host = host();
    let plan = scene.plan(&host);
    let report = scene.apply(&mut host);
    let changed = |outcome: &ResourceOutcome| match outcome {
        ResourceOutcome::Changed(changes) => changes.clone(),
        _ => Vec::new(),
    };
    let planned = plan
        .resources
        .iter()
        .flat_map(|planned| planned.outcome.changes().to_vec());
    let applied = report
        .resources
        .iter()
        .flat_map(|applied| changed(&applied.outcome));
    let all: Vec<_> = planned.chain(applied).collect();
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|change| change.effects.is_empty()));
    let digest = crate::digest::Digest::of(b"hunter2").to_string();
    let text = serde_json::to_string(&(plan, report)).unwrap();
    assert!(
        !text.contains("hunter2") && !text.contains(&digest),
        "{text}"
    );
}

#[test]
fn newer_kinds_and_fields_need_a_newer_agent() {
    let scene = Scene::new(&[
        ("teleport:x", json!({})),
        (
            "file:/a",
            json!({"content": "", "colour": "red", "shape": "round"}),
        ),
        ("file:b", json!({})),
    ]);
    let errors = scene.try_prepare().err().unwrap();
    let errors: Vec<_> = errors
        .iter()
        .map(|e| format!("{} {}", e.resource, e.message))
        .collect();
    assert_eq!(
        errors,
        [
            "teleport:x this agent does not know resources of kind `teleport`: it needs a newer agent",
            "file:/a this agent does not know `colour` of `file`: it needs a newer agent",
            "file:/a this agent does not know `shape` of `file`: it needs a newer agent",
            "file:b `b` is not an absolute path",
        ]
    );
}

#[test]
fn released_is_what_nobody_owns_any_more() {
    let file = json!({"content": ""});
    let old = Scene::new(&[
        ("file:/kept", file.clone()),
        ("file:/removed", file.clone()),
        ("file:/left", file.clone()),
        ("service:gone", json!({})),
        ("package:gone", json!({})),
        ("absent:/z", json!({})),
        ("command:c", json!({"argv": ["c"], "creates": "/c"})),
        ("drop_in:a.service/b", json!({"content": ""})),
    ]);
    let new = Scene::new(&[
        ("file:/kept", json!({"content": "other"})),
        ("absent:/removed", json!({})),
        ("file:/etc/systemd/system/a.service.d/b.conf", file),
    ]);
    let released: Vec<_> = released(&old.catalog, &new.catalog)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(released, ["file:/left", "service:gone", "package:gone"]);
}

#[test]
fn an_adopted_machine_is_left_alone() {
    let mut host = host();
    host.put("/etc/app.conf", "x");
    host.put("/usr/lib/systemd/system/app.service", "unit");
    host.units.entry("app.service".into()).or_default().enabled = true;
    host.reads("app.service", "/etc/app.conf", true);
    host.restart_by_hand("app.service");
    let scene = Scene::new(&[
        ("file:/etc/app.conf", json!({"content": "x"})),
        ("service:app", json!({"restart_on": ["file:/etc/app.conf"]})),
    ]);
    assert!(scene.plan(&host).in_sync());
    let before = host.units["app.service"].process.clone();
    assert_eq!(scene.apply(&mut host).changed(), 0);
    assert_eq!(host.log, ["record app.service"]);
    assert_eq!(host.units["app.service"].process, before);
    // Watching one thing more is no reason either.
    host.put("/etc/more.conf", "y");
    host.restart_by_hand("app.service");
    check_settles_after_one(&mut host);
}

fn check_settles_after_one(host: &mut FakeHost) {
    let scene = Scene::new(&[
        ("file:/etc/app.conf", json!({"content": "x"})),
        ("file:/etc/more.conf", json!({"content": "y"})),
        (
            "service:app",
            json!({"restart_on": ["file:/etc/app.conf", "file:/etc/more.conf"]}),
        ),
    ]);
    assert_eq!(scene.apply(host).changed(), 0);
    check_settles(&scene, host);
}

#[test]
fn a_package_kept_stopped_waits_for_its_service() {
    let scene = Scene::new(&[
        ("package:db", json!({"start": false})),
        ("file:/etc/db.conf", json!({"content": "ours"})),
        (
            "service:db",
            json!({"restart_on": ["file:/etc/db.conf", "package:db"]}),
        ),
    ]);
    let mut host = host();
    host.reads("db.service", "/etc/db.conf", true);
    check_converges(&scene, &mut host);
    let started = host
        .log
        .iter()
        .filter(|step| *step == "start db.service")
        .count();
    assert_eq!((started, host.needless.len()), (1, 0), "{:#?}", host.log);
    // Masked by hand: unmasked first, and it says so.
    host.units.get_mut("db.service").unwrap().process = None;
    crate::host::Host::unit_verb(&mut host, "db.service", crate::host::UnitVerb::Mask).unwrap();
    assert_eq!(
        summary(&scene.plan(&host)),
        ["service:db: unmask, enable, start"]
    );
    check_converges(&scene, &mut host);
    // Asked to be masked.
    let scene = Scene::new(&[("service:db", json!({"masked": true}))]);
    assert_eq!(summary(&scene.plan(&host)), ["service:db: stop, mask"]);
    check_converges(&scene, &mut host);
    let state = crate::host::ReadHost::unit(&host, "db.service").unwrap();
    let expected = UnitState {
        load: "masked".into(),
        active: "inactive".into(),
        ..state.clone()
    };
    assert_eq!(state, expected);
}

/// A running service, applied once, that watches a file.
fn watched(content: &str) -> (FakeHost, Scene) {
    let mut host = host();
    host.put("/usr/lib/systemd/system/app.service", "unit");
    host.reads("app.service", "/c", true);
    let scene = Scene::new(&[
        ("file:/c", json!({"content": content})),
        ("service:app", json!({"restart_on": "file:/c"})),
    ]);
    check_converges(&scene, &mut host);
    (host, scene)
}

#[test]
fn what_changes_behind_our_back_is_not_noted_as_read() {
    let (mut host, scene) = watched("one");
    let prepared = scene.prepared();
    let service = prepared.resource(&id("service:app")).unwrap();
    let record = host.records["app.service"].clone();
    // Between the plan that found it in sync and the note of that.
    host.put("/c", "two");
    service
        .confirm(&mut known::Known {
            prepared: &prepared,
            host: &mut host,
        })
        .unwrap();
    assert_eq!(host.records["app.service"], record);
    // Started by somebody else before our start.
    let start = service.intent();
    host.records.clear();
    service
        .apply(
            &start,
            &mut known::Known {
                prepared: &prepared,
                host: &mut host,
            },
        )
        .unwrap();
    assert!(host.records.is_empty());
    let known = known::Known {
        prepared: &prepared,
        host: &mut host,
    };
    let left = service.plan(&known).unwrap();
    assert_eq!(
        left.iter()
            .map(|change| change.verb.as_str())
            .collect::<Vec<_>>(),
        ["restart"]
    );
}

#[test]
fn what_watches_a_failure_is_not_in_sync() {
    let (host, _) = watched("one");
    check_plan(
        &host,
        &[
            ("file:/c", json!({"content": "one", "owner": "nobody"})),
            ("service:app", json!({"restart_on": "file:/c"})),
        ],
        &[
            "file:/c: failed: cannot own /c: there is no user `nobody`",
            "service:app: after file:/c: enable, start",
        ],
    );
}

#[test]
fn a_package_kept_stopped_for_good() {
    let scene = Scene::new(&[
        ("package:db", json!({"start": false})),
        ("service:db", json!({"enabled": false, "running": false})),
    ]);
    let mut host = host();
    check_converges(&scene, &mut host);
    assert!(!host.units["db.service"].enabled);
    assert!(
        !host.log.iter().any(|step| step.starts_with("start")),
        "{:#?}",
        host.log
    );
}

#[test]
fn a_service_that_watches_a_service() {
    let (mut host, _) = watched("one");
    host.put("/usr/lib/systemd/system/client.service", "unit");
    let scene = |content: &str| {
        Scene::new(&[
            ("file:/c", json!({"content": content})),
            ("service:app", json!({"restart_on": "file:/c"})),
            ("service:client", json!({"restart_on": "service:app"})),
        ])
    };
    check_converges(&scene("one"), &mut host);
    for forget in [false, true] {
        if forget {
            host.records.clear();
        }
        let content = format!("two {forget}");
        let (plan, _) = check_converges(&scene(&content), &mut host);
        let expected = [
            "file:/c: content",
            "service:app: restart",
            "service:client: restart",
        ];
        assert_eq!(summary(&plan), expected);
    }
    // A reboot starts both, in whatever order; nothing is restarted for that but what is older.
    host.reboot();
    let from = host.log.len();
    check_converges(&scene("two true"), &mut host);
    assert!(host.log.len() - from <= 4, "{:#?}", &host.log[from..]);
}

#[test]
fn a_guard_that_cannot_start_yet_is_no_error() {
    let mut host = host();
    host.program("/opt/tool", |_, _| exit(1));
    let unless = |argv: &str| json!({"argv": ["x"], "unless": [argv]});
    check_plan(
        &host,
        &[("command:a", unless("nothing"))],
        &["command:a: failed: cannot run nothing: there is no such program"],
    );
    check_plan(
        &host,
        &[
            ("user:app", json!({})),
            (
                "file:/usr/local/bin/ask",
                json!({"content": "#!/bin/sh\n", "mode": "0755"}),
            ),
            ("command:a", unless("/usr/local/bin/ask")),
            ("command:b", unless("/opt/tool")),
            (
                "command:c",
                json!({"argv": ["x"], "unless": ["no-such"], "user": "app"}),
            ),
        ],
        &[
            "user:app: create",
            "file:/usr/local/bin/ask: create",
            "command:a: after file:/usr/local/bin/ask: run",
            "command:b: run",
            "command:c: after user:app: run",
        ],
    );
}
