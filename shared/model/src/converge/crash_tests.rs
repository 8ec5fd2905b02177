//! Dies at every step there is, before and after its effect, with all that may happen before
//! somebody tries again: then everything converges, every owed restart is paid, and nothing is
//! restarted that had read everything as it was.

use serde_json::{Value as Json, json};

use super::fake::{FakeHost, FakePackage, Scene, check_converges, exit, fake_path, summary};
use super::{ApplyReport, Part, Silent, apply};

/// One version of everything that a service can depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Version {
    conf: u8,
    live: u8,
    limits: u8,
    release: u8,
    package: u8,
}

const ONE: Version = Version {
    conf: 1,
    live: 1,
    limits: 1,
    release: 1,
    package: 1,
};

const CONF: &str = "/etc/web/web.conf";
const LIVE: &str = "/etc/web/live.conf";
const BUILT: &str = "/var/lib/web/built";
const LIMITS: &str = "/etc/systemd/system/web.service.d/limits.conf";
const HELPER: &str = "/etc/systemd/system/helper.service";
const CURRENT: &str = "/opt/helper/current";

/// A packaged daemon with restart and reload, and one of our own behind a versioned link.
fn scene(v: Version) -> Scene {
    let Version {
        conf,
        live,
        limits,
        release,
        package,
    } = v;
    let release_file = format!("file:/opt/helper/{release}/helper");
    let resources: Vec<(&str, Json)> = vec![
        (
            "package:web",
            json!({"start": false, "version": format!("{package}")}),
        ),
        ("package:tool", json!({})),
        ("group:ops", json!({"system": true})),
        ("user:helper", json!({"system": true, "groups": ["ops"]})),
        ("directory:/etc/web", json!({})),
        (
            "file:/etc/web/web.conf",
            json!({"content": format!("conf {conf}"), "owner": "web"}),
        ),
        (
            "file:/etc/web/live.conf",
            json!({"content": format!("live {live}"), "mode": "0640"}),
        ),
        (
            "drop_in:web.service/limits",
            json!({"content": format!("[Service]\n#{limits}\n")}),
        ),
        (
            "command:build",
            json!({"argv": ["build"], "on_change": ["file:/etc/web/web.conf"]}),
        ),
        (
            "service:web",
            json!({
                "restart_on": ["file:/etc/web/web.conf", "drop_in:web.service/limits", "command:build"],
                "reload_on": ["file:/etc/web/live.conf"],
            }),
        ),
        ("wait_for:web", json!({"tcp": "127.0.0.1:80"})),
        (
            &release_file,
            json!({"source": {"$blob": format!("helper {release}")}, "mode": "0755"}),
        ),
        (
            "symlink:/opt/helper/current",
            json!({"target": format!("/opt/helper/{release}")}),
        ),
        (
            "unit:helper.service",
            json!({"content": format!("[Service]\n#{limits}\n")}),
        ),
        (
            "service:helper",
            json!({
                "restart_on": ["unit:helper.service", "symlink:/opt/helper/current", &release_file],
            }),
        ),
        ("absent:/etc/web/default.conf", json!({})),
    ];
    Scene::new(&resources)
}

/// Nothing is installed.
fn fresh() -> FakeHost {
    let mut host = FakeHost::new();
    let web = FakePackage::new(&["1", "2", "3"])
        .user("web")
        .unit("web.service");
    let web = web
        .file("/etc/web/default.conf", "")
        .file(CONF, "as shipped");
    host.repository.insert("web".into(), web);
    host.repository
        .insert("tool".into(), FakePackage::new(&["1"]));
    // Each run gives something new: what watches a command is owed a restart after each.
    host.program("build", |_, files| {
        let mut built = files[&fake_path(CONF)].clone();
        if let Some(before) = files.get(&fake_path(BUILT)) {
            built.content.push(b'\n');
            built.content.extend(&before.content);
        }
        files.insert(fake_path(BUILT), built);
        exit(0)
    });
    host.units
        .entry("web.service".into())
        .or_default()
        .can_reload = true;
    for path in [CONF, BUILT, LIMITS] {
        host.reads("web.service", path, true);
    }
    host.reads("web.service", LIVE, false);
    host.reads("helper.service", HELPER, true);
    host.reads("helper.service", CURRENT, true);
    host
}

/// What may happen to a machine without Brine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Nothing,
    Reboot,
    RestartByHand,
    ForgetRecords,
    EditAndRestart,
    StopByHand,
}

const EVENTS: [Event; 6] = [
    Event::Nothing,
    Event::Reboot,
    Event::RestartByHand,
    Event::ForgetRecords,
    Event::EditAndRestart,
    Event::StopByHand,
];

fn happen(event: Event, host: &mut FakeHost) {
    let running = |host: &FakeHost| -> Vec<String> {
        let units = host.units.iter().filter(|(_, unit)| unit.process.is_some());
        units.map(|(name, _)| name.clone()).collect()
    };
    match event {
        Event::Nothing => {}
        Event::Reboot => host.reboot(),
        Event::RestartByHand => running(host)
            .iter()
            .for_each(|unit| host.restart_by_hand(unit)),
        Event::ForgetRecords => host.records.clear(),
        Event::EditAndRestart => {
            if host.text(CONF).is_some() {
                let owner = host.files[&fake_path(CONF)].owner.clone();
                host.put(CONF, &format!("edited by hand at {}", host.clock));
                host.files.get_mut(&fake_path(CONF)).unwrap().owner = owner;
            }
            happen(Event::RestartByHand, host);
        }
        Event::StopByHand => {
            for unit in running(host) {
                host.units.get_mut(&unit).unwrap().process = None;
            }
        }
    }
}

fn converged(v: Version) -> FakeHost {
    let mut host = fresh();
    check_converges(&scene(v), &mut host);
    host
}

fn restarts(host: &FakeHost, from: usize) -> Vec<&str> {
    let log = host.log[from..].iter().map(String::as_str);
    log.filter(|step| step.starts_with("restart ") || step.starts_with("reload "))
        .collect()
}

fn unapproved(scene: &Scene, host: &mut FakeHost) -> ApplyReport {
    host.blobs.extend(scene.blobs.clone());
    apply(&scene.prepared(), Part::WHOLE, None, host, &mut Silent)
}

/// Goes from `before` to `scene`, dying at each step in turn, then `event`, then once more.
fn check_survives(before: &FakeHost, scene: &Scene, event: Event) {
    let needless = |host: &FakeHost| -> Vec<String> {
        // A reload whose record was lost is made again: that costs nothing.
        host.needless
            .iter()
            .filter(|step| step.starts_with("Restart"))
            .cloned()
            .collect()
    };
    let mut crashes = 0;
    for late in [false, true] {
        for step in 1.. {
            let mut host = before.clone();
            host.crash_at(step, late);
            let report = unapproved(scene, &mut host);
            if !host.revive() {
                assert!(report.succeeded(), "{:#?}", report.stopped_at());
                break;
            }
            crashes += 1;
            assert!(!report.succeeded());
            let context = format!("crash at {step} (late: {late}), then {event:?}");
            happen(event, &mut host);
            let stale = host.stale();
            let from = host.log.len();
            check_converges(scene, &mut host);
            assert_eq!(
                needless(&host),
                [] as [String; 0],
                "{context}: {:#?}",
                host.log
            );
            // Everything that a running process had not read was read by the steps since.
            let paid = restarts(&host, from);
            assert!(
                paid.len() <= 2,
                "{context}: {paid:?} for {stale:?}\n{:#?}",
                host.log
            );
        }
    }
    assert!(crashes > 0, "nothing to do, nothing tested");
}

#[test]
fn a_fresh_machine() {
    for event in EVENTS {
        check_survives(&fresh(), &scene(ONE), event);
    }
}

#[test]
fn each_change_by_itself_and_all_together() {
    let versions = [
        Version { conf: 2, ..ONE },
        Version { live: 2, ..ONE },
        Version { limits: 2, ..ONE },
        Version { release: 2, ..ONE },
        Version { package: 2, ..ONE },
        Version {
            conf: 2,
            live: 2,
            limits: 2,
            release: 2,
            package: 2,
        },
    ];
    let before = converged(ONE);
    for version in versions {
        for event in EVENTS {
            check_survives(&before, &scene(version), event);
        }
    }
}

#[test]
fn whatever_happened_before() {
    for earlier in EVENTS {
        let mut before = converged(ONE);
        happen(earlier, &mut before);
        for event in EVENTS {
            check_survives(
                &before,
                &scene(Version {
                    conf: 2,
                    live: 2,
                    ..ONE
                }),
                event,
            );
        }
    }
}

#[test]
fn back_to_an_older_release_restarts() {
    let mut host = converged(ONE);
    check_converges(&scene(Version { release: 2, ..ONE }), &mut host);
    let from = host.log.len();
    check_converges(&scene(ONE), &mut host);
    assert_eq!(restarts(&host, from), ["restart helper.service"]);
}

#[test]
fn exactly_what_is_owed() {
    let check = |version: Version, expected: &[&str]| {
        let mut host = converged(ONE);
        let from = host.log.len();
        let (plan, _) = check_converges(&scene(version), &mut host);
        assert_eq!(
            restarts(&host, from),
            expected,
            "{version:?}: {:#?}",
            summary(&plan)
        );
        assert_eq!(host.needless, [] as [String; 0]);
    };
    check(Version { conf: 2, ..ONE }, &["restart web.service"]);
    check(Version { live: 2, ..ONE }, &["reload web.service"]);
    // One restart pays for both.
    check(
        Version {
            conf: 2,
            live: 2,
            ..ONE
        },
        &["restart web.service"],
    );
    check(
        Version { limits: 2, ..ONE },
        &["restart web.service", "restart helper.service"],
    );
    check(Version { release: 2, ..ONE }, &["restart helper.service"]);
    // The package restarts its daemon itself.
    check(Version { package: 2, ..ONE }, &[]);
    check(ONE, &[]);
}

#[test]
fn without_a_change_nothing_restarts_whatever_happens() {
    for event in [
        Event::Nothing,
        Event::Reboot,
        Event::RestartByHand,
        Event::ForgetRecords,
    ] {
        let mut host = converged(ONE);
        happen(event, &mut host);
        let from = host.log.len();
        let plan = scene(ONE).plan(&host);
        assert!(plan.in_sync(), "{event:?}: {:#?}", summary(&plan));
        unapproved(&scene(ONE), &mut host);
        assert_eq!(restarts(&host, from), [] as [&str; 0], "{event:?}");
    }
}

/// Years of a machine's life: random versions, crashes and events, and in the end it converges.
///
/// Versions only go up: content that goes away and comes back while no record is of the running
/// process cannot be told from content that changed, and costs a restart too many.
#[test]
fn random_lives() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for life in 0..600 {
        let mut host = if random.below(4) == 0 {
            fresh()
        } else {
            converged(ONE)
        };
        let mut version = ONE;
        for _ in 0..random.below(6) + 1 {
            let mut next = |now: u8| now + u8::from(random.below(2) == 0);
            let Version {
                conf,
                live,
                limits,
                release,
                package,
            } = version;
            version = Version {
                conf: next(conf),
                live: next(live),
                limits: next(limits),
                release: next(release),
                package: next(package).min(3),
            };
            if random.below(3) > 0 {
                host.crash_at(random.below(30) + 1, random.below(2) == 0);
            }
            unapproved(&scene(version), &mut host);
            host.revive();
            happen(EVENTS[random.below(EVENTS.len())], &mut host);
        }
        check_converges(&scene(version), &mut host);
        let needless: Vec<_> = host
            .needless
            .iter()
            .filter(|step| step.starts_with("Restart"))
            .collect();
        assert_eq!(needless, [] as [&String; 0], "life {life}: {:#?}", host.log);
    }
}

/// xorshift: the same lives every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
