//! The leader's host dies, is cut off, or freezes and comes back: writes go on, none is lost.

use std::time::Duration;

use lab::wait_until;

use crate::database::{self, Topology, nothing_lost, whole};

/// Waits until a member other than this one leads, as the others see it.
fn replaced(fleet: &lab::fleet::Fleet, old: &Topology) -> Topology {
    let mut found = None;
    wait_until("another leader", Duration::from_secs(60), || {
        found = old
            .replicas()
            .into_iter()
            .filter_map(|member| Topology::seen_by(fleet, member).ok())
            .find(|seen| seen.leader != old.leader && seen.timeline > old.timeline);
        Ok(found.is_some())
    })
    .expect("a replica takes over");
    found.expect("it was found")
}

#[test]
fn the_leaders_host_loses_its_power() {
    let Some(fleet) = super::fleet() else { return };
    for round in 1..=super::rounds(1, 5) {
        let before = whole(&fleet);
        let writer = database::writer(&fleet);
        let host = fleet.host(&before.leader);
        host.power_cut().expect("the power is cut");
        replaced(&fleet, &before);
        let report = nothing_lost(writer, &format!("leader's power cut, round {round}"));
        assert!(report.longest_gap_ms > 0);
        host.power_on().expect("it boots again");
        let after = whole(&fleet);
        assert_ne!(after.leader, before.leader, "it rejoined as a replica");
    }
}

#[test]
fn the_leader_is_cut_off() {
    let Some(fleet) = super::fleet() else { return };
    for round in 1..=super::rounds(1, 5) {
        let before = whole(&fleet);
        let writer = database::writer(&fleet);
        let host = fleet.host(&before.leader);
        host.partition().expect("its link is cut");
        replaced(&fleet, &before);
        // Behind the cut it must not take writes that nobody would ever see again.
        wait_until("it steps down", Duration::from_secs(60), || {
            let recovering = host.run(
                "cd / && runuser -u postgres -- psql -Atc 'select pg_is_in_recovery()' 2>/dev/null",
            );
            Ok(recovering.stdout.trim() != "f")
        })
        .expect("it demotes itself");
        let report = nothing_lost(writer, &format!("leader cut off, round {round}"));
        assert!(report.longest_gap_ms > 0);
        host.heal().expect("its link is back");
        let after = whole(&fleet);
        assert_ne!(after.leader, before.leader, "it rejoined as a replica");
    }
}

/// What Debian's Patroni gets wrong with etcd's v3 API: a leader that wakes after its successor was
/// elected takes the key back, and the successor's writes are lost.
#[test]
fn a_frozen_leader_that_wakes_costs_no_write() {
    let Some(fleet) = super::fleet() else { return };
    for round in 1..=super::rounds(2, 10) {
        let before = whole(&fleet);
        let writer = database::writer(&fleet);
        let host = fleet.host(&before.leader);
        host.freeze().expect("frozen");
        replaced(&fleet, &before);
        let acked = writer.acked();
        wait_until(
            "the new leader takes writes",
            Duration::from_secs(60),
            || Ok(writer.acked() > acked + 20),
        )
        .expect("writes go on");
        host.thaw().expect("thawed");
        let after = whole(&fleet);
        assert_ne!(
            after.leader, before.leader,
            "round {round}: it took over again"
        );
        nothing_lost(writer, &format!("leader frozen and thawed, round {round}"));
        copies_agree(&fleet, round);
    }
}

/// All three members have the same rows once the replicas have caught up.
fn copies_agree(fleet: &lab::fleet::Fleet, round: usize) {
    let question =
        "select count(*), md5(string_agg(run || id, ',' order by run, id)) from lab_rows";
    let copies = || {
        database::MEMBERS.map(|member| {
            let command =
                format!("cd / && runuser -u postgres -- psql -d webapp -Atc \"{question}\"");
            fleet.host(member).succeed(&command)
        })
    };
    wait_until("three equal copies", Duration::from_secs(30), || {
        let copies = copies();
        Ok(copies.iter().all(|copy| *copy == copies[0]))
    })
    .unwrap_or_else(|error| panic!("round {round}: {error:#}: {:?}", copies()));
}
