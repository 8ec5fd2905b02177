//! All hosts lose their power at once, and everything comes back by itself.

use std::time::{Duration, Instant};

use lab::fleet::Fleet;

use crate::any_host;
use crate::database;

/// What is not up, host by host.
fn states(fleet: &Fleet) -> String {
    let nodes = fleet.nodes().into_iter().map(|node| {
        let told = fleet.host(node.name).run(
            "systemctl is-system-running; systemctl list-jobs --no-legend; systemctl --failed --no-legend",
        );
        format!("{}: {}", node.name, told.stdout)
    });
    nodes.collect()
}

#[test]
fn everything_comes_back_by_itself() {
    let Some(fleet) = super::fleet() else { return };
    let sql = |statement: &str| database::sql(&fleet, &database::whole(&fleet).leader, statement);
    // What a run that failed left.
    sql("drop table if exists cold");
    sql("create table cold (n int)");
    for round in 1..=super::rounds(1, 10) {
        sql("insert into cold values (1)");
        for node in fleet.nodes() {
            let host = fleet.host(node.name);
            host.power_cut().expect("the power is cut");
        }
        let begin = Instant::now();
        fleet
            .power_on()
            .unwrap_or_else(|error| panic!("{error:#}: {}", states(&fleet)));
        any_host::serves(&fleet);
        let took = begin.elapsed().as_secs();
        let kept = sql("select count(*) from cold");
        assert_eq!(kept, round.to_string(), "rows that were there before");
        super::figure(&format!(
            "cold boot {round}: everything answers after {took} s"
        ));
        for host in ["backend01", "backend02", "backend03"] {
            fleet
                .host(host)
                .succeed("mountpoint -q /srv/static && ls /srv/static/image.png");
        }
        fleet
            .wait_connected(Duration::from_secs(90))
            .expect("all agents are back");
        let again = fleet.ctl("plan --detailed-exit-code all");
        assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
    }
    sql("drop table cold");
}
