use serde_json::{Value as Json, json};

use super::super::tests::{check_fails, check_plan};
use crate::converge::ResourceOutcome;
use crate::converge::fake::{
    FakeFile, FakeHost, FakePackage, FakeRequest, Files, Scene, check_converges, fake_path, summary,
};
use crate::host::{HttpAnswer, ReadHost};
use crate::live::LiveFacts;
use crate::time::Timestamp;
use crate::value::Value;

const CLUSTER: &str = "/fake/patroni";
const OPTIONS: &str = "/data/postmaster.opts";
const OWN: &str = "http://127.0.0.1:8008";

/// Three members seen from `own`; db01 leads, db03 is the synchronous standby. All run with
/// `max_connections=100`.
fn cluster(own: &str) -> FakeHost {
    let mut host = FakeHost::new();
    let member = || json!({"started": "first", "back_at": 0, "lag": 0, "answers": true});
    let state = json!({
        "own": own,
        "leader": "db01",
        "sync": "db03",
        "fit_at": 0,
        "config": {
            "ttl": 30,
            "loop_wait": 3,
            "postgresql": {"use_slots": true, "parameters": {"max_connections": 100}},
        },
        "members": {"db01": member(), "db02": member(), "db03": member()},
    });
    host.put(CLUSTER, &state.to_string());
    host.put(
        OPTIONS,
        "postgres \"-D\" \"/data\" \"--max_connections=100\"",
    );
    host.put("/data/PG_VERSION", "15\n");
    host.serve(|request, files, now| Some(answer(request, files, now.as_secs())));
    host
}

fn state(files: &Files) -> Json {
    let file = files.get(&fake_path(CLUSTER)).expect("the test made it");
    serde_json::from_slice(&file.content).expect("JSON")
}

fn put(files: &mut Files, path: &str, content: &str) {
    let file = FakeFile::new(content.as_bytes(), Timestamp(0));
    files.insert(fake_path(path), file);
}

fn change(host: &mut FakeHost, edit: impl FnOnce(&mut Json)) {
    let mut now = state(&host.files);
    edit(&mut now);
    host.put(CLUSTER, &now.to_string());
}

fn connections(host: &mut FakeHost, number: u32) {
    change(host, |now| {
        now["config"]["postgresql"]["parameters"]["max_connections"] = json!(number);
    });
}

fn say(status: u16, body: impl ToString) -> HttpAnswer {
    let body = body.to_string();
    HttpAnswer { status, body }
}

fn answer(request: &FakeRequest<'_>, files: &mut Files, now: u64) -> HttpAnswer {
    let mut state = state(files);
    let own = state["own"].as_str().expect("a name").to_owned();
    if request.method == "GET" {
        let path = request.url.strip_prefix(OWN);
        let remote = request
            .url
            .strip_prefix("http://")
            .and_then(|url| url.split_once(':'));
        return match (path, remote) {
            (Some("/patroni"), _) => say(200, member(&state, &own, now)),
            (Some("/cluster"), _) => say(200, members(&state, now)),
            (Some("/config"), _) => say(200, &state["config"]),
            (None, Some((name, "8008/patroni"))) if state["members"][name]["answers"] == true => {
                say(200, member(&state, name, now))
            }
            _ => say(503, "silence"),
        };
    }
    if request.credentials != Some("patroni:hunter2") {
        return say(401, "not authenticated");
    }
    let body: Json = serde_json::from_str(request.body.expect("a body")).expect("JSON");
    let answer = match request.url.strip_prefix(OWN).expect("our own") {
        "/config" => {
            merge(&mut state["config"], &body);
            say(200, &state["config"])
        }
        "/restart" => {
            start(&mut state, files, &own, now);
            say(200, "restarted successfully")
        }
        "/reinitialize" => {
            assert_ne!(state["leader"], own.as_str());
            start(&mut state, files, &own, now + 60);
            say(200, "reinitialize started")
        }
        "/switchover" => {
            assert_eq!(body["leader"], state["leader"]);
            if now < state["fit_at"].as_u64().expect("seconds") {
                return say(412, "candidate name does not match with sync_standby");
            }
            start(&mut state, files, &own, now + 5);
            state["leader"] = body["candidate"].clone();
            state["sync"] = json!(own);
            say(200, "Successfully switched over")
        }
        other => panic!("{other}"),
    };
    put(files, CLUSTER, &state.to_string());
    answer
}

/// PostgreSQL starts with what the configuration says.
fn start(state: &mut Json, files: &mut Files, name: &str, now: u64) {
    let wanted = state["config"]["postgresql"]["parameters"]["max_connections"].clone();
    let member = &mut state["members"][name];
    member["started"] = json!(format!("at {now}"));
    member["back_at"] = json!(now + 3);
    member["pending"] = json!(false);
    put(
        files,
        OPTIONS,
        &format!("postgres \"--max_connections={wanted}\""),
    );
}

fn runs(state: &Json, name: &str, now: u64) -> bool {
    state["members"][name]["back_at"].as_u64().expect("seconds") <= now
}

fn member(state: &Json, name: &str, now: u64) -> Json {
    let member = &state["members"][name];
    let leads = state["leader"] == name;
    let mut own = json!({
        "state": if runs(state, name, now) { "running" } else { "starting" },
        "role": if leads { "master" } else { "replica" },
        "postmaster_start_time": member["started"],
        "timeline": 1,
        "database_system_identifier": "7268616322854375442",
        "dcs_last_seen": now / 3 * 3,
        "patroni": {"version": "3.0.2", "scope": "demo"},
    });
    if leads {
        let replicas = state["members"].as_object().expect("a map").keys();
        let streams = replicas.filter(|other| *other != name && runs(state, other, now));
        let row = |name: &String| json!({"application_name": name, "state": "streaming"});
        own["replication"] = streams.map(row).collect();
    }
    if member["pending"] == true {
        own["pending_restart"] = json!(true);
    }
    if state["sync"] == name {
        own["sync_standby"] = json!(true);
    }
    own
}

fn members(state: &Json, now: u64) -> Json {
    let rows = state["members"]
        .as_object()
        .expect("a map")
        .iter()
        .map(|(name, member)| {
            let role = match name {
                name if state["leader"] == name.as_str() => "leader",
                name if state["sync"] == name.as_str() => "sync_standby",
                _ => "replica",
            };
            let mut row = json!({
                "name": name,
                "role": role,
                "state": if runs(state, name, now) { "running" } else { "starting" },
                "api_url": format!("http://{name}:8008/patroni"),
            });
            if role != "leader" {
                row["lag"] = member["lag"].clone();
            }
            row
        });
    json!({"members": rows.collect::<Vec<_>>()})
}

fn merge(into: &mut Json, patch: &Json) {
    for (key, value) in patch.as_object().expect("a map") {
        if value.is_object() && into[key].is_object() {
            merge(&mut into[key], value);
        } else if value.is_null() {
            into.as_object_mut().expect("a map").remove(key);
        } else {
            into[key] = value.clone();
        }
    }
}

fn fields() -> Json {
    json!({"user": "patroni", "password": {"$secret": "hunter2"}, "data": "/data"})
}

fn id(name: &str) -> String {
    format!("patroni_member:{name}")
}

fn scene(name: &str) -> Scene {
    Scene::new(&[(&id(name), fields())])
}

#[track_caller]
fn check(host: &FakeHost, name: &str, texts: &[&str]) {
    check_plan(host, &id(name), fields(), texts);
}

/// What was asked for since, in order.
fn sent(host: &FakeHost) -> Vec<&str> {
    let asked = host.log.iter().filter_map(|step| step.split_once(OWN));
    asked.map(|(_, path)| path).collect()
}

fn config(parameters: Json) -> Json {
    let mut fields = fields();
    let map = fields.as_object_mut().expect("a map");
    map.remove("data");
    map.insert("parameters".to_owned(), parameters);
    fields
}

const CONFIG: &str = "patroni_config:demo";

#[test]
fn the_configuration_is_patched_and_taken_in() {
    let mut host = cluster("db02");
    let mut fields = config(json!({"max_connections": "200", "work_mem": "8MB"}));
    fields["settings"] = json!({"ttl": "30", "synchronous_mode": true});
    let text = "max_connections 100 → 200, work_mem = 8MB, synchronous_mode = true";
    check_plan(&host, CONFIG, fields.clone(), &[text]);
    let before = host.clock;
    check_converges(&Scene::new(&[(CONFIG, fields)]), &mut host);
    assert_eq!(sent(&host), ["/config"]);
    assert!(host.clock - before > 3_000_000_000, "two looks of each");
    let config = &state(&host.files)["config"];
    assert_eq!(config["postgresql"]["use_slots"], true, "left alone");
    check_plan(
        &host,
        CONFIG,
        self::config(json!({"max_connections": 200})),
        &[],
    );
    let gone = self::config(json!({"work_mem": null}));
    check_plan(&host, CONFIG, gone.clone(), &["without work_mem"]);
    check_converges(&Scene::new(&[(CONFIG, gone)]), &mut host);
}

#[test]
fn a_configuration_that_is_not_taken() {
    let mut host = cluster("db02");
    let mut fields = config(json!({"max_connections": 200}));
    fields["password"] = json!("hunter1");
    let failed = |host: &mut FakeHost, fields: &Json| {
        let report = Scene::new(&[(CONFIG, fields.clone())]).apply(host);
        match &report.resources[0].outcome {
            ResourceOutcome::Failed { message, .. } => message.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        failed(&mut host, &fields),
        "cannot change Patroni's configuration: Patroni answers 401: are `user` and `password` \
         those of its REST API? not authenticated"
    );
    fields["password"] = json!("hunter2");
    // It runs, says the cluster, but its API is out.
    change(&mut host, |now| {
        now["members"]["db03"]["answers"] = json!(false)
    });
    let why = failed(&mut host, &fields);
    assert!(
        why.contains("http://db03:8008/patroni: Patroni answers 503"),
        "{why}"
    );
    for (field, value, why) in [
        ("settings", json!(1), "`settings` maps names to values"),
        (
            "settings",
            json!({"a": {"$secret": "s"}}),
            "a secret would lie in etcd for everybody to read: give it to Patroni in its \
             configuration file",
        ),
        (
            "settings",
            json!({"postgresql": {"parameters": {"a": 1}}}),
            "settings of PostgreSQL are given here, too: `parameters` is for them",
        ),
        (
            "parameters",
            json!({}),
            "no setting is given: what is there to hold?",
        ),
        (
            "api",
            json!("https://x"),
            "`https://x` is not a URL: expected http://…",
        ),
    ] {
        let mut wrong = fields.clone();
        wrong[field] = value;
        check_fails(CONFIG, wrong, why);
    }
}

#[test]
fn a_replica_is_restarted() {
    let mut host = cluster("db02");
    check(&host, "db02", &[]);
    connections(&mut host, 200);
    check(
        &host,
        "db02",
        &["restart PostgreSQL: max_connections 100 → 200"],
    );
    check_converges(&scene("db02"), &mut host);
    assert_eq!(sent(&host), ["/restart"]);
    // What only Patroni knows of.
    change(&mut host, |now| {
        now["members"]["db02"]["pending"] = json!(true)
    });
    check(
        &host,
        "db02",
        &["restart PostgreSQL: a setting waits for it"],
    );
    let mut never = fields();
    never["restart"] = json!("never");
    check_plan(&host, &id("db02"), never, &[]);
}

#[test]
fn a_leader_hands_over_first_when_a_setting_grows() {
    let mut host = cluster("db01");
    connections(&mut host, 200);
    let text = "restart PostgreSQL, after handing over to db03: max_connections 100 → 200";
    check(&host, "db01", &[text]);
    // Patroni takes a moment to see that a replica is fit.
    change(&mut host, |now| now["fit_at"] = json!(1015));
    check_converges(&scene("db01"), &mut host);
    let asked = sent(&host);
    assert!(
        asked.len() > 1 && asked.iter().all(|path| *path == "/switchover"),
        "{asked:?}"
    );
    assert_eq!(state(&host.files)["leader"], "db03");
}

#[test]
fn a_leader_is_restarted_in_place_when_a_setting_shrinks_or_nobody_could_take_over() {
    let mut host = cluster("db01");
    connections(&mut host, 50);
    let text = "restart PostgreSQL, in place as the leader: max_connections 100 → 50";
    check(&host, "db01", &[text]);
    check_converges(&scene("db01"), &mut host);
    assert_eq!(sent(&host), ["/restart"]);
    assert_eq!(state(&host.files)["leader"], "db01");

    let mut host = cluster("db01");
    connections(&mut host, 200);
    for name in ["db02", "db03"] {
        change(&mut host, |now| {
            now["members"][name]["back_at"] = json!(1_000_000)
        });
    }
    let text = "restart PostgreSQL, in place as the leader: max_connections 100 → 200";
    check(&host, "db01", &[text]);
    check_converges(&scene("db01"), &mut host);
    assert_eq!(sent(&host), ["/restart"]);
}

#[test]
fn dying_on_the_way_costs_no_second_switchover() {
    for late in [false, true] {
        for step in 1..=2 {
            let mut host = cluster("db01");
            connections(&mut host, 200);
            host.crash_at(step, late);
            scene("db01").apply(&mut host);
            host.revive();
            check_converges(&scene("db01"), &mut host);
            let done = sent(&host);
            assert_eq!(done, ["/switchover"], "{step} {late}");
        }
    }
}

#[test]
fn a_member_that_does_not_come_back() {
    let mut host = cluster("db02");
    connections(&mut host, 200);
    host.serve(|request, files, now| {
        let mut said = answer(request, files, now.as_secs());
        // It starts, and never gets any further.
        if request.url.ends_with("/patroni") {
            said.body = said.body.replace("running", "starting");
        }
        Some(said)
    });
    change(&mut host, |now| {
        now["members"]["db02"]["pending"] = json!(true)
    });
    let report = scene("db02").apply(&mut host);
    let text = format!("{:?}", report.stopped_at());
    assert!(
        text.contains("cannot see db02 back within 120 s: it is a replica, starting, and does not take part (leader: db01)"),
        "{text}"
    );
}

fn act(host: &mut FakeHost, name: &str, action: &str) -> String {
    let scene = scene(name);
    let prepared = scene.prepared();
    let resource = prepared.resource(&id(name).parse().unwrap()).unwrap();
    resource
        .act(action, host)
        .unwrap_or_else(|error| error.to_string())
}

#[test]
fn actions() {
    let mut host = cluster("db01");
    let done = act(&mut host, "db01", "restart");
    assert_eq!(done, "db01: handed over to db03, which restarted it");
    let done = act(&mut host, "db01", "switchover");
    assert_eq!(done, "db01: it does not lead: nothing to hand over");
    assert_eq!(
        act(&mut host, "db01", "restart"),
        "db01: restarted PostgreSQL"
    );
    let before = host.clock;
    assert_eq!(
        act(&mut host, "db01", "reinit"),
        "db01: copied the leader's data anew"
    );
    assert!(
        host.clock - before > 60_000_000_000,
        "it waited for the copy"
    );

    let mut host = cluster("db01");
    let why = "cannot reinitialise db01: it is the leader: its data is what the others copy";
    assert_eq!(act(&mut host, "db01", "reinit"), why);
    assert_eq!(
        act(&mut host, "db01", "switchover"),
        "db01: handed over to db03"
    );
    assert!(act(&mut host, "db01", "dance").contains("no such action"));

    let mut host = cluster("db01");
    host.put("/etc/systemd/system/patroni.service", "[Service]\n");
    host.restart_by_hand("patroni.service");
    assert_eq!(
        act(&mut host, "db01", "leave"),
        "db01: handed over to db03, then stopped for good"
    );
    assert!(!host.unit("patroni.service").unwrap().is_active());
    // Once more, as after a lost answer: nobody is there to ask any more.
    assert_eq!(act(&mut host, "db01", "leave"), "db01: stopped for good");
}

#[track_caller]
fn check_live(host: &FakeHost, name: &str, expected: &[(&str, Value)]) {
    let mut scene = scene(name);
    // As they come with a policy.
    scene.catalog.resources[0].fields.remove("password");
    let told = LiveFacts::ask(&scene.catalog.resources, host);
    assert_eq!(told.failures, [] as [String; 0]);
    let facts: Vec<_> = told.facts.into_values().flatten().collect();
    let expected = expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    assert_eq!(facts, expected.collect::<Vec<_>>());
}

#[test]
fn live_facts() {
    let mut host = cluster("db01");
    connections(&mut host, 50);
    let leader = |shrinking: bool| {
        [
            ("formed", true.into()),
            ("pending_restart", shrinking.into()),
            ("role", "leader".into()),
            ("shrinking", shrinking.into()),
            ("state", "running".into()),
            ("streaming", true.into()),
            ("sync_standby", false.into()),
            ("timeline", Value::Integer(1)),
        ]
    };
    check_live(&host, "db01", &leader(true));
    connections(&mut host, 100);
    check_live(&host, "db01", &leader(false));

    let mut host = cluster("db03");
    change(&mut host, |now| now["members"]["db03"]["lag"] = json!(7));
    let replica = |streaming: bool, state: &str| {
        [
            ("formed", true.into()),
            ("lag", Value::Integer(7)),
            ("pending_restart", false.into()),
            ("role", "replica".into()),
            ("shrinking", false.into()),
            ("state", state.into()),
            ("streaming", streaming.into()),
            ("sync_standby", true.into()),
            ("timeline", Value::Integer(1)),
        ]
    };
    check_live(&host, "db03", &replica(true, "running"));
    change(&mut host, |now| {
        now["members"]["db03"]["back_at"] = json!(1_000_000)
    });
    check_live(&host, "db03", &replica(false, "starting"));

    // Nobody answers, and there is no database: nothing was formed here.
    let mut host = FakeHost::new();
    check_live(&host, "db01", &[("formed", false.into())]);
    // With one, nobody knows whose it is.
    host.put("/data/PG_VERSION", "15\n");
    let told = LiveFacts::ask(&scene("db01").catalog.resources, &host);
    assert_eq!(told.holds("test.formed"), Ok(None));
    assert_eq!(told.failures.len(), 1);
}

#[test]
fn a_bare_machine_is_planned_without_failing() {
    let mut host = FakeHost::new();
    let patroni = FakePackage::new(&["1"]).unit("patroni.service");
    host.repository.insert("patroni".into(), patroni);
    let member = id("db01");
    let scene = Scene::new(&[
        ("package:patroni", json!({"start": false})),
        ("service:patroni", json!({})),
        (CONFIG, config(json!({"max_connections": 200}))),
        (&member, fields()),
        ("postgres_role:app", json!({"password": {"$secret": "x"}})),
        ("postgres_database:app", json!({"owner": "app"})),
    ]);
    assert_eq!(
        summary(&scene.plan(&host)),
        [
            "package:patroni: install",
            "service:patroni: after package:patroni: enable, start",
            "patroni_config:demo: after service:patroni: patch",
            "patroni_member:db01: after service:patroni: restart",
            "postgres_role:app: after service:patroni: create, alter, password",
            "postgres_database:app: after service:patroni: create, owner",
        ]
    );
    // Where nothing is to start it, silence is a failure.
    let silent = Scene::new(&[(&member, fields())]).plan(&host);
    assert_eq!(silent.failures().count(), 1);
}
