//! Runs outlive whatever dies around them.

use std::time::Duration;

use lab::wait_until;

/// Something that takes a few seconds on a backend, and says that it has begun and ended.
fn slow(fleet: &lab::fleet::Fleet) {
    fleet.write_state(
        "formulas/slow/formula.yaml",
        "formula: slow\ndescription: Takes its time.\nresources:\n\
         \x20 - command: slow\n    argv: [sh, -c, \"touch /run/slow-began; sleep 6; touch /run/slow-ended\"]\n    creates: /run/slow-ended\n",
    );
    fleet.write_state(
        "roles/backend.yaml",
        "role: backend\ndescription: Test.\nformulas: [base, webapp, slow]\nmembers: 3\n",
    );
    for host in ["backend01", "backend02", "backend03"] {
        fleet.host(host).succeed("rm -f /run/slow-*");
    }
}

fn began(fleet: &lab::fleet::Fleet) {
    wait_until("the slow command began", Duration::from_secs(60), || {
        Ok(fleet.host("backend01").run("test -e /run/slow-began").code == 0)
    })
    .expect("it begins");
}

fn last_run(fleet: &lab::fleet::Fleet) -> serde_json::Value {
    fleet.ctl_json("--output json runs list")[0].clone()
}

#[test]
fn ctl_killed_the_run_goes_on() {
    let Some(fleet) = super::fleet() else { return };
    slow(&fleet);
    let run = fleet.spawn_ctl("apply node=backend01 --yes");
    began(&fleet);
    fleet.brine01().succeed("pkill -KILL -x ctl");
    let _ = run.wait_with_output();
    wait_until("the run ends by itself", Duration::from_secs(60), || {
        Ok(last_run(&fleet)["phase"] == "succeeded")
    })
    .expect("it succeeds without ctl");
    fleet.host("backend01").succeed("test -e /run/slow-ended");
}

#[test]
fn the_link_cut_the_agent_finishes_and_delivers_later() {
    let Some(fleet) = super::fleet() else { return };
    slow(&fleet);
    let run = fleet.spawn_ctl("apply node=backend01 --yes");
    began(&fleet);
    let host = fleet.host("backend01");
    host.partition().expect("cut");
    wait_until("it finishes alone", Duration::from_secs(60), || {
        Ok(host.run("test -e /run/slow-ended").code == 0)
    })
    .expect("it does");
    host.heal().expect("healed");
    let output = run.wait_with_output();
    assert_eq!(output.code, 0, "the result arrived after all:\n{output}");
}

#[test]
fn the_server_killed_the_run_is_interrupted_at_a_known_place() {
    let Some(fleet) = super::fleet() else { return };
    slow(&fleet);
    let run = fleet.spawn_ctl("apply role=backend --yes");
    began(&fleet);
    fleet
        .brine01()
        .succeed("systemctl kill -s KILL brine-server");
    let cut = run.wait_with_output();
    assert_ne!(cut.code, 0, "ctl says that the server is gone:\n{cut}");
    wait_until("the server is back", Duration::from_secs(60), || {
        Ok(fleet.ctl("status").code == 0)
    })
    .expect("restarted");
    let interrupted = last_run(&fleet);
    assert_eq!(interrupted["phase"], "interrupted", "{interrupted}");
    assert!(
        interrupted["reason"]
            .as_str()
            .is_some_and(|r| r.contains("backend01")),
        "{interrupted}"
    );
    wait_until("all agents are back", Duration::from_secs(60), || {
        Ok(fleet.connected()? == fleet.nodes().len())
    })
    .expect("reconnected");
    assert_eq!(
        fleet.ctl("apply role=backend --yes").code,
        0,
        "the next apply finishes it"
    );
}

#[test]
fn two_operators_at_once_the_second_is_told_who_holds_the_lease() {
    let Some(fleet) = super::fleet() else { return };
    slow(&fleet);
    let first = fleet.spawn_ctl("apply node=backend01 --yes");
    began(&fleet);
    let second = fleet.ctl("apply node=backend02 --yes");
    assert_eq!(second.code, 4, "{second}");
    assert!(
        format!("{second}").contains("run "),
        "it names the run that holds it:\n{second}"
    );
    assert_eq!(first.wait_with_output().code, 0);
    assert_eq!(
        fleet.ctl("apply node=backend02 --yes").code,
        0,
        "afterwards it may"
    );
}
