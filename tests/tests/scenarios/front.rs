//! The address that the balancers share: it is where HAProxy works.

use std::time::Duration;

use lab::fleet::Fleet;
use lab::load::{Prober, ProberReport};
use lab::nodes::FRONT;
use lab::wait_until;

use crate::database::BALANCERS;

/// Who has the address on an interface.
fn holders(fleet: &Fleet) -> Vec<&'static str> {
    let mut holders = BALANCERS.to_vec();
    holders.retain(|balancer| {
        let host = fleet.host(balancer);
        host.is_on()
            && host
                .run(&format!("ip -4 -br address | grep -qw {FRONT}"))
                .code
                == 0
    });
    holders
}

/// Waits until exactly one has it, and gives who.
pub(crate) fn holder(fleet: &Fleet) -> &'static str {
    let mut seen = Vec::new();
    wait_until("one holder of the address", Duration::from_secs(30), || {
        seen = holders(fleet);
        Ok(seen.len() == 1)
    })
    .unwrap_or_else(|error| panic!("{error:#}: {seen:?}"));
    seen.first().copied().expect("one")
}

fn other(balancer: &str) -> &'static str {
    let mut others = BALANCERS.into_iter();
    others.find(|one| *one != balancer).expect("two")
}

/// A client of the address, twenty requests a second.
fn client(fleet: &Fleet) -> Prober {
    let front = FRONT.to_string();
    Prober::start(fleet.lab(), &[&front], "/", Duration::from_millis(50)).expect("a prober")
}

fn ends(client: Prober, what: &str) -> ProberReport {
    let report = client.stop().expect("the prober's report");
    super::figure(&format!(
        "{what}: {} of {} requests failed, within {} ms; slowest answer {} ms",
        report.failed, report.requests, report.failing_ms, report.slowest_ms
    ));
    report
}

/// Waits until `to` has it and a new client is served.
fn moves(fleet: &Fleet, to: &str) {
    wait_until("the address to move", Duration::from_secs(30), || {
        Ok(holders(fleet).contains(&to))
    })
    .expect("it moves");
    wait_until("a new client to be served", Duration::from_secs(30), || {
        let asked = fleet
            .operator()
            .run(&format!("curl -sf -m 1 http://{FRONT}/"));
        Ok(asked.code == 0)
    })
    .expect("it is served");
}

#[test]
fn the_address_moves_and_comes_back_only_when_it_must() {
    let Some(fleet) = super::fleet() else { return };
    let first = holder(&fleet);
    let second = other(first);

    let clients = client(&fleet);
    let host = fleet.host(first);
    host.power_cut().expect("the power is cut");
    moves(&fleet, second);
    ends(clients, "the holder's power cut");

    // It is back, and takes nothing away from who works.
    let clients = client(&fleet);
    host.power_on().expect("it boots");
    wait_until("it stands by", Duration::from_secs(60), || {
        let stands = host.run("journalctl -b -u keepalived -g 'Entering BACKUP' --no-pager -q");
        Ok(stands.code == 0)
    })
    .expect("it stands by");
    let report = ends(clients, "the old holder's return");
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(holder(&fleet), second);

    // HAProxy stops on a host that works.
    let clients = client(&fleet);
    fleet.host(second).succeed("systemctl stop haproxy");
    moves(&fleet, first);
    ends(clients, "HAProxy stopped on the holder");
    fleet.host(second).succeed("systemctl start haproxy");
    assert_eq!(holder(&fleet), first);
}

/// As the README says it.
#[test]
fn a_balancer_is_taken_out_and_back() {
    let Some(fleet) = super::fleet() else { return };
    let first = holder(&fleet);
    let second = other(first);
    let clients = client(&fleet);
    let out = fleet.ctl(&format!("do node={first} keepalived.release --yes"));
    assert_eq!(out.code, 0, "{out}");
    moves(&fleet, second);
    let back = fleet.ctl(&format!("apply node={first} --yes"));
    assert_eq!(back.code, 0, "{back}");
    let report = ends(clients, "a balancer taken out and back");
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(holder(&fleet), second, "nobody takes it back");

    // Who holds it changes last.
    fleet.write_state("data/roles/balancer.yaml", "keepalived:\n  router: 52\n");
    let changed = fleet.ctl("apply role=balancer --yes");
    assert_eq!(changed.code, 0, "{changed}");
    let text = changed.to_string();
    let place = |balancer: &str| text.find(&format!("{balancer}: applying"));
    assert!(place(first) < place(second), "{text}");
    holder(&fleet);
}
