//! What people do by hand shows in a plan, and an apply mends just that.

#[test]
fn each_kind_of_drift_is_planned_and_mended() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("balancer01");
    let cases = [
        ("systemctl stop haproxy", "service:haproxy", "start"),
        (
            "systemctl disable --quiet haproxy 2>/dev/null",
            "service:haproxy",
            "enable",
        ),
        (
            "echo '# by hand' >> /etc/haproxy/haproxy.cfg",
            "file:/etc/haproxy/haproxy.cfg",
            "-# by hand",
        ),
        (
            "chmod 0666 /etc/haproxy/haproxy.cfg",
            "file:/etc/haproxy/haproxy.cfg",
            "0666",
        ),
        ("chown haproxy /etc/motd", "file:/etc/motd", "haproxy"),
        (
            "apt-get remove -qy haproxy >/dev/null 2>&1",
            "package:haproxy",
            "install",
        ),
    ];
    for (damage, resource, shown) in cases {
        host.succeed(damage);
        let plan = fleet.ctl("plan role=balancer");
        assert_eq!(plan.code, 0, "{damage}:\n{plan}");
        assert!(
            plan.stdout.contains(resource),
            "{damage}: the plan leaves out {resource}:\n{plan}"
        );
        assert!(
            plan.stdout.contains(shown),
            "{damage}: the plan does not show `{shown}`:\n{plan}"
        );
        assert!(
            !plan.stdout.contains("file:/etc/motd") || resource.contains("motd"),
            "{plan}"
        );
        assert_eq!(fleet.ctl("apply role=balancer --yes").code, 0, "{damage}");
        let after = fleet.ctl("plan --detailed-exit-code role=balancer");
        assert_eq!(after.code, 0, "{damage}: something is left:\n{after}");
        host.succeed("systemctl is-active haproxy && systemctl is-enabled haproxy");
    }
}

#[test]
fn mending_a_mode_restarts_nothing() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("backend02");
    let before = host.succeed("systemctl show -p InvocationID --value webapp");
    host.succeed("chmod 0644 /etc/webapp/environment");
    assert_eq!(fleet.ctl("apply node=backend02 --yes").code, 0);
    assert_eq!(
        host.succeed("stat -c %a /etc/webapp/environment").trim(),
        "600"
    );
    assert_eq!(
        host.succeed("systemctl show -p InvocationID --value webapp"),
        before
    );
}
