//! Members of the database that are replaced by fresh machines, join, and leave for good.

use lab::fleet::Fleet;

use crate::database::{self, Topology, nothing_lost, sql, whole};

/// Everything that Brine and the packages may write, with when and what.
fn files(fleet: &Fleet, host: &str) -> String {
    fleet.host(host).succeed(
        "find /etc /opt /usr/lib/systemd /var/lib/brine-agent/secrets* -type f -printf '%p %T@ %C@ %s\\n' \
         2>/dev/null | sort",
    )
}

fn etcd_members(fleet: &Fleet) -> String {
    let command = "ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 \
        --cacert /etc/etcd/tls/ca.pem --cert /etc/etcd/tls/member.pem --key /etc/etcd/tls/member.key \
        member list";
    fleet.host("db01").succeed(command)
}

#[test]
fn db02_is_replaced_and_nothing_changes_on_its_fellows() {
    let Some(fleet) = super::fleet() else { return };
    whole(&fleet);
    let fellows = ["db01", "db03"];
    let look =
        |fleet: &Fleet| fellows.map(|host| (files(fleet, host), database::processes(fleet, host)));
    let before = look(&fleet);
    let known = etcd_members(&fleet);
    let writer = database::writer(&fleet);

    // `ctl nodes replace db02`, a boot with the token, `ctl apply node=db02`.
    fleet.replace("db02").expect("a fresh machine enrols");
    let plan = fleet.ctl("plan node=db02");
    assert_eq!(plan.code, 0, "{plan}");

    // A new machine that does not see its fellows must not think that there are none.
    for fellow in fellows {
        fleet.lab().cut_one_way("db02", fellow).expect("cut");
        fleet.lab().cut_one_way(fellow, "db02").expect("cut");
    }
    let alone = fleet.ctl("apply node=db02 --yes");
    assert_eq!(alone.code, 1, "{alone}");
    fleet.host("db02").succeed(
        "test ! -e /var/lib/etcd/main/member && test ! -e /var/lib/postgresql/15/main/PG_VERSION \
         && ! systemctl is-active etcd patroni",
    );
    fleet.lab().mend_network().expect("mended");
    let applied = fleet.ctl("apply node=db02 --yes");
    assert_eq!(applied.code, 0, "{applied}");

    nothing_lost(writer, "db02 replaced");
    whole(&fleet);
    let after = look(&fleet);
    for (index, host) in fellows.iter().enumerate() {
        assert_eq!(after[index].0, before[index].0, "a file of {host} changed");
        assert_eq!(
            after[index].1, before[index].1,
            "a process of {host} changed"
        );
    }
    let now = etcd_members(&fleet);
    assert_eq!(now.lines().count(), 3, "{now}");
    assert!(!now.contains("unstarted") && !now.contains("true"), "{now}");
    assert_ne!(known, now, "its member of etcd is a new one");
    let counts = database::MEMBERS.map(|host| {
        let question = "select count(*) > 0 from pg_database where datname = 'webapp'";
        sql(&fleet, host, question)
    });
    assert_eq!(counts, ["t"; 3], "all have the application's database");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}

/// As the READMEs of patroni and etcd say it, line by line.
#[test]
fn a_fourth_member_joins_and_leaves_for_good() {
    let Some(fleet) = super::fleet() else { return };
    whole(&fleet);
    let writer = database::writer(&fleet);
    fleet.add("db04").expect("it boots and enrols");
    // Its fellows must let it in first.
    let alone = fleet.ctl("plan node=db04");
    assert_eq!(alone.code, 0, "{alone}");
    let applied = fleet.ctl("apply role=db --yes");
    assert_eq!(applied.code, 0, "{applied}");
    let streams = || Ok(Topology::of(&fleet)?.streaming.contains("db04"));
    lab::wait_until(
        "db04 to stream",
        std::time::Duration::from_secs(60),
        streams,
    )
    .expect("it streams");
    let now = etcd_members(&fleet);
    assert_eq!(now.lines().count(), 4, "{now}");
    assert!(!now.contains("unstarted") && !now.contains("true"), "{now}");
    let followed = fleet.ctl("apply all --yes");
    assert_eq!(followed.code, 0, "{followed}");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
    nothing_lost(writer, "db04 joined");

    let writer = database::writer(&fleet);
    let done = |arguments: &str| {
        let done = fleet.ctl(arguments);
        assert_eq!(done.code, 0, "{arguments}: {done}");
    };
    done("do node=db04 patroni.leave --yes");
    done("do node=db04 etcd.leave --yes");
    done("nodes remove db04 --yes");
    done("apply 'role=db or role=balancer' --yes");
    nothing_lost(writer, "db04 left");
    whole(&fleet);
    let now = etcd_members(&fleet);
    assert_eq!(now.lines().count(), 3, "{now}");
    let host = fleet.host("db04");
    host.power_cut().expect("the power is cut");
    host.wipe().expect("its disk is gone");
    done("apply all --yes");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}
