//! Settings of PostgreSQL that need a restart: one member at a time, the right one last.

use crate::database::{self, MEMBERS, Topology, Watch, nothing_lost, whole};

fn max_connections(fleet: &lab::fleet::Fleet, value: u32) {
    fleet.write_state(
        "data/roles/db.yaml",
        &format!("patroni:\n  parameters: {{ max_connections: {value} }}\n"),
    );
}

/// Applies it under a writer; gives how many switchovers that took.
fn change(fleet: &lab::fleet::Fleet, value: u32, what: &str) -> u64 {
    let before = whole(fleet);
    max_connections(fleet, value);
    let plan = fleet.ctl("plan role=db");
    assert!(
        plan.stdout.contains(&format!("→ {value}")),
        "the plan says what changes:\n{plan}"
    );
    let writer = database::writer(fleet);
    let watch = Watch::members(fleet);
    let applied = fleet.ctl("apply role=db --yes");
    let worst = watch.worst(fleet);
    assert_eq!(applied.code, 0, "{what}:\n{applied}");
    nothing_lost(writer, what);
    assert!(worst <= 1, "{what}: {worst} members were down at once");
    for member in MEMBERS {
        assert_eq!(
            database::sql(fleet, member, "show max_connections"),
            value.to_string(),
            "{what}: on {member}"
        );
    }
    whole(fleet).timeline - before.timeline
}

#[test]
fn a_setting_grows_and_shrinks_with_one_switchover_at_most() {
    let Some(fleet) = super::fleet() else { return };
    let grown = change(&fleet, 150, "max_connections 100 to 150");
    assert!(grown <= 1, "{grown} switchovers");
    let shrunk = change(&fleet, 100, "max_connections 150 to 100");
    assert!(shrunk <= 1, "{shrunk} switchovers");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}

#[test]
fn with_a_member_dead_it_is_refused_before_anything_is_touched() {
    let Some(fleet) = super::fleet() else { return };
    let before = whole(&fleet);
    let dead = before.replicas()[1];
    fleet.host(dead).power_cut().expect("the power is cut");
    lab::wait_until(
        "the server notices",
        std::time::Duration::from_secs(90),
        || Ok(fleet.node(dead)?["connected"] == false),
    )
    .expect("it counts as gone");
    max_connections(&fleet, 120);
    let alive: Vec<&str> = MEMBERS.into_iter().filter(|one| *one != dead).collect();
    let state = |fleet: &lab::fleet::Fleet| {
        alive
            .iter()
            .map(|member| {
                let file = fleet
                    .host(member)
                    .succeed("sha256sum /etc/patroni/config.yml");
                file + &database::processes(fleet, member)
            })
            .collect::<Vec<_>>()
    };
    let untouched = state(&fleet);
    for target in [
        "role=db",
        "role=db --skip-unreachable",
        &format!("node={}", alive[0]),
    ] {
        let applied = fleet.ctl(&format!("apply {target} --yes"));
        assert_eq!(applied.code, 4, "{target} is refused:\n{applied}");
        let said = applied.to_string();
        assert!(said.contains(dead), "it says who is missing:\n{said}");
        assert_eq!(state(&fleet), untouched, "{target} touched something");
    }
    let after = Topology::of(&fleet).expect("a leader");
    assert_eq!(
        (after.leader, after.timeline),
        (before.leader, before.timeline),
        "nobody else leads"
    );
    for member in alive {
        assert_eq!(database::sql(&fleet, member, "show max_connections"), "100");
    }
}

#[test]
fn a_rolling_restart_as_documented() {
    let Some(fleet) = super::fleet() else { return };
    let before = whole(&fleet);
    let started = |fleet: &lab::fleet::Fleet| {
        MEMBERS.map(|member| database::sql(fleet, member, "select pg_postmaster_start_time()"))
    };
    let (writer, watch) = (database::writer(&fleet), Watch::members(&fleet));
    let since = started(&fleet);
    let done = fleet.ctl("do role=db patroni.restart --yes");
    let worst = watch.worst(&fleet);
    assert_eq!(done.code, 0, "{done}");
    nothing_lost(writer, "rolling restart");
    assert!(worst <= 1, "{worst} members were down at once");
    let after = whole(&fleet);
    assert!(
        after.timeline - before.timeline <= 1,
        "{before:?} {after:?}"
    );
    let now = started(&fleet);
    for index in 0..MEMBERS.len() {
        assert_ne!(since[index], now[index], "{} restarted", MEMBERS[index]);
    }
}
