//! All hosts lose their power at once, and everything comes back by itself.

use std::time::{Duration, Instant};

use lab::nodes;
use lab::wait_until;

use crate::any_host;
use crate::database::{self, sql};

#[test]
fn everything_comes_back_by_itself() {
    let Some(fleet) = super::fleet() else { return };
    let rows = "create table if not exists cold (n int); insert into cold values (1)";
    for round in 1..=super::rounds(1, 10) {
        let leader = database::whole(&fleet).leader;
        sql(&fleet, &leader, rows);
        let hosts: Vec<_> = nodes::fleet()
            .iter()
            .map(|node| fleet.host(node.name))
            .collect();
        for host in &hosts {
            host.power_cut().expect("the power is cut");
        }
        let begin = Instant::now();
        for host in &hosts {
            host.power_on().expect("it boots");
        }
        let mut left = Vec::new();
        wait_until("every host to run", Duration::from_secs(180), || {
            left = hosts
                .iter()
                .map(|host| host.run("systemctl is-system-running").stdout)
                .filter(|state| state.trim() != "running")
                .collect();
            Ok(left.is_empty())
        })
        .unwrap_or_else(|error| panic!("{error:#}: {left:?}"));
        any_host::serves(&fleet);
        let took = begin.elapsed().as_secs();
        let leader = database::whole(&fleet).leader;
        let kept = sql(&fleet, &leader, "select count(*) from cold");
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
    let leader = database::whole(&fleet).leader;
    sql(&fleet, &leader, "drop table cold");
}
