//! What others change is known at once, and comes back by itself where a role enforces it: also while the
//! server is down.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab::fleet::Fleet;
use lab::wait_until;

const HOST: &str = "balancer01";
const CONFIG: &str = "/etc/haproxy/haproxy.cfg";

/// What is done by hand, the resource that it concerns, and what holds where it is as applied.
const DAMAGE: &[(&str, &str, &str)] = &[
    (
        "echo '# by hand' >> /etc/haproxy/haproxy.cfg",
        "file:/etc/haproxy/haproxy.cfg",
        "! grep -q 'by hand' /etc/haproxy/haproxy.cfg",
    ),
    (
        "chmod 0600 /etc/motd",
        "file:/etc/motd",
        "test $(stat -c %a /etc/motd) = 644",
    ),
    (
        "systemctl stop haproxy",
        "service:haproxy",
        "systemctl is-active --quiet haproxy",
    ),
    (
        "systemctl disable --quiet haproxy 2>/dev/null",
        "service:haproxy",
        "systemctl is-enabled --quiet haproxy",
    ),
    (
        "apt-get remove -qy haproxy >/dev/null 2>&1",
        "package:haproxy",
        "dpkg-query -W -f '${db:Status-Status}' haproxy | grep -qx installed && systemctl is-active --quiet haproxy",
    ),
];

/// Resource and state of what has drifted.
fn drifted(fleet: &Fleet) -> Vec<(String, String)> {
    let answer = fleet.ctl_json(&format!("--output json drift node={HOST}"));
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let text =
        |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| (text(row, "resource"), text(row, "state")))
        .collect()
}

/// How often each resource was brought back, over all scenarios.
fn healed(fleet: &Fleet) -> BTreeMap<String, u64> {
    let sql = format!("SELECT resource, times FROM healed WHERE node = '{HOST}'");
    let answer = fleet.ctl_json(&format!("--output json query \"{sql}\""));
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let pair = |row: &serde_json::Value| {
        Some((row["resource"].as_str()?.to_owned(), row["times"].as_u64()?))
    };
    rows.iter().filter_map(pair).collect()
}

/// Milliseconds until it is so.
fn measured(what: &str, holds: impl FnMut() -> anyhow::Result<bool>) -> u128 {
    let began = Instant::now();
    wait_until(what, Duration::from_secs(60), holds).unwrap_or_else(|error| panic!("{error:#}"));
    began.elapsed().as_millis()
}

fn median(times: &mut [u128]) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_change_by_hand_is_known_at_once_and_stays_until_an_apply() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host(HOST);
    let fresh = fleet.ctl("drift --fresh");
    assert!(
        fresh.code == 0 && fresh.stdout.contains("nothing is known"),
        "{fresh}"
    );
    for (damage, resource, _) in DAMAGE {
        host.succeed(damage);
        let seen = measured(damage, || {
            Ok(drifted(&fleet)
                .iter()
                .any(|(id, state)| id == resource && state == "drifted"))
        });
        super::figure(&format!("in `ctl drift` after {seen} ms: {damage}"));
        let status = fleet.ctl("status");
        assert!(
            status.stdout.contains(&format!("drifted: {HOST}")),
            "{status}"
        );
        let shown = fleet.ctl(&format!("drift node={HOST} --diff"));
        assert!(shown.stdout.contains(resource), "{shown}");
        assert_eq!(fleet.ctl("apply role=balancer --yes").code, 0, "{damage}");
        measured("nothing has drifted", || Ok(drifted(&fleet).is_empty()));
    }
    let mut times = Vec::new();
    for _ in 0..super::rounds(5, 20) {
        host.succeed(&format!("echo '# by hand' >> {CONFIG}"));
        times.push(measured("seen", || Ok(!drifted(&fleet).is_empty())));
        host.succeed(&format!("sed -i '/# by hand/d' {CONFIG}"));
        measured("gone", || Ok(drifted(&fleet).is_empty()));
    }
    let (rounds, middle) = (times.len(), median(&mut times));
    super::figure(&format!(
        "an edited file in `ctl drift`: median {middle} ms of {rounds}, {times:?}"
    ));
    let history = fleet.ctl(&format!("facts diff {HOST} --since 1h"));
    assert!(
        history.stdout.contains(&format!("file:{CONFIG}")),
        "{history}"
    );
}

#[test]
fn an_enforced_role_brings_back_what_interrupts_nobody_also_without_a_server() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host(HOST);
    fleet.append_state("roles/balancer.yaml", "enforce: true\n");
    assert_eq!(fleet.ctl("apply role=balancer --yes").code, 0);
    let fresh = fleet.ctl(&format!("drift node={HOST} --fresh"));
    assert_eq!(fresh.code, 0, "{fresh}");
    let earlier = healed(&fleet);
    let before_all = |id: &str| earlier.get(id).copied().unwrap_or_default();
    let invocation = "systemctl show -p InvocationID --value haproxy";
    let back = |sign: &str| host.run(sign).code == 0;
    for server in [true, false] {
        if !server {
            fleet.brine01().succeed("systemctl stop brine-server");
        }
        for (damage, _, sign) in DAMAGE {
            // The service is brought back five times within ten minutes, and no more.
            if !server && damage.contains("disable") {
                continue;
            }
            let before = host.succeed(invocation);
            host.succeed(damage);
            let healed = measured(damage, || Ok(back(sign)));
            let server = if server { "" } else { " without a server" };
            super::figure(&format!("healed{server} after {healed} ms: {damage}"));
            if damage.contains("motd") || damage.contains("by hand") {
                assert_eq!(
                    host.succeed(invocation),
                    before,
                    "{damage}: nothing was restarted"
                );
            }
        }
    }
    fleet.brine01().succeed("systemctl start brine-server");
    fleet
        .wait_connected(Duration::from_secs(60))
        .expect("connected again");
    // What happened meanwhile is told.
    measured("told", || {
        let after = healed(&fleet);
        let twice = |id: &str| after.get(id).copied() == Some(before_all(id) + 2);
        Ok(twice(&format!("file:{CONFIG}")) && twice("package:haproxy"))
    });
    measured("nothing has drifted", || Ok(drifted(&fleet).is_empty()));
}

#[test]
fn a_storm_is_let_be_and_harms_nobody() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host(HOST);
    fleet.append_state("roles/balancer.yaml", "enforce: true\n");
    assert_eq!(fleet.ctl("apply role=balancer --yes").code, 0);
    let usage = || -> u64 {
        let nanos = host.succeed("systemctl show -p CPUUsageNSec --value brine-agent");
        nanos.trim().parse().expect("a number")
    };
    let before = usage();
    let storm = host.spawn(
        "end=$(( $(date +%s) + 20 )); \
         while test $(date +%s) -lt $end; do echo '# insists' >> /etc/motd; sleep 0.01; done",
    );
    measured("given up", || {
        let given_up =
            |(id, state): &(String, String)| id == "file:/etc/motd" && state == "given up";
        Ok(drifted(&fleet).iter().any(given_up))
    });
    let ended = storm.wait(Duration::from_secs(40));
    assert_eq!(ended.code, 0, "{ended}");
    let share = Duration::from_nanos(usage() - before).as_secs_f64() / 20.0;
    super::figure(&format!(
        "a storm of 20 s took {:.1} % of a processor",
        share * 100.0
    ));
    let asked = fleet.ctl(&format!("facts node={HOST} --fresh"));
    assert_eq!(asked.code, 0, "{asked}");
    assert_eq!(fleet.ctl("apply role=balancer --yes").code, 0);
    host.succeed("! grep -q insists /etc/motd");
}

#[test]
fn a_reload_of_an_edited_file_is_undone_and_a_paused_node_is_left_alone() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host(HOST);
    fleet.append_state("roles/balancer.yaml", "enforce: true\n");
    assert_eq!(fleet.ctl("apply role=balancer --yes").code, 0);
    let runs_on = |value: u32| {
        let sign = format!(
            "curl -s http://127.0.0.1:7000/metrics | grep -qx 'haproxy_process_max_connections {value}'"
        );
        Ok(host.run(&sign).code == 0)
    };
    measured("the shipped value", || runs_on(2000));
    let edit = format!("sed -i 's/maxconn 2000/maxconn 1999/' {CONFIG}");
    host.succeed(&format!("{edit} && systemctl reload haproxy"));
    let undone = measured("file and process are as applied", || {
        Ok(host.run(&format!("grep -q 'maxconn 2000' {CONFIG}")).code == 0 && runs_on(2000)?)
    });
    super::figure(&format!(
        "an edited file and its reload undone after {undone} ms"
    ));
    measured("nothing has drifted", || Ok(drifted(&fleet).is_empty()));

    let paused = fleet.ctl(&format!("nodes pause {HOST} --for 1h --reason trial"));
    assert_eq!(paused.code, 0, "{paused}");
    host.succeed(&edit);
    measured("seen and left", || {
        let left =
            |(id, state): &(String, String)| id == &format!("file:{CONFIG}") && state == "paused";
        Ok(drifted(&fleet).iter().any(left))
    });
    host.succeed(&format!("grep -q 'maxconn 1999' {CONFIG}"));
    assert_eq!(fleet.ctl(&format!("nodes resume {HOST}")).code, 0);
    measured("brought back", || {
        Ok(host.run(&format!("grep -q 'maxconn 2000' {CONFIG}")).code == 0)
    });
    measured("nothing has drifted", || Ok(drifted(&fleet).is_empty()));
}
