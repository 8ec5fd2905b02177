//! The application is upgraded, and a release that does not work is taken back.

use std::collections::BTreeSet;

use lab::fleet::Fleet;

use crate::database::{Watch, prober};

const BACKENDS: [&str; 3] = ["backend01", "backend02", "backend03"];
const ARTIFACTS: &str = "/srv/brine/states/artifacts";

/// The releases that backends answer with, each asked itself.
fn releases(fleet: &Fleet) -> Vec<String> {
    let release = |backend| {
        let head = fleet.operator().succeed(&format!(
            "curl -sf -o /dev/null -D - http://{backend}:8090/"
        ));
        let mut lines = head.lines();
        let line = lines.find_map(|line| line.strip_prefix("X-Release: "));
        line.expect("a release in the head").trim().to_owned()
    };
    BACKENDS.map(release).to_vec()
}

fn watch(fleet: &Fleet) -> Watch {
    Watch::start(
        fleet,
        &BACKENDS.map(|backend| format!("http://{backend}:8090/healthz")),
    )
}

#[test]
fn an_upgrade_goes_over_the_backends_and_a_bad_one_is_reverted() {
    let Some(fleet) = super::fleet() else { return };
    assert_eq!(releases(&fleet), ["1.0.0"; 3]);

    fleet.brine01().succeed(&format!(
        "cp {ARTIFACTS}/webapp-1.0.0 {ARTIFACTS}/webapp-1.1.0"
    ));
    fleet.write_state("data/roles/backend.yaml", "webapp: { release: 1.1.0 }\n");
    let (clients, watched) = (prober(&fleet, "/"), watch(&fleet));
    let applied = fleet.ctl("apply role=backend --yes");
    let worst = watched.worst(&fleet);
    let report = clients.stop().expect("the prober's report");
    assert_eq!(applied.code, 0, "{applied}");
    assert_eq!(releases(&fleet), ["1.1.0"; 3]);
    assert_eq!(report.failed, 0, "the upgrade failed requests: {report:?}");
    assert!(worst <= 1, "{worst} backends were out at once");
    super::figure(&format!(
        "upgrade of three backends: none of {} requests failed, the slowest took {} ms",
        report.requests, report.slowest_ms
    ));

    // One that starts and never answers.
    fleet.brine01().succeed(&format!(
        "printf '#!/bin/sh\\nexec sleep infinity\\n' >{ARTIFACTS}/webapp-1.2.0"
    ));
    fleet.write_state("data/roles/backend.yaml", "webapp: { release: 1.2.0 }\n");
    let untouched: BTreeSet<String> = BACKENDS[1..]
        .iter()
        .map(|backend| crate::database::processes(&fleet, backend))
        .collect();
    let clients = prober(&fleet, "/");
    let applied = fleet.ctl("apply role=backend --yes");
    let report = clients.stop().expect("the prober's report");
    assert_eq!(applied.code, 1, "{applied}");
    let said = applied.to_string();
    for part in ["backend01", "reverted", "untouched: backend02, backend03"] {
        assert!(said.contains(part), "`{part}` is not said:\n{said}");
    }
    assert_eq!(releases(&fleet), ["1.1.0"; 3], "the old release serves");
    assert_eq!(report.failed, 0, "it failed requests: {report:?}");
    let after: BTreeSet<String> = BACKENDS[1..]
        .iter()
        .map(|backend| crate::database::processes(&fleet, backend))
        .collect();
    assert_eq!(after, untouched, "the others were not touched");
    let run = fleet.ctl_json("--output json runs list")[0].clone();
    assert_eq!(run["phase"], "failed", "{run}");
    let shown = fleet.ctl(&format!("runs show {}", run["id"]));
    assert!(shown.stdout.contains("reverted"), "{shown}");
}
