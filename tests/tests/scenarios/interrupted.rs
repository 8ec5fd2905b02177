//! A rollout over the database stops half-way, and is finished after mending.

use std::time::Duration;

use lab::fleet::Fleet;
use lab::wait_until;
use serde_json::Value;

use crate::database::{self, MEMBERS, nothing_lost, sql, whole};

fn last_run(fleet: &Fleet) -> Value {
    fleet.ctl_json("--output json runs list")[0].clone()
}

fn change(fleet: &Fleet, value: u32) {
    fleet.write_state(
        "data/roles/db.yaml",
        &format!("patroni:\n  parameters: {{ max_connections: {value} }}\n"),
    );
}

/// Which members run with this many connections; those that do not answer are left out.
fn with(fleet: &Fleet, value: u32) -> Vec<&'static str> {
    let mut members = MEMBERS.to_vec();
    members.retain(|member| {
        let asked = "cd / && timeout 5 runuser -u postgres -- psql -Atc 'show max_connections'";
        fleet.host(member).run(asked).stdout.trim() == value.to_string()
    });
    members
}

fn first_changed(fleet: &Fleet, value: u32) -> &'static str {
    let mut found = Vec::new();
    wait_until(
        "the first member to be changed",
        Duration::from_secs(120),
        || {
            found = with(fleet, value);
            Ok(!found.is_empty())
        },
    )
    .expect("it is");
    found[0]
}

/// A Patroni that neither works nor ends; until dropped.
struct Hanging(lab::host::Host);

impl Hanging {
    fn start(host: lab::host::Host) -> Self {
        host.succeed("systemctl kill -s STOP patroni");
        Self(host)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.0.run("systemctl kill -s CONT patroni");
    }
}

#[test]
fn a_sick_member_stops_the_rollout_and_resume_finishes_it() {
    let Some(fleet) = super::fleet() else { return };
    let before = whole(&fleet);
    let writer = database::writer(&fleet);
    change(&fleet, 130);
    let run = fleet.spawn_ctl("apply role=db --yes");
    let first = first_changed(&fleet, 130);
    // The replica whose turn comes next falls sick: its Patroni hangs.
    let sick = before.replicas().into_iter().find(|one| *one != first);
    let sick = sick.expect("two replicas");
    let hanging = Hanging::start(fleet.host(sick));
    let stopped = run.wait_with_output();
    assert_eq!(stopped.code, 1, "{stopped}");
    assert!(
        stopped.to_string().contains(sick),
        "it names it:\n{stopped}"
    );
    let record = last_run(&fleet);
    assert_eq!(record["phase"], "failed", "{record}");
    let shown = fleet.ctl(&format!("runs show {}", record["id"]));
    assert!(
        shown.stdout.contains(sick) && shown.stdout.contains("untouched"),
        "{shown}"
    );
    assert_eq!(
        sql(&fleet, &before.leader, "show max_connections"),
        "100",
        "the leader was not touched"
    );

    drop(hanging);
    whole(&fleet);
    let resumed = fleet.ctl("apply --resume");
    assert_eq!(resumed.code, 0, "{resumed}");
    nothing_lost(writer, "rollout stopped at a sick member, then resumed");
    assert_eq!(with(&fleet, 130), MEMBERS);
}

#[test]
fn the_server_killed_in_mid_rollout_resume_finishes_it() {
    let Some(fleet) = super::fleet() else { return };
    let before = whole(&fleet);
    let writer = database::writer(&fleet);
    change(&fleet, 140);
    let run = fleet.spawn_ctl("apply role=db --yes");
    let first = first_changed(&fleet, 140);
    fleet
        .brine01()
        .succeed("systemctl kill -s KILL brine-server");
    let cut = run.wait_with_output();
    assert_ne!(cut.code, 0, "{cut}");
    wait_until("the server is back", Duration::from_secs(60), || {
        Ok(fleet.ctl("status").code == 0)
    })
    .expect("restarted");
    fleet
        .wait_connected(Duration::from_secs(90))
        .expect("all are back");
    let record = last_run(&fleet);
    assert_eq!(record["phase"], "interrupted", "{record}");
    assert!(
        with(&fleet, 140).len() < 3,
        "it was killed in mid-rollout, after {first}"
    );
    let resumed = fleet.ctl("apply --resume");
    assert_eq!(resumed.code, 0, "{resumed}");
    nothing_lost(writer, "server killed in mid-rollout, then resumed");
    assert_eq!(with(&fleet, 140), MEMBERS);
    let after = whole(&fleet);
    assert!(
        after.timeline - before.timeline <= 1,
        "{before:?} {after:?}"
    );
}
