//! The lab itself: what scenarios rely on is true. Runs only where `BRINE_LAB` is set.

mod webapp;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

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
    let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
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

#[test]
fn a_host_and_its_commands_stay_in_their_bounds() {
    let Some((lab, _)) = two_hosts("bounds") else {
        return;
    };
    let (host, other) = (lab.host("backend01"), lab.host("backend02"));

    // A link of the host leads somewhere in the host.
    let target = format!("/var/tmp/lab-escape-{}", std::process::id());
    host.succeed(&format!("ln -s {target} /root/link"));
    host.write_file("/root/link", b"inside").expect("written");
    assert_eq!(host.succeed(&format!("cat {target}")), "inside");
    assert!(
        !Path::new(&target).exists(),
        "written to the machine itself"
    );

    // What the operator leaves is the lab's own; names resolve there.
    let marker = format!("/tmp/lab-marker-{}", std::process::id());
    lab.operator().succeed(&format!("touch {marker}"));
    assert!(!Path::new(&marker).exists());
    lab.operator().succeed("getent hosts backend01");

    // A process in the background does not hold the test, a time limit leaves nothing behind.
    let begun = Instant::now();
    assert_eq!(host.run("sleep 30 &").code, 0);
    assert!(begun.elapsed() < Duration::from_secs(10));
    let late = host
        .spawn("echo early; sleep 777")
        .wait(Duration::from_secs(1));
    assert_eq!((late.code, late.stdout.as_str()), (124, "early\n"));
    assert_ne!(
        host.run("pgrep -fx 'sleep 777'").code,
        0,
        "it outlived its limit"
    );

    // The power may go while a host is frozen.
    host.freeze().expect("frozen");
    host.power_cut().expect("off");
    host.power_on().expect("on again, and not frozen");

    // Another lab beside it has the same addresses and its own machines.
    let Some((beside, _)) = two_hosts("beside") else {
        return;
    };
    assert_ne!(
        beside.host("backend02").succeed("cat /etc/machine-id"),
        other.succeed("cat /etc/machine-id")
    );
    for percent in [99, 1] {
        lab.packet_loss("backend01", percent).expect("lossy");
    }
    assert_eq!(
        lab.operator()
            .succeed("nft list ruleset | grep -c numgen")
            .trim(),
        "2",
        "it adds up"
    );
}

/// Not a test but the victim of the next ones: holds a lab in a static, as the scenarios do.
#[test]
fn victim() {
    static HELD: OnceLock<Lab> = OnceLock::new();
    let Some(how) = std::env::var_os("LAB_VICTIM") else {
        return;
    };
    let name = format!("victim-{}", std::process::id());
    let lab = HELD.get_or_init(|| match how.to_str() {
        Some("detached") => Lab::start(&name, Lifetime::Detached).expect("it starts"),
        _ => two_hosts("victim").expect("BRINE_LAB is set").0,
    });
    println!("folder {}", lab.folder().display());
    if how == "killed" {
        std::thread::park();
    }
}

/// Runs the victim to its end and gives the folder of its lab.
fn run_victim(how: &str) -> PathBuf {
    let mut test = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "victim", "--nocapture"])
        .env("LAB_VICTIM", how)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(test.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok);
    let folder = lines.find_map(|line| Some(PathBuf::from(line.split_once("folder ")?.1)));
    let folder = folder.expect("it holds a lab");
    if how == "killed" {
        assert!(folder.exists());
        test.kill().expect("killed");
    }
    lines.for_each(drop);
    assert_eq!(test.wait().expect("ended").success(), how != "killed");
    folder
}

fn nothing_is_left(folder: &Path) {
    wait_until("its disks to be removed", Duration::from_secs(20), || {
        Ok(!folder.exists())
    })
    .expect("the keeper clears away");
    let name = folder
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let left = lab::process::succeed(
        Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("brine-lab-{name}")]),
        Duration::from_secs(10),
    );
    assert_eq!(left.expect("find runs"), "", "a cgroup is left");
    wait_until("its processes to end", Duration::from_secs(10), || {
        Ok(processes_naming(folder) == 0)
    })
    .expect("they end");
}

#[test]
fn nothing_is_left_of_a_test_that_ended_or_was_killed() {
    if std::env::var_os("BRINE_LAB").is_none() {
        return;
    }
    for how in ["ended", "killed"] {
        nothing_is_left(&run_victim(how));
    }
}

#[test]
fn a_detached_lab_outlives_its_starter_until_it_is_destroyed() {
    if std::env::var_os("BRINE_LAB").is_none() {
        return;
    }
    let folder = run_victim("detached");
    let name = folder
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let lab = Lab::attach(&name).expect("it runs");
    lab.operator()
        .succeed("ip address show br0 | grep -q 10.77.0.254");
    assert!(
        Lab::start(&name, Lifetime::Process).is_err(),
        "its name is taken"
    );
    drop(lab);
    Lab::attach(&name)
        .expect("a handle may go")
        .destroy()
        .expect("destroyed");
    assert!(Lab::attach(&name).is_err());
    nothing_is_left(&folder);
}

/// How many processes have this folder in their arguments.
fn processes_naming(folder: &Path) -> usize {
    let needle = folder.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .expect("readable")
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(&needle))
        .count()
}
