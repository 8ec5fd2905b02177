//! Changes under load: reloads that nobody notices, broken ones that never arrive.

#[test]
fn a_parameter_reloads_haproxy_without_a_failed_request() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("balancer01");
    let pid = host.succeed("systemctl show -p MainPID --value haproxy");
    let load = fleet.operator().spawn(
        "i=0; bad=0; while [ ! -e /run/stop-load ]; do i=$((i+1)); \
         curl -sf -m 5 -o /dev/null http://balancer01/ || bad=$((bad+1)); done; echo $i $bad",
    );
    fleet.write_state("data/roles/balancer.yaml", "haproxy: { maxconn: 3000 }\n");
    let applied = fleet.ctl("apply role=balancer --yes");
    fleet.operator().succeed("touch /run/stop-load");
    let counted = load.wait_with_output();
    fleet.operator().succeed("rm -f /run/stop-load");
    assert_eq!(applied.code, 0, "{applied}");
    let counts: Vec<u32> = counted
        .stdout
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    assert!(counts[0] > 20, "the load ran: {counted}");
    assert_eq!(
        counts[1], 0,
        "of {} requests {} failed",
        counts[0], counts[1]
    );
    assert_eq!(
        host.succeed("systemctl show -p MainPID --value haproxy"),
        pid,
        "it was restarted"
    );
    assert!(
        host.succeed("cat /etc/haproxy/haproxy.cfg")
            .contains("maxconn 3000")
    );
    host.succeed("journalctl -u haproxy -o cat | grep -qi reload");
}

#[test]
fn a_broken_configuration_is_refused_in_haproxys_words() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("balancer01");
    let before =
        host.succeed("sha256sum /etc/haproxy/haproxy.cfg; systemctl show -p InvocationID haproxy");
    fleet.append_state(
        "formulas/haproxy/templates/haproxy.cfg.hbs",
        "\nbackend broken\n    balance roundrobbin\n",
    );
    let applied = fleet.ctl("apply role=balancer --yes");
    assert_eq!(applied.code, 1, "{applied}");
    let shown = format!("{applied}");
    assert!(
        shown.contains("roundrobbin"),
        "HAProxy's own words are missing:\n{shown}"
    );
    assert_eq!(
        host.succeed("sha256sum /etc/haproxy/haproxy.cfg; systemctl show -p InvocationID haproxy"),
        before
    );
    assert_eq!(
        host.succeed("ls -A /etc/haproxy | grep -c brine || true")
            .trim(),
        "0",
        "a temporary file is left"
    );
    fleet.operator().succeed("curl -sf http://balancer01/");
}
