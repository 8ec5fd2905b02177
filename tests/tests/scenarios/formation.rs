//! No second cluster, whatever is applied where.

use std::time::Duration;

use lab::fleet::Fleet;
use lab::wait_until;

use crate::database::{self, MEMBERS, Topology, whole};

const ROLE: &str = include_str!("../../../states/roles/db.yaml");

/// A fleet of which only one member of three has come up.
#[test]
fn one_member_alone_founds_nothing() {
    if std::env::var_os("BRINE_LAB").is_none() {
        return;
    }
    let db01 = lab::nodes::find("db01").expect("a host of the list");
    let fleet = Fleet::start("alone", &[db01]).expect("one host starts");
    // As it is shipped: three members.
    fleet.write_state("roles/db.yaml", ROLE);
    let targets = [
        "all",
        "role=db",
        "node=db01",
        "node=db01 --skip-unreachable",
    ];
    for target in targets {
        let applied = fleet.ctl(&format!("apply {target} --yes"));
        assert_eq!(applied.code, 1, "{target}:\n{applied}");
        let said = "the role `db` needs 3 members, 1 is registered";
        assert!(applied.to_string().contains(said), "{applied}");
    }
    // The others are known by now, and never came: nobody can say that they have no cluster.
    for name in ["db02", "db03"] {
        let address = lab::nodes::find(name).expect("a host of the list").address;
        let added = fleet.ctl(&format!("nodes add {name} --role db --address {address}"));
        assert_eq!(added.code, 0, "{added}");
    }
    for target in targets {
        let applied = fleet.ctl(&format!("apply {target} --yes"));
        assert_eq!(applied.code, 4, "{target}:\n{applied}");
        assert!(applied.to_string().contains("db02"), "{applied}");
    }
    let host = fleet.host("db01");
    host.succeed("test ! -e /var/lib/etcd/main && test ! -e /etc/etcd && ! command -v etcd");
    fleet.lab().destroy().expect("it ends");
}

/// The server reaches it, its fellows do not: to itself it looks like the only one in the world.
#[test]
fn a_member_that_is_cut_off_from_its_fellows_founds_nothing() {
    let Some(fleet) = super::fleet() else { return };
    let before = whole(&fleet);
    let lost = before.replicas()[0];
    let cluster = |fleet: &Fleet, host: &str| {
        fleet.host(host).succeed(
            "ls -i /var/lib/etcd/main/member; cat /var/lib/postgresql/15/main/PG_VERSION; \
             cd / && runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_controldata \
             /var/lib/postgresql/15/main | grep 'system identifier'",
        )
    };
    let data = MEMBERS.map(|host| cluster(&fleet, host));
    for other in MEMBERS.into_iter().filter(|other| *other != lost) {
        fleet.lab().cut_one_way(lost, other).expect("cut");
        fleet.lab().cut_one_way(other, lost).expect("cut");
    }
    wait_until("it sees no leader", Duration::from_secs(60), || {
        let health = fleet.operator().run(&format!(
            "curl -s -m 2 http://{lost}:8008/health; curl -s -m 3 http://{lost}:8008/cluster"
        ));
        Ok(!health.stdout.contains("streaming"))
    })
    .expect("it notices");
    fleet.write_state(
        "data/roles/db.yaml",
        "patroni:\n  parameters: { max_connections: 120 }\n",
    );
    // Here it is not worth the usual three minutes of waiting that it gets better.
    fleet.brine01().succeed(
        "cd /srv/brine/states/formulas && sed -i 's/within: 180s/within: 15s/' etcd/formula.yaml patroni/formula.yaml",
    );
    let running = |fleet: &Fleet| -> Vec<String> {
        let fellows = MEMBERS.into_iter().filter(|one| *one != lost);
        fellows
            .map(|host| database::processes(fleet, host))
            .collect()
    };
    let untouched = running(&fleet);
    for target in [format!("node={lost}"), "role=db".to_owned()] {
        // It is out already, so that it may be mended; but whatever is tried there, it stays out,
        // and nobody else is touched.
        let applied = fleet.ctl(&format!("apply {target} --yes"));
        assert_eq!(applied.code, 1, "{target}:\n{applied}");
        let said = format!("{lost} did not become healthy");
        assert!(applied.to_string().contains(&said), "{applied}");
        assert!(!applied.to_string().contains("not approved"), "{applied}");
        assert_eq!(MEMBERS.map(|host| cluster(&fleet, host)), data, "{target}");
        assert_eq!(running(&fleet), untouched, "{target}");
    }
    fleet.lab().mend_network().expect("mended");
    let after = whole(&fleet);
    assert_eq!(after.leader, before.leader);
    assert_eq!(MEMBERS.map(|host| cluster(&fleet, host)), data);
}

/// The server cannot reach it, nor anybody else.
#[test]
fn a_member_that_is_cut_off_from_all_is_refused() {
    let Some(fleet) = super::fleet() else { return };
    let before = whole(&fleet);
    let host = fleet.host("db01");
    host.partition().expect("its link is cut");
    wait_until("the server notices", Duration::from_secs(90), || {
        Ok(fleet.node("db01")?["connected"] == false)
    })
    .expect("it counts as gone");
    for target in ["node=db01", "role=db", "all"] {
        let applied = fleet.ctl(&format!("apply {target} --yes"));
        assert_eq!(applied.code, 4, "{target}:\n{applied}");
        assert!(applied.to_string().contains("db01"), "{applied}");
    }
    host.heal().expect("its link is back");
    let after = whole(&fleet);
    assert!(after.timeline >= before.timeline);
    assert!(Topology::seen_by(&fleet, "db01").is_ok());
    database::sql(&fleet, "db01", "select 1");
}
