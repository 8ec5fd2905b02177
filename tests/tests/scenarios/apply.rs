//! The main job: from bare hosts to a serving fleet, and nothing to do the second time.

use std::time::Duration;

use lab::fleet::Fleet;
use lab::wait_until;

use crate::database;

const BACKENDS: [&str; 3] = ["backend01", "backend02", "backend03"];
const BALANCERS: [&str; 2] = ["balancer01", "balancer02"];

/// Run once, on the fleet's way up: what only bare hosts can show.
pub(super) fn from_bare_hosts(fleet: &Fleet) {
    let plan = fleet.ctl("plan all");
    assert_eq!(plan.code, 0, "a plan on bare nodes has no errors:\n{plan}");
    for part in [
        "package:haproxy",
        "file:/etc/haproxy/haproxy.cfg",
        "service:webapp",
        "service:haproxy",
    ] {
        assert!(
            plan.stdout.contains(part),
            "the plan leaves out {part}:\n{plan}"
        );
    }
    let applied = fleet.ctl("apply all --yes");
    assert_eq!(applied.code, 0, "the first apply succeeds:\n{applied}");
}

#[test]
fn either_balancer_answers_with_each_backend_in_turn() {
    let Some(fleet) = super::fleet() else { return };
    for balancer in BALANCERS {
        wait_until(
            "all three backends in rotation",
            Duration::from_secs(20),
            || {
                let mut seen = Vec::new();
                for _ in 0..3 {
                    seen.push(
                        fleet
                            .operator()
                            .succeed(&format!("curl -sf http://{balancer}/")),
                    );
                }
                seen.sort();
                Ok(seen.len() == 3
                    && BACKENDS
                        .iter()
                        .zip(&seen)
                        .all(|(name, answer)| answer.trim() == format!("Hello from {name}")))
            },
        )
        .expect("each backend answers in turn");
    }
}

#[test]
fn the_second_apply_changes_nothing_and_forks_nothing() {
    let Some(fleet) = super::fleet() else { return };
    let hosts = BALANCERS;
    for host in &hosts {
        // Threads are clones too: only what makes a process counts.
        fleet.host(host).succeed(
            "rm -f /tmp/trace; strace -qq -f -e trace=execve,execveat,fork,vfork -o /tmp/trace \
             -p $(systemctl show -p MainPID --value brine-agent) >/dev/null 2>&1 & \
             for i in $(seq 100); do grep -q '^TracerPid:[[:space:]]*[1-9]' \
             /proc/$(systemctl show -p MainPID --value brine-agent)/status && exit 0; sleep 0.05; done; exit 1",
        );
    }
    // Elsewhere etcdctl and gluster are asked for their clusters' state: there only what runs counts.
    let all_hosts = BALANCERS.into_iter().chain(BACKENDS);
    let all_hosts: Vec<&str> = all_hosts.chain(database::MEMBERS).collect();
    let running = |host: &&str| database::processes(&fleet, host);
    let before: Vec<String> = all_hosts.iter().map(running).collect();
    let again = fleet.ctl("apply all --yes");
    for host in &hosts {
        fleet
            .host(host)
            .succeed("pkill -INT strace; while pgrep -x strace >/dev/null; do sleep 0.05; done");
    }
    assert_eq!(again.code, 0, "{again}");
    let all = fleet.nodes().len();
    let summary = format!("{all} nodes: {all} in sync");
    assert!(again.stdout.contains(&summary), "{again}");
    for (host, before) in all_hosts.iter().zip(before) {
        assert_eq!(running(host), before, "a service of {host} was touched");
    }
    for host in &hosts {
        let trace = fleet.host(host).succeed("cat /tmp/trace");
        assert!(
            !trace.contains("exec") && !trace.contains("fork("),
            "{host} started processes:\n{trace}"
        );
    }
    // The tracer does see processes: a guard against a check that cannot fail.
    let host = fleet.host("balancer01");
    host.succeed("strace -qq -f -e trace=execve -o /tmp/trace sh -c 'true; /bin/true'");
    assert!(host.succeed("cat /tmp/trace").contains("execve"));
}

#[test]
fn the_command_of_the_title_works_as_typed() {
    let Some(fleet) = super::fleet() else { return };
    // Without a terminal and without --yes it must not touch anything.
    assert_eq!(fleet.ctl("apply role=balancer </dev/null").code, 2);
    let typed = fleet
        .brine01()
        .succeed("echo y | script -qec 'ctl apply role=balancer' /dev/null");
    assert!(
        typed.contains("balancer01") && typed.contains("balancer02"),
        "{typed}"
    );
    assert!(
        !typed.contains("backend01"),
        "only the role is concerned:\n{typed}"
    );
    assert_ne!(fleet.ctl("apply ''").code, 0, "an empty target is an error");
}

#[test]
fn images_hold_no_identity_and_hosts_enrol_as_themselves() {
    let Some(fleet) = super::fleet() else { return };
    let mut ids = Vec::new();
    for host in BACKENDS.into_iter().chain(BALANCERS) {
        let host = fleet.host(host);
        ids.push(host.succeed("cat /etc/machine-id"));
        ids.push(host.succeed("sha256sum < /var/lib/brine-agent/key.pem"));
        assert_eq!(
            host.succeed("stat -c %a /var/lib/brine-agent/key.pem")
                .trim(),
            "600"
        );
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "every machine-id and key is its own");
}

#[test]
fn a_secret_shows_nowhere() {
    let Some(fleet) = super::fleet() else { return };
    let canary = "canary-7f3a9c1e5b";
    fleet.write_state(
        "formulas/vault/formula.yaml",
        "formula: vault\ndescription: Holds a secret.\n\
        parameters:\n  password: { type: secret, description: A canary. }\n\
        resources:\n  - file: /etc/vault.conf\n    template: vault.conf.hbs\n    mode: 0640\n",
    );
    fleet.write_state(
        "formulas/vault/templates/vault.conf.hbs",
        "password={{vault.password}}\n",
    );
    fleet.write_state(
        "roles/backend.yaml",
        "role: backend\ndescription: Test.\nformulas: [base, webapp, vault]\nmembers: 3\n",
    );
    fleet.brine01().succeed(&format!(
        "sed -i 's/^common:$/common:\\n  vault:\\n    password: {canary}/' /var/lib/brine-server/secrets.yaml \
         && grep -q {canary} /var/lib/brine-server/secrets.yaml"
    ));
    let mut shown = String::new();
    for command in [
        "plan role=backend",
        "apply role=backend --yes",
        "render backend01 /etc/vault.conf",
        "runs list",
        "--output json status",
    ] {
        let output = fleet.ctl(command);
        shown.push_str(&format!("$ ctl {command}\n{output}\n"));
    }
    assert_eq!(
        fleet
            .host("backend01")
            .succeed("cat /etc/vault.conf")
            .trim(),
        format!("password={canary}"),
        "{shown}"
    );
    assert!(shown.contains("sensitive"), "{shown}");
    assert!(
        !shown.contains(canary),
        "a secret in ctl's output:\n{shown}"
    );
    // Its one home on each side, and the file itself, are the only places that have it.
    let homes = fleet.brine01().succeed(&format!("journalctl -o cat | grep -c {canary}; grep -rl {canary} /var/lib/brine-server /var/log || true"));
    assert_eq!(homes.trim(), "0\n/var/lib/brine-server/secrets.yaml");
    let homes = fleet.host("backend01").succeed(&format!(
        "journalctl -o cat | grep -c {canary}; grep -rl {canary} /var/lib/brine-agent /var/log /run 2>/dev/null || true"
    ));
    let lines: Vec<&str> = homes.lines().collect();
    assert_eq!(lines[0], "0", "the journal has the secret");
    assert!(
        lines[1..].iter().all(|path| path.contains("secrets")),
        "{homes}"
    );
}
