use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::tests::{check_fails, check_plan};
use crate::converge::fake::{
    FakeFile, FakeHost, FakePackage, Files, Scene, check_converges, exit, fake_path, summary,
};
use crate::host::{Host, Program, ProgramOutput, ReadHost};
use crate::live::LiveFacts;
use crate::value::Value;

const CLUSTER: &str = "/fake/etcd";
const DATA: &str = "/var/lib/etcd/main/member";
const JOIN: &str = "/etc/default/etcd-join";

/// A cluster seen from db02: its members, and who answers.
///
/// `members`: `id`, `name`, `peer`, `started`, `learner`. `answers`: the peers do.
/// `runs`: etcd of db02 does. `catching_up`: so many promotions fail. `settling`: so many additions.
fn cluster(host: &mut FakeHost, members: Json) {
    let state = json!({
        "members": members, "answers": true, "runs": false, "catching_up": 0, "quorum": true,
    });
    host.put(CLUSTER, &state.to_string());
    host.program("etcdctl", etcdctl);
}

fn state(files: &Files) -> Json {
    let file = files.get(&fake_path(CLUSTER)).expect("the test made it");
    serde_json::from_slice(&file.content).expect("JSON")
}

fn change(host: &mut FakeHost, edit: impl FnOnce(&mut Json)) {
    let mut now = state(&host.files);
    edit(&mut now);
    host.put(CLUSTER, &now.to_string());
}

fn etcdctl(program: &Program, files: &mut Files) -> ProgramOutput {
    assert_eq!(program.environment["ETCDCTL_API"], "3");
    let mut now = state(files);
    let say = |json: &Json| ProgramOutput {
        stdout: json.to_string(),
        ..exit(0)
    };
    let fail = |words: &str| ProgramOutput {
        stderr: format!("{{\"level\":\"warn\"}}\nError: {words}\n"),
        ..exit(1)
    };
    let argv: Vec<&str> = program.argv.iter().map(String::as_str).collect();
    let endpoints: Vec<&str> = argv[1]
        .trim_start_matches("--endpoints=")
        .split(',')
        .collect();
    let own = |endpoint: &str| endpoint.contains("10.0.0.2");
    let ours = |member: &Json| member["peer"] == "http://10.0.0.2:2380";
    let members = now["members"].as_array().expect("a list").clone();
    let answers = now["answers"] == json!(true);
    let verb = &argv[4..];
    if let ["member", ..] = verb {
        assert!(
            !endpoints.iter().any(|e| own(e)),
            "learners know no members"
        );
        if !answers {
            return fail("context deadline exceeded");
        }
    }
    match verb {
        ["member", "list", "-w", "json"] => {
            let shown = members.iter().map(|member| {
                let mut shown = json!({"ID": member["id"], "peerURLs": [member["peer"]]});
                if member["name"] != "" {
                    shown["name"] = member["name"].clone();
                }
                if member["started"] == true {
                    shown["clientURLs"] = json!(["http://somewhere:2379"]);
                }
                shown
            });
            say(&json!({"header": {}, "members": shown.collect::<Vec<_>>()}))
        }
        ["member", "remove", id] => {
            let id = u64::from_str_radix(id, 16).expect("hexadecimal");
            let left: Vec<_> = members.iter().filter(|m| m["id"] != id).cloned().collect();
            assert!(left.len() < members.len(), "no such member");
            now["members"] = json!(left);
            files.insert(fake_path(CLUSTER), file(&now));
            exit(0)
        }
        ["member", "add", _, "--learner", urls] => {
            let peer = urls.trim_start_matches("--peer-urls=");
            if members.iter().any(|member| member["peer"] == peer) {
                return fail("etcdserver: Peer URLs already exists");
            }
            let left = now["settling"].as_u64().unwrap_or_default();
            if left > 0 {
                now["settling"] = json!(left - 1);
                files.insert(fake_path(CLUSTER), file(&now));
                return fail("Error: etcdserver: unhealthy cluster");
            }
            let mut members = members.clone();
            members.push(json!({
                "id": 0xf00d, "name": "", "peer": peer, "started": false, "learner": true,
            }));
            now["members"] = json!(members);
            files.insert(fake_path(CLUSTER), file(&now));
            exit(0)
        }
        ["member", "promote", id] => {
            let id = u64::from_str_radix(id, 16).expect("hexadecimal");
            let left = now["catching_up"].as_u64().expect("a number");
            now["catching_up"] = json!(left.saturating_sub(1));
            if left == 0 {
                let mut promoted = members.clone();
                for member in promoted.iter_mut().filter(|member| member["id"] == id) {
                    member["learner"] = json!(false);
                }
                now["members"] = json!(promoted);
            }
            files.insert(fake_path(CLUSTER), file(&now));
            match left {
                0 => exit(0),
                _ => fail(
                    "etcdserver: can only promote a learner member which is in sync with leader",
                ),
            }
        }
        ["endpoint", "status", "-w", "json"] => {
            let Some(member) = members.iter().find(|m| ours(m) && now["runs"] == true) else {
                return fail("context deadline exceeded");
            };
            let mut status = json!({"header": {"member_id": member["id"]}, "leader": 1});
            if member["learner"] == true {
                status["isLearner"] = json!(true);
            }
            say(&json!([{"Endpoint": endpoints[0], "Status": status}]))
        }
        ["endpoint", "health", "-w", "json"] => {
            let health = endpoints.iter().map(|endpoint| {
                let votes = members.iter().any(|m| ours(m) && m["learner"] != true);
                let up = match own(endpoint) {
                    true => now["runs"] == true && votes,
                    false => answers,
                };
                json!({"endpoint": endpoint, "health": up && now["quorum"] == true})
            });
            let health: Vec<_> = health.collect();
            let all = health.iter().all(|endpoint| endpoint["health"] == true);
            ProgramOutput {
                code: i32::from(!all),
                ..say(&json!(health))
            }
        }
        other => panic!("{other:?}"),
    }
}

fn file(state: &Json) -> FakeFile {
    FakeFile::new(state.to_string().as_bytes(), crate::time::Timestamp(0))
}

fn member(id: u64, number: u8, started: bool) -> Json {
    json!({
        "id": id,
        "name": format!("db0{number}"),
        "peer": format!("http://10.0.0.{number}:2380"),
        "started": started,
        "learner": false,
    })
}

fn fields(generation: u32) -> Json {
    let peer = |number: u8| {
        // As the members of a role come, with more than is asked for.
        json!({
            "name": format!("db0{number}"), "address": format!("10.0.0.{number}"), "labels": {},
        })
    };
    json!({
        "token": "demo-1",
        "generation": generation,
        "peers": [peer(1), peer(2), peer(3)],
        "address": "10.0.0.2",
        "data": "/var/lib/etcd/main",
        "join_file": JOIN,
    })
}

const ID: &str = "etcd_member:db02";

fn scene(generation: u32) -> Scene {
    Scene::new(&[(ID, fields(generation))])
}

fn voter_fields(generation: u32) -> Json {
    let mut fields = fields(generation);
    let map = fields.as_object_mut().expect("a map");
    map.remove("data");
    map.remove("join_file");
    fields
}

/// etcd starts for the first time, as it was told.
fn start(host: &mut FakeHost) {
    let join = host.text(JOIN).expect("a join file");
    let name = join
        .lines()
        .find_map(|line| line.strip_prefix("ETCD_NAME="));
    let name = name.expect("a name").to_owned();
    change(host, |now| {
        now["runs"] = json!(true);
        let members = now["members"].as_array_mut().expect("a list");
        if !members.iter().any(|m| m["peer"] == "http://10.0.0.2:2380") {
            assert!(join.contains("STATE=new"));
            members.push(member(2, 2, false));
        }
        for member in members
            .iter_mut()
            .filter(|m| m["peer"] == "http://10.0.0.2:2380")
        {
            assert_eq!(member["started"], false, "it has been started before");
            (member["name"], member["started"]) = (json!(name), json!(true));
        }
    });
    host.put(DATA, "");
}

fn live(host: &FakeHost) -> Vec<(String, Value)> {
    let told = LiveFacts::ask(&scene(0).catalog.resources, host);
    assert_eq!(told.failures, [] as [String; 0]);
    let facts = told.facts.into_values().flatten();
    facts.collect()
}

#[track_caller]
fn check_live(host: &FakeHost, expected: &[(&str, Value)]) {
    let expected = expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    assert_eq!(live(host), expected.collect::<Vec<_>>());
}

fn names(host: &FakeHost) -> Vec<String> {
    let members = state(&host.files)["members"]
        .as_array()
        .expect("a list")
        .clone();
    let text = |member: &Json| member["name"].as_str().expect("text").to_owned();
    members.iter().map(text).collect()
}

#[test]
fn founders() {
    let mut host = FakeHost::new();
    cluster(&mut host, json!([]));
    change(&mut host, |now| now["answers"] = json!(false));
    check_live(&host, &[("formed", false.into()), ("voting", false.into())]);
    let text = "found a new cluster together with db01, db03, none of whom answers";
    check_plan(&host, ID, fields(0), &[text]);
    // Where nobody even accepts a connection, etcdctl is not waited for.
    let mut empty = host.clone();
    for peer in ["10.0.0.1:2379", "10.0.0.3:2379"] {
        empty.holds_from.insert(peer.to_owned(), Duration::MAX);
    }
    empty.observed.set(0);
    check_plan(&empty, ID, fields(0), &[text]);
    assert_eq!(empty.observed.get(), 0);
    check_converges(&scene(0), &mut host);
    let expected = "# For the first start: once there is data, only the name counts.\n\
                    ETCD_NAME=db02\n\
                    ETCD_INITIAL_CLUSTER=db01=http://10.0.0.1:2380,db02=http://10.0.0.2:2380,\
                    db03=http://10.0.0.3:2380\n\
                    ETCD_INITIAL_CLUSTER_STATE=new\n\
                    ETCD_INITIAL_CLUSTER_TOKEN=demo-1\n";
    assert_eq!(host.text(JOIN).as_deref(), Some(expected));

    // It runs and waits for the others: still nothing is formed.
    host.put(DATA, "");
    check_live(&host, &[("formed", false.into()), ("voting", false.into())]);
    check_converges(&scene(0), &mut host);

    // The others have come.
    change(&mut host, |now| {
        now["answers"] = json!(true);
        now["runs"] = json!(true);
        now["members"] = json!([member(1, 1, true), member(2, 2, true), member(3, 3, true)]);
    });
    check_live(
        &host,
        &[
            ("formed", true.into()),
            ("leader", false.into()),
            ("learner", false.into()),
            ("members", Value::Integer(3)),
            ("voting", true.into()),
        ],
    );
    let mark = "etcd_member:db02/founding";
    let founding = host.mark(mark).unwrap();
    scene(0).apply(&mut host);
    assert_ne!(host.mark(mark).unwrap(), founding, "seen to work");
    check_converges(&scene(0), &mut host);

    // Later all are gone: that does not make it unformed.
    change(&mut host, |now| {
        now["answers"] = json!(false);
        now["runs"] = json!(false);
    });
    check_live(&host, &[("voting", false.into())]);
}

#[test]
fn a_founder_that_is_late() {
    let mut host = FakeHost::new();
    cluster(&mut host, json!([]));
    change(&mut host, |now| now["answers"] = json!(false));
    scene(0).apply(&mut host);
    // The other two have formed it meanwhile: it is listed, and has not run.
    change(&mut host, |now| {
        now["answers"] = json!(true);
        now["members"] = json!([member(1, 1, true), member(2, 2, false), member(3, 3, true)]);
    });
    check_plan(&host, ID, fields(0), &[]);
    start(&mut host);
    check_plan(&host, ID, fields(0), &[]);
}

#[test]
fn a_new_member_joins_as_a_learner() {
    let mut host = FakeHost::new();
    cluster(&mut host, json!([member(1, 1, true), member(3, 3, true)]));
    check_plan(
        &host,
        ID,
        fields(0),
        &["join the cluster of db01, db03 as a learner"],
    );
    // Another change of its members was seconds ago.
    change(&mut host, |now| now["settling"] = json!(2));
    let before = host.clock;
    check_converges(&scene(0), &mut host);
    assert!(host.clock - before >= 4_000_000_000, "it waited");
    let join = host.text(JOIN).unwrap();
    assert!(join.contains("ETCD_NAME=db02\n") && join.contains("STATE=existing\n"));
    assert!(join.contains(
        "CLUSTER=db01=http://10.0.0.1:2380,db03=http://10.0.0.3:2380,db02=http://10.0.0.2:2380\n"
    ));
    start(&mut host);
    check_converges(&scene(0), &mut host);
    check_live(
        &host,
        &[
            ("formed", true.into()),
            ("leader", false.into()),
            ("learner", true.into()),
            ("members", Value::Integer(3)),
            ("voting", false.into()),
        ],
    );
    let voter = Scene::new(&[("etcd_voter:db02", voter_fields(0))]);
    let text = "promote the learner to a full member once it has caught up";
    check_plan(&host, "etcd_voter:db02", voter_fields(0), &[text]);
    change(&mut host, |now| now["catching_up"] = json!(3));
    let before = host.clock;
    check_converges(&voter, &mut host);
    assert!(host.clock - before >= 6_000_000_000, "it waited");
    check_plan(&host, "etcd_voter:db02", voter_fields(0), &[]);
}

#[test]
fn a_learner_that_never_catches_up() {
    let mut host = FakeHost::new();
    let mut learner = member(2, 2, true);
    learner["learner"] = json!(true);
    cluster(&mut host, json!([member(1, 1, true), learner]));
    change(&mut host, |now| {
        now["runs"] = json!(true);
        now["catching_up"] = json!(10_000);
    });
    let report = Scene::new(&[("etcd_voter:db02", voter_fields(0))]).apply(&mut host);
    let text = format!("{:?}", report.stopped_at());
    assert!(text.contains("in sync with leader"), "{text}");
}

#[test]
fn a_replaced_machine_takes_the_place_of_the_dead_one() {
    let mut host = FakeHost::new();
    let members = || json!([member(1, 1, true), member(2, 2, true), member(3, 3, true)]);
    cluster(&mut host, members());
    let why = "cannot have db02 join its cluster: the cluster has it as `db02` (2) already, but \
               /var/lib/etcd/main is empty and the machine was not replaced. Bring the data back, \
               or have it start anew: `ctl nodes replace db02`";
    check_plan(&host, ID, fields(0), &[why]);
    let text =
        "join the cluster of db01, db03 as a learner, for which the dead `db02` (2) is removed";
    check_plan(&host, ID, fields(1), &[text]);
    // Dies anywhere: in the end there is one of it, and it is the new one.
    for late in [false, true] {
        for step in 1..=4 {
            let mut host = host.clone();
            host.crash_at(step, late);
            assert!(!scene(1).apply(&mut host).succeeded());
            assert!(host.revive());
            check_converges(&scene(1), &mut host);
            start(&mut host);
            check_converges(&scene(1), &mut host);
            assert_eq!(names(&host), ["db01", "db03", "db02-g1"], "{step} {late}");
        }
    }
    // The machine before is not to come back under a later name's cover.
    let mut later = member(2, 2, true);
    later["name"] = json!("db02-g2");
    cluster(&mut host, json!([member(1, 1, true), later]));
    let plan = scene(1).plan(&host);
    assert_eq!(plan.failures().count(), 1);
}

#[test]
fn lost_data_and_foreign_data() {
    let mut host = FakeHost::new();
    cluster(&mut host, json!([member(1, 1, true), member(3, 3, true)]));
    check_converges(&scene(0), &mut host);
    start(&mut host);
    // The file goes that etcd has its name from.
    host.remove(&fake_path(JOIN), false).unwrap();
    check_plan(&host, ID, fields(0), &["write /etc/default/etcd-join anew"]);
    check_converges(&scene(0), &mut host);
    assert!(host.text(JOIN).unwrap().contains("ETCD_NAME=db02\n"));
    // The data goes.
    host.files.remove(&fake_path(DATA));
    assert_eq!(scene(0).plan(&host).failures().count(), 1);

    let mut host = FakeHost::new();
    host.put(DATA, "");
    let why = "cannot look after etcd of db02: /var/lib/etcd/main has data that did not come there \
               by way of this cluster (token demo-1): it may be another cluster's, so it is left \
               alone. If nobody needs it, move it away and apply again";
    check_plan(&host, ID, fields(0), &[why]);
}

#[test]
fn peers_that_do_not_answer_any_more() {
    let mut host = FakeHost::new();
    cluster(&mut host, json!([member(1, 1, true), member(3, 3, true)]));
    scene(0).apply(&mut host);
    change(&mut host, |now| now["answers"] = json!(false));
    let why = "cannot have db02 join its cluster: it was to join before, and now none of its peers \
               answers";
    check_plan(&host, ID, fields(0), &[why]);
}

#[test]
fn misunderstanding_is_not_silence() {
    let mut host = FakeHost::new();
    host.program("etcdctl", |_, _| ProgramOutput {
        stderr: "transport: authentication handshake failed: x509: unknown authority".to_owned(),
        ..exit(1)
    });
    let plan = scene(0).plan(&host);
    let (_, why) = plan.failures().next().expect("a failure");
    assert!(why.contains("x509"), "{why}");
}

#[test]
fn certificates_come_first() {
    let mut with_tls = fields(0);
    for (field, path) in [("cert", "/tls/c"), ("key", "/tls/k"), ("ca", "/tls/a")] {
        with_tls[field] = json!(path);
    }
    let mut host = FakeHost::new();
    host.program("etcdctl", |_, _| {
        panic!("nobody is asked without a certificate")
    });
    let certificate = json!({"key": "/tls/k", "ca": "/tls/a", "names": ["db02"]});
    let scene = Scene::new(&[("certificate:/tls/c", certificate), (ID, with_tls.clone())]);
    let after = format!("{ID}: after certificate:/tls/c: join, bootstrap");
    assert_eq!(
        summary(&scene.plan(&host)),
        ["certificate:/tls/c: issue", &after]
    );
    let why = "cannot ask the cluster of db02: there is no /tls/c";
    check_plan(&host, ID, with_tls, &[why]);
    let alone = Scene::new(&[(ID, scene_fields_tls())]);
    let told = LiveFacts::ask(&alone.catalog.resources, &host);
    assert_eq!(told.holds("test.formed"), Ok(Some(false)), "a bare machine");
}

fn scene_fields_tls() -> Json {
    let mut fields = fields(0);
    for (field, path) in [("cert", "/tls/c"), ("key", "/tls/k"), ("ca", "/tls/a")] {
        fields[field] = json!(path);
    }
    fields
}

#[test]
fn a_bare_machine_is_planned_without_failing() {
    let mut host = FakeHost::new();
    let etcd = FakePackage::new(&["1"]).unit("etcd.service");
    host.repository.insert("etcd-server".into(), etcd);
    host.repository
        .insert("etcd-client".into(), FakePackage::new(&["1"]));
    let scene = Scene::new(&[
        ("package:etcd-server", json!({"start": false})),
        ("package:etcd-client", json!({})),
        (ID, fields(0)),
        ("service:etcd", json!({})),
        ("etcd_voter:db02", voter_fields(0)),
    ]);
    assert_eq!(
        summary(&scene.plan(&host)),
        [
            "package:etcd-server: install",
            "package:etcd-client: install",
            "etcd_member:db02: after package:etcd-client: join, bootstrap",
            "service:etcd: after package:etcd-client: enable, start",
            "etcd_voter:db02: after service:etcd: promote",
        ]
    );
}

#[test]
fn what_makes_no_sense() {
    let mut wrong = fields(0);
    wrong["cert"] = json!("/tls/c");
    check_fails(ID, wrong, "`cert`, `key` and `ca` go together");
    let mut wrong = fields(0);
    wrong["token"] = json!("a b");
    check_fails(
        ID,
        wrong,
        "`a b` is not a token: letters, digits, `-`, `_` and `.`",
    );
    for peers in [json!([]), json!(["db01"]), json!([{"name": "db01"}])] {
        let mut wrong = fields(0);
        wrong["peers"] = peers;
        let why = "`peers` is the list of members, each with `name` and `address`";
        check_fails(ID, wrong, why);
    }
    check_fails(
        "etcd_member:a b",
        fields(0),
        "`a b` is not the name of a member",
    );
}

#[test]
fn a_member_that_leaves_for_good() {
    let leave = |host: &mut FakeHost| {
        let scene = Scene::new(&[("etcd_voter:db02", voter_fields(0))]);
        let prepared = scene.prepared();
        let resource = prepared.resource(&"etcd_voter:db02".parse().unwrap());
        let told = resource.unwrap().act("leave", host);
        told.unwrap_or_else(|error| error.to_string())
    };
    let mut host = FakeHost::new();
    let members = json!([member(1, 1, true), member(2, 2, true), member(3, 3, true)]);
    cluster(&mut host, members);
    host.put("/etc/systemd/system/etcd.service", "[Service]\n");
    host.restart_by_hand("etcd.service");
    assert_eq!(leave(&mut host), "db02: left a cluster of 3");
    let left: Vec<Json> = state(&host.files)["members"].as_array().unwrap().clone();
    assert_eq!(left, [member(1, 1, true), member(3, 3, true)]);
    assert!(!host.unit("etcd.service").unwrap().is_active());
    assert_eq!(leave(&mut host), "db02: is no member any more");
    // Alone it cannot know whether it is missed.
    change(&mut host, |now| now["answers"] = json!(false));
    host.restart_by_hand("etcd.service");
    assert!(leave(&mut host).contains("none of the others answers"));
    assert!(host.unit("etcd.service").unwrap().is_active());
}
