//! The lab itself: what scenarios rely on is true. Runs only where `BRINE_LAB` is set.

mod webapp;

use std::path::Path;
use std::time::Duration;

use lab::image::{Images, ensure_images};
use lab::{Lab, Lifetime, wait_until};

fn two_hosts(name: &str) -> Option<(Lab, Images)> {
    std::env::var_os("BRINE_LAB")?;
    lab::prerequisites::ensure_installed().expect("the machine has what the lab needs");
    let images = ensure_images().expect("the images build");
    let lab = Lab::start(&format!("{name}-{}", std::process::id()), Lifetime::Process)
        .expect("it starts");
    let layer = lab.folder().join("layer");
    std::fs::create_dir_all(&layer).expect("a folder");
    std::thread::scope(|scope| {
        for (host, join) in [("backend01", Some("a-token")), ("backend02", None)] {
            let (lab, images, layer) = (&lab, &images, &layer);
            scope.spawn(move || lab.boot(host, images, layer, join).expect("it boots"));
        }
    });
    Some((lab, images))
}

#[test]
fn hosts_are_real_and_faults_are_felt() {
    let Some((lab, _)) = two_hosts("itself") else {
        return;
    };
    let (one, two) = (lab.host("backend01"), lab.host("backend02"));

    // Identities of their own, the token where a cloud would put it.
    let id = one.succeed("cat /etc/machine-id");
    assert_eq!(id.trim().len(), 32);
    assert_ne!(id, two.succeed("cat /etc/machine-id"));
    assert_eq!(
        one.succeed("cat /run/credentials/@system/brine.join"),
        "a-token"
    );
    assert_ne!(two.run("cat /run/credentials/@system/brine.join").code, 0);

    // Real packages.
    one.succeed("DEBIAN_FRONTEND=noninteractive apt-get update -q && apt-get install -qy --no-install-recommends haproxy curl");
    one.succeed("systemctl is-active haproxy");

    // The network between them, cut and mended.
    two.succeed("systemd-run -q -u web socat TCP-LISTEN:8000,fork,reuseaddr EXEC:'echo hello'");
    let reaches = || {
        one.run("timeout 2 socat -u TCP:backend02:8000,connect-timeout=1 -")
            .stdout
            == "hello\n"
    };
    let becomes = |expected: bool| {
        wait_until("the network", Duration::from_secs(20), || {
            Ok(reaches() == expected)
        })
        .expect("it changes");
    };
    becomes(true);
    two.partition().expect("cut");
    becomes(false);
    two.heal().expect("healed");
    becomes(true);
    lab.cut_one_way("backend02", "backend01").expect("cut");
    becomes(false);
    lab.mend_network().expect("mended");
    becomes(true);
    lab.packet_loss("backend02", 99).expect("lossy");
    becomes(false);
    lab.mend_network().expect("mended");
    two.freeze().expect("frozen");
    becomes(false);
    two.thaw().expect("thawed");
    becomes(true);

    // Reboot, crash, power cut: the same machine comes back.
    one.reboot().expect("it reboots");
    assert_eq!(one.succeed("cat /etc/machine-id"), id);
    one.succeed("systemctl is-active haproxy");
    one.power_cut().expect("off");
    assert!(!one.is_on());
    one.power_on().expect("on");
    assert_eq!(one.succeed("cat /etc/machine-id"), id);
    one.power_off().expect("off");
    one.wipe().expect("a new disk");
}

#[test]
fn nothing_is_left_of_a_killed_lab() {
    let Some((lab, _)) = two_hosts("killed") else {
        return;
    };
    let folder = lab.folder().to_owned();
    let leader = lab.host("backend01").leader().expect("on");
    let pid = std::fs::read_to_string(folder.join("pid")).expect("a pid");
    let killed = std::process::Command::new("kill")
        .args(["-KILL", pid.trim()])
        .status();
    assert!(killed.expect("kill runs").success());
    wait_until("its processes to end", Duration::from_secs(10), || {
        Ok(!Path::new(&format!("/proc/{leader}")).exists())
    })
    .expect("they end");
    let mounts = std::fs::read_to_string("/proc/mounts").expect("readable");
    assert!(
        !mounts.contains(&*folder.to_string_lossy()),
        "a mount is left"
    );
    drop(lab);
    assert!(!folder.exists());
}
