//! Agents killed at any moment of an apply.

use std::time::Duration;

use lab::wait_until;

/// Deterministic, so that a failing round can be run again.
fn moment(round: usize) -> Duration {
    let spread = (round as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    Duration::from_millis(spread % 2500)
}

#[test]
fn an_agent_killed_at_random_moments_always_converges_next_time() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("balancer01");
    for round in 0..super::rounds(6, 50) {
        // Everything at once: a package to install, a file to write, a reload and a start owed.
        if round % 2 == 0 {
            host.succeed("apt-get remove -qy haproxy >/dev/null 2>&1; rm -f /etc/motd");
        }
        fleet.write_state(
            "data/roles/balancer.yaml",
            &format!("haproxy: {{ maxconn: {} }}\n", 2001 + round),
        );
        let run = fleet.spawn_ctl("apply node=balancer01 --yes");
        std::thread::sleep(moment(round));
        host.succeed("systemctl kill -s KILL brine-agent");
        let _ = run.wait_with_output();
        let file = host.run("cat /etc/haproxy/haproxy.cfg");
        if file.code == 0 {
            assert!(
                file.stdout.starts_with("global")
                    && file.stdout.contains("use-service prometheus-exporter"),
                "half a file in round {round}: {file}"
            );
        }
        if round % 5 == 4 {
            host.reboot().expect("it reboots");
        }
        wait_until("the agent is back", Duration::from_secs(60), || {
            Ok(fleet.node("balancer01")?["connected"] == true)
        })
        .expect("back");
        let next = fleet.ctl("apply node=balancer01 --yes");
        assert_eq!(next.code, 0, "round {round} does not converge:\n{next}");
        let left = fleet.ctl("plan --detailed-exit-code node=balancer01");
        assert_eq!(left.code, 0, "round {round} leaves something:\n{left}");
        // Not what the file says but what runs: the reload that was owed happened.
        let running = host.succeed(
            "echo 'show info' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | grep ^Maxconn:",
        );
        assert_eq!(
            running.trim(),
            format!("Maxconn: {}", 2001 + round),
            "round {round}: an owed reload was lost"
        );
        let invocation = host.succeed("systemctl show -p InvocationID --value haproxy");
        assert_eq!(fleet.ctl("apply node=balancer01 --yes").code, 0);
        assert_eq!(
            host.succeed("systemctl show -p InvocationID --value haproxy"),
            invocation,
            "round {round}: a restart that was not owed"
        );
    }
}

#[test]
fn a_restart_owed_across_a_crash_is_paid_once() {
    let Some(fleet) = super::fleet() else {
        return;
    };
    let host = fleet.host("backend01");
    let invocation = || host.succeed("systemctl show -p InvocationID --value webapp");
    let apply = || {
        let applied = fleet.ctl("apply node=backend01 --yes");
        assert_eq!(applied.code, 0, "{applied}");
    };
    fleet.write_state("data/roles/backend.yaml", "webapp: { greeting: Adieu }\n");
    // What a crash between the file and the restart leaves behind: the new content, unread.
    let write = "sed -i s/Hello/Adieu/ /etc/webapp/environment";
    let before = invocation();
    host.succeed(write);
    let plan = fleet.ctl("plan node=backend01");
    assert!(
        plan.stdout.contains("restart"),
        "the owed restart is planned:\n{plan}"
    );
    assert!(
        !plan.stdout.contains("~ file:/etc/webapp"),
        "the file is as it should be:\n{plan}"
    );
    apply();
    let after = invocation();
    assert_ne!(after, before, "the owed restart is paid");
    assert_eq!(
        fleet.operator().succeed("curl -sf http://backend01:8090/"),
        "Adieu from backend01\n"
    );
    apply();
    assert_eq!(invocation(), after, "it is paid once");

    // The same with a reboot in between: the process that runs has read the new content.
    fleet.write_state("data/roles/backend.yaml", "webapp: { greeting: Salut }\n");
    host.succeed("sed -i s/Adieu/Salut/ /etc/webapp/environment");
    host.reboot().expect("it reboots");
    let booted = invocation();
    wait_until("the agent is back", Duration::from_secs(60), || {
        Ok(fleet.node("backend01")?["connected"] == true)
    })
    .expect("back");
    apply();
    assert_eq!(invocation(), booted, "the reboot has paid it");
    assert_eq!(
        fleet.operator().succeed("curl -sf http://backend01:8090/"),
        "Salut from backend01\n"
    );
}
