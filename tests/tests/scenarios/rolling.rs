//! A change moves over the backends one at a time, or not at all.

use std::time::Duration;

use lab::wait_until;

use crate::database::Watch;

#[test]
fn never_two_backends_out_at_once() {
    let Some(fleet) = super::fleet() else { return };
    let backends = ["backend01", "backend02", "backend03"];
    let watch = Watch::start(
        &fleet,
        &backends.map(|backend| format!("http://{backend}:8090/healthz")),
    );
    fleet.write_state("data/roles/backend.yaml", "webapp: { greeting: Rolled }\n");
    let applied = fleet.ctl("apply role=backend --yes");
    let worst = watch.worst(&fleet);
    assert_eq!(applied.code, 0, "{applied}");
    assert!(worst <= 1, "{worst} backends were out at once");
    for backend in ["backend01", "backend02", "backend03"] {
        let answer = fleet
            .operator()
            .succeed(&format!("curl -sf http://{backend}:8090/"));
        assert_eq!(answer.trim(), format!("Rolled from {backend}"));
    }
    // The record says the same: each started after the one before was healthy again.
    let starts: Vec<u64> = ["backend01", "backend02", "backend03"]
        .iter()
        .map(|b| {
            let at = fleet
                .host(b)
                .succeed("systemctl show -p ExecMainStartTimestampMonotonic --value webapp");
            at.trim().parse().expect("a number")
        })
        .collect();
    assert!(
        starts.windows(2).all(|pair| pair[0] != pair[1]),
        "{starts:?}"
    );
}

#[test]
fn with_a_dead_member_it_refuses_before_touching_another() {
    let Some(fleet) = super::fleet() else { return };
    fleet.write_state("data/roles/backend.yaml", "webapp: { greeting: Careful }\n");
    fleet
        .host("backend03")
        .power_cut()
        .expect("the power is cut");
    wait_until("the server notices", Duration::from_secs(90), || {
        Ok(fleet.node("backend03")?["connected"] == false)
    })
    .expect("backend03 counts as gone");

    let whole = fleet.ctl("apply role=backend --yes");
    assert_eq!(whole.code, 4, "an unreachable target is refused:\n{whole}");
    assert!(format!("{whole}").contains("backend03"), "{whole}");

    let one = fleet.ctl("apply node=backend01 --yes");
    assert!(
        one.code == 4 || one.code == 1,
        "the gate holds for members outside the target:\n{one}"
    );
    assert!(
        format!("{one}").contains("backend03"),
        "it says who is missing:\n{one}"
    );
    for backend in ["backend01", "backend02"] {
        let answer = fleet
            .operator()
            .succeed(&format!("curl -sf http://{backend}:8090/"));
        assert_eq!(answer.trim(), format!("Hello from {backend}"), "untouched");
    }
}
