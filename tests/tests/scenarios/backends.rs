//! Backends come and go, and no client notices.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab::fleet::Fleet;
use lab::wait_until;

use crate::database::{BALANCERS, prober};

/// What a balancer's health checks say of each backend: `UP`, `DOWN`, `NOLB`, …
fn rotation(fleet: &Fleet, balancer: &str) -> BTreeMap<String, String> {
    let url = format!("curl -sf -m 2 'http://{balancer}:7000/;csv'");
    let table = fleet.operator().succeed(&url);
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = header.iter().position(|name| *name == "status");
    let column = column.expect("HAProxy's table has a column `status`");
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[0] == "webapp" && cells[1] != "BACKEND")
        .map(|cells| (cells[1].to_owned(), cells[column].to_owned()))
        .collect()
}

fn wait_for(fleet: &Fleet, backend: &str, wanted: &str) -> Duration {
    let begun = Instant::now();
    for balancer in BALANCERS {
        let what = format!("{backend} to be {wanted} for {balancer}");
        wait_until(&what, Duration::from_secs(60), || {
            let status = rotation(fleet, balancer).remove(backend);
            Ok(status.is_some_and(|status| status.starts_with(wanted)))
        })
        .expect("in time");
    }
    begun.elapsed()
}

/// One backend goes in this way and comes back in that: no request fails, and it serves again.
fn goes_and_comes(what: &str, go: fn(&lab::host::Host), come: fn(&lab::host::Host)) {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("backend03");
    wait_for(&fleet, "backend03", "UP");
    let clients = prober(&fleet, "/");
    go(&host);
    let out = wait_for(&fleet, "backend03", "DOWN");
    let report = clients.stop().expect("the prober's report");
    // Twenty a second; it may be out within one.
    assert!(report.requests > 5, "{report:?}");
    assert_eq!(report.failed, 0, "{what}: requests failed: {report:?}");
    super::figure(&format!(
        "{what}: out of both rotations after {:.1} s, none of {} requests failed, the slowest took {} ms",
        out.as_secs_f64(),
        report.requests,
        report.slowest_ms
    ));
    let clients = prober(&fleet, "/");
    come(&host);
    wait_for(&fleet, "backend03", "UP");
    wait_until("it serves again", Duration::from_secs(20), || {
        let answer = fleet.operator().succeed("curl -sf http://balancer01/");
        Ok(answer.trim() == "Hello from backend03")
    })
    .expect("it serves");
    let report = clients.stop().expect("the prober's report");
    assert_eq!(
        report.failed, 0,
        "{what}: its return failed requests: {report:?}"
    );
}

#[test]
fn a_backends_host_that_falls_silent_costs_no_request() {
    goes_and_comes(
        "silent backend host",
        |host| host.partition().expect("its link is cut"),
        |host| host.heal().expect("its link is back"),
    );
}

#[test]
fn a_backends_host_that_loses_its_power_costs_no_request() {
    goes_and_comes(
        "backend host without power",
        |host| host.power_cut().expect("the power is cut"),
        |host| host.power_on().expect("it boots"),
    );
}

#[test]
fn an_application_that_is_killed_costs_no_request() {
    goes_and_comes(
        "killed application",
        |host| {
            host.succeed("systemctl stop --no-block webapp; systemctl kill -s KILL webapp || true");
        },
        |host| {
            host.succeed("systemctl start webapp");
        },
    );
}

/// As docs/operations.md says it, line by line.
#[test]
fn a_fourth_backend_as_documented() {
    let Some(fleet) = super::fleet() else { return };
    let others = |fleet: &Fleet| {
        ["backend01", "backend02", "backend03", "db01"]
            .map(|host| crate::database::processes(fleet, host))
    };
    let before = others(&fleet);
    let clients = prober(&fleet, "/");
    fleet.add("backend04").expect("it boots and enrols");
    let applied = fleet.ctl("apply role=backend --yes");
    assert_eq!(applied.code, 0, "{applied}");
    assert!(
        applied
            .to_string()
            .contains("still behind: balancer01, balancer02, grafana01"),
        "it says who has to follow:\n{applied}"
    );
    let followed = fleet.ctl("apply 'role=balancer or role=monitoring' --yes");
    assert_eq!(followed.code, 0, "{followed}");
    wait_for(&fleet, "backend04", "UP");
    wait_until("it serves", Duration::from_secs(20), || {
        let answer = fleet.operator().succeed("curl -sf http://balancer02/");
        Ok(answer.trim() == "Hello from backend04")
    })
    .expect("it serves");
    let report = clients.stop().expect("the prober's report");
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(others(&fleet), before, "nothing else restarted");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");

    // And out of the fleet again.
    let clients = prober(&fleet, "/");
    assert_eq!(fleet.ctl("nodes remove backend04 --yes").code, 0);
    let followed = fleet.ctl("apply 'role=balancer or role=monitoring' --yes");
    assert_eq!(followed.code, 0, "{followed}");
    // Nobody counts on it any more when it goes.
    let forgotten = fleet.ctl("apply all --yes");
    assert_eq!(forgotten.code, 0, "{forgotten}");
    let host = fleet.host("backend04");
    host.power_cut().expect("the power is cut");
    let report = clients.stop().expect("the prober's report");
    assert_eq!(report.failed, 0, "{report:?}");
    assert!(!rotation(&fleet, "balancer01").contains_key("backend04"));
    host.wipe().expect("its disk is gone");
}
