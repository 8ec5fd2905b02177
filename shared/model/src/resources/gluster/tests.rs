//! A pool of three as `backend02` sees it, with a `gluster` that behaves like the real one.

use serde_json::{Value as Json, json};

use crate::converge::fake::{
    FakeFile, FakeHost, Files, Scene, check_converges, check_settles, exit, fake_path,
};
use crate::host::{Host, Program, ProgramOutput, ReadHost, UnitVerb};
use crate::live::LiveFacts;

const POOL: &str = "/pool.json";
const INFO: &str = "/var/lib/glusterd/glusterd.info";

fn state(files: &Files) -> Json {
    let file = files.get(&fake_path(POOL)).expect("the test made it");
    serde_json::from_slice(&file.content).expect("JSON")
}

fn change(host: &mut FakeHost, edit: impl FnOnce(&mut Json)) {
    let mut now = state(&host.files);
    edit(&mut now);
    host.put(POOL, &now.to_string());
    serve(&now, &mut host.files);
}

/// The brick's process, where it has one.
fn serve(now: &Json, files: &mut Files) {
    let file = |text: &str| FakeFile::new(text.as_bytes(), crate::time::Timestamp(0));
    let pid = "/run/gluster/vols/static/backend02-srv-brick-static.pid";
    files.insert(fake_path(pid), file("812\n"));
    let name = fake_path("/proc/812/comm");
    if now["online"] == true {
        files.insert(name, file("glusterfsd\n"));
    } else {
        files.remove(&name);
    }
}

/// `members`: whom the others have in their pool; `own`: whom the node at hand has.
fn host(own: &[&str], members: &[&str]) -> FakeHost {
    let mut host = FakeHost::new();
    let now =
        json!({"own": own, "members": members, "volume": null, "online": false, "backlog": 0});
    host.put(POOL, &now.to_string());
    host.put(INFO, "UUID=new\noperating-version=100000\n");
    host.put("/etc/systemd/system/glusterd.service", "[Service]\n");
    host.restart_by_hand("glusterd.service");
    host.program("gluster", gluster);
    host
}

fn gluster(program: &Program, files: &mut Files) -> ProgramOutput {
    let mut now = state(files);
    let words: Vec<&str> = program.argv.iter().map(String::as_str).collect();
    assert_eq!(words[..2], ["gluster", "--mode=script"]);
    let (from, words) = match words[2].strip_prefix("--remote-host=") {
        Some(host) => (host, &words[3..]),
        None => ("backend02", &words[2..]),
    };
    let say = |stdout: String| ProgramOutput { stdout, ..exit(0) };
    let fail = |stderr: &str| ProgramOutput {
        stderr: stderr.to_owned(),
        ..exit(1)
    };
    let keep = |now: &Json, files: &mut Files| {
        let file = FakeFile::new(now.to_string().as_bytes(), crate::time::Timestamp(0));
        files.insert(fake_path(POOL), file);
        serve(now, files);
        exit(0)
    };
    let names = |list: &Json| -> Vec<String> {
        let names = list.as_array().into_iter().flatten();
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    let uuid = files.get(&fake_path(INFO)).map_or(String::new(), |file| {
        let text = String::from_utf8_lossy(&file.content).into_owned();
        text.lines().next().unwrap_or_default().replace("UUID=", "")
    });
    match words {
        ["pool", "list"] => {
            let fellows = if from == "backend02" {
                &now["own"]
            } else {
                &now["members"]
            };
            let mut told = "UUID\t\t\t\t\tHostname \tState\n".to_owned();
            for name in names(fellows).iter().filter(|name| *name != from) {
                told += &format!("uuid-of-{name}\t{name}\tConnected \n");
            }
            say(told + "x\tlocalhost\tConnected \n")
        }
        ["peer", "probe", name] => {
            let known = names(&now["members"]).len() > 1;
            if known && names(&now["own"]).len() < 2 && uuid != "uuid-of-backend02" {
                return fail(&format!(
                    "peer probe: failed: {name} is already part of another cluster"
                ));
            }
            now["own"] = if known {
                now["members"].clone()
            } else {
                let mut own = names(&now["own"]);
                own.push((*name).to_owned());
                json!(own)
            };
            keep(&now, files)
        }
        ["peer", "detach", name, "force"] => {
            let own: Vec<_> = names(&now["own"])
                .into_iter()
                .filter(|one| one != name)
                .collect();
            now["own"] = json!(own);
            keep(&now, files)
        }
        ["volume", "list"] => say("static\n".to_owned()),
        ["volume", "info", name] => match &now["volume"] {
            Json::Null => fail(&format!("Volume {name} does not exist")),
            volume => {
                let mut told = format!(
                    "\nVolume Name: {name}\nType: Replicate\nStatus: {}\nBricks:\n",
                    volume["status"].as_str().unwrap_or_default()
                );
                for (number, brick) in names(&volume["bricks"]).iter().enumerate() {
                    told += &format!("Brick{}: {brick}\n", number + 1);
                }
                told += "Options Reconfigured:\n";
                for (key, value) in volume["options"].as_object().into_iter().flatten() {
                    told += &format!("{key}: {}\n", value.as_str().unwrap_or_default());
                }
                say(told)
            }
        },
        ["volume", "create", _, "replica", "3", bricks @ .., "force"] => {
            now["volume"] = json!({"status": "Created", "bricks": bricks, "options": {}});
            keep(&now, files)
        }
        ["volume", "set", _, key, value] => {
            now["volume"]["options"][*key] = json!(value);
            keep(&now, files)
        }
        ["volume", "start", _] => {
            now["volume"]["status"] = json!("Started");
            now["online"] = json!(true);
            keep(&now, files)
        }
        ["volume", "reset-brick", _, _, "start"] => exit(0),
        ["volume", "reset-brick", _, _, _, "commit", "force"] => {
            now["online"] = json!(true);
            keep(&now, files)
        }
        ["volume", "heal", _, "info", "summary"] => say(format!(
            "Brick a\nStatus: Connected\nTotal Number of entries: {}\nBrick b\nTotal Number of entries: 1\n",
            now["backlog"]
                .as_i64()
                .map_or("-".to_owned(), |n| n.to_string())
        )),
        other => panic!("{other:?}"),
    }
}

const ALL: [&str; 3] = ["backend01", "backend02", "backend03"];

fn peers() -> Json {
    let peer = |name: &&str| json!({"name": name, "address": format!("10.0.0.{}", &name[8..])});
    json!(ALL.iter().map(peer).collect::<Vec<_>>())
}

fn member(generation: u32) -> Scene {
    let fields = json!({"generation": generation, "peers": peers()});
    Scene::new(&[("gluster_member:backend02", fields)])
}

fn volume() -> Json {
    json!({"peers": peers(), "brick": "/srv/brick/static", "on_root": true,
        "options": {"network.ping-timeout": "5"}})
}

fn live(scene: &Scene, host: &FakeHost, condition: &str) -> Option<bool> {
    let told = LiveFacts::ask(&scene.catalog.resources, host);
    told.holds(&condition.replace('.', "test."))
        .expect("a condition")
}

#[test]
fn who_speaks_for_the_pool() {
    for (own, members, expected) in [
        // Nobody has a pool: the first by name.
        (&["backend02"][..], &["backend01"][..], Some(false)),
        // A newcomer beside a pool says nothing, whatever its name.
        (&["backend02"], &ALL, Some(false)),
        // backend01 is in the pool, and speaks.
        (&ALL, &ALL, Some(false)),
        (
            &["backend02", "backend03"],
            &["backend02", "backend03"],
            Some(true),
        ),
    ] {
        assert_eq!(
            live(&member(0), &host(own, members), ".speaker"),
            expected,
            "{own:?}"
        );
    }
    let first = Scene::new(&[("gluster_member:backend01", json!({"peers": peers()}))]);
    // As seen from a machine whose others are alone, too.
    let alone = host(&["backend02"], &["backend03"]);
    assert_eq!(live(&first, &alone, ".speaker"), Some(true));
}

#[test]
fn formed_or_not() {
    assert_eq!(
        live(&member(0), &host(&ALL, &ALL), ".formed and .connected"),
        Some(true)
    );
    assert_eq!(
        live(&member(0), &host(&["backend02"], &["backend01"]), ".formed"),
        Some(false)
    );
    let mut bare = host(&["backend02"], &["backend01"]);
    bare.files.remove(&fake_path(INFO));
    assert_eq!(live(&member(0), &bare, ".formed"), Some(false));
    // It runs, and was asked by nobody yet.
    assert_eq!(live(&member(0), &bare, ".speaker"), Some(false));
    bare.unit_verb("glusterd.service", UnitVerb::Stop)
        .expect("stopped");
    assert_eq!(live(&member(0), &bare, ".formed"), Some(false));
    assert_eq!(live(&member(0), &bare, ".speaker"), None);
}

#[test]
fn a_replaced_machine_takes_over_and_a_lost_one_does_not() {
    // Not replaced: whatever became of its pool, nothing is done about it here.
    check_settles(&member(0), &mut host(&["backend02"], &ALL));
    let mut replaced = host(&["backend02"], &ALL);
    check_converges(&member(1), &mut replaced);
    assert_eq!(
        replaced.text(INFO).as_deref(),
        Some("UUID=uuid-of-backend02\noperating-version=100000\n")
    );
    assert!(replaced.unit("glusterd.service").expect("told").is_active());
    check_settles(&member(1), &mut replaced);
    assert_eq!(
        replaced
            .text("/var/lib/glusterd/peers/uuid-of-backend03")
            .as_deref(),
        Some("uuid=uuid-of-backend03\nstate=3\nhostname1=backend03\n")
    );
    assert_eq!(
        replaced.text("/var/lib/glusterd/peers/x").as_deref(),
        Some("uuid=x\nstate=3\nhostname1=backend01\n"),
        "the one that told calls itself localhost"
    );
    // Of whom nobody knows, there is no place to take.
    let mut unknown = host(&["backend02"], &["backend01", "backend03"]);
    check_settles(&member(1), &mut unknown);
}

#[test]
fn a_pool_and_its_volume() {
    let mut host = host(&["backend02"], &["backend01"]);
    let fields = json!({"peers": peers(), "node": "backend02"});
    let scene = Scene::new(&[
        ("gluster_peers:static", fields),
        ("gluster_volume:static", volume()),
    ]);
    check_converges(&scene, &mut host);
    assert_eq!(
        state(&host.files)["own"],
        json!(["backend02", "backend01", "backend03"])
    );
    // One that was removed from the registry.
    change(&mut host, |now| {
        now["own"]
            .as_array_mut()
            .expect("a list")
            .push(json!("backend09"))
    });
    let words = format!("{:?}", scene.plan(&host));
    assert!(words.contains("forget backend09"), "{words}");
    check_converges(&scene, &mut host);
    assert_eq!(state(&host.files)["own"].as_array().map(Vec::len), Some(3));
    let made = &state(&host.files)["volume"];
    assert_eq!(made["status"], "Started");
    assert_eq!(made["bricks"][2], "backend03:/srv/brick/static");
    assert_eq!(made["options"]["network.ping-timeout"], "5");
    // Somebody stopped it, or set something else.
    change(&mut host, |now| {
        now["volume"]["status"] = json!("Stopped");
        now["volume"]["options"]["network.ping-timeout"] = json!("42");
    });
    let plan = scene.plan(&host);
    let words = format!("{plan:?}");
    assert!(
        words.contains("42 → 5") && words.contains("start it"),
        "{words}"
    );
    check_converges(&scene, &mut host);
}

#[test]
fn a_brick_is_filled_on_a_replaced_machine_only() {
    let brick = |generation: u32| {
        let fields = json!({"volume": "static", "node": "backend02", "generation": generation});
        Scene::new(&[("gluster_brick:/srv/brick/static", fields)])
    };
    let mut host = host(&ALL, &ALL);
    check_converges(
        &Scene::new(&[("gluster_volume:static", volume())]),
        &mut host,
    );
    change(&mut host, |now| now["online"] = json!(false));
    assert_eq!(live(&brick(0), &host, ".online"), Some(false));
    check_settles(&brick(0), &mut host);
    check_converges(&brick(1), &mut host);
    assert_eq!(
        live(&brick(1), &host, ".online and .backlog = 1"),
        Some(true)
    );
    // Later it is no different from any other: empty, it is left alone.
    change(&mut host, |now| now["online"] = json!(false));
    check_settles(&brick(1), &mut host);
    // A silent brick hides what is to be healed.
    change(&mut host, |now| now["backlog"] = json!(null));
    assert_eq!(live(&brick(1), &host, ".backlog = 0"), Some(false));
}

#[test]
fn a_brick_waits_until_its_node_is_who_it_is_to_be() {
    let generation = 1;
    let scene = Scene::new(&[
        (
            "gluster_member:backend02",
            json!({"generation": generation, "peers": peers()}),
        ),
        (
            "gluster_brick:/srv/brick/static",
            json!({"volume": "static", "node": "backend02", "generation": generation}),
        ),
    ]);
    let plan = scene.plan(&host(&["backend02"], &ALL));
    let told = format!("{plan:?}");
    assert!(
        told.contains("After { resource: gluster_member:backend02"),
        "{told}"
    );
}

#[test]
fn what_makes_no_sense() {
    let with = |key: &str, value: Json| {
        let mut fields = volume();
        fields[key] = value;
        fields
    };
    for (id, fields, expected) in [
        ("gluster_volume:a/b", volume(), "not the name of a volume"),
        (
            "gluster_volume:static",
            with("replica", json!(2)),
            "fewer than three copies",
        ),
        (
            "gluster_volume:static",
            with("replica", json!(4)),
            "4 copies need as many peers",
        ),
        (
            "gluster_volume:static",
            with("peers", json!([])),
            "`peers` is the list",
        ),
    ] {
        let told = match Scene::new(&[(id, fields)]).try_prepare() {
            Ok(_) => "nothing".to_owned(),
            Err(errors) => format!("{errors:?}"),
        };
        assert!(told.contains(expected), "{id}: {told}");
    }
}
