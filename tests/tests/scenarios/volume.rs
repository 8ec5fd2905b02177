//! The replicated volume with the application's files.

use std::time::Duration;

use lab::fleet::Fleet;
use lab::process::Running;
use lab::wait_until;

use crate::database::prober;

const MEMBERS: [&str; 3] = ["backend01", "backend02", "backend03"];

/// Entries that are yet to be healed; none while a copy is away.
fn backlog(fleet: &Fleet, host: &str) -> Option<u64> {
    let told = fleet
        .host(host)
        .run("gluster volume heal static info summary");
    let lines = told.stdout.lines();
    let numbers = lines.filter_map(|line| line.strip_prefix("Total Number of entries:"));
    let numbers: Vec<Option<u64>> = numbers.map(|number| number.trim().parse().ok()).collect();
    if numbers.len() == MEMBERS.len() {
        numbers.into_iter().sum()
    } else {
        None
    }
}

/// Waits until all have the volume mounted and nothing is left to heal.
pub(crate) fn whole(fleet: &Fleet) {
    let mut seen = Vec::new();
    wait_until("the volume to be whole", Duration::from_secs(180), || {
        seen = MEMBERS
            .iter()
            .map(|host| {
                let mounted = "mountpoint -q /srv/static && stat /srv/static/image.png";
                (fleet.host(host).run(mounted).code, backlog(fleet, host))
            })
            .collect();
        Ok(seen.iter().all(|one| *one == (0, Some(0))))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {seen:?}"));
}

/// Writes a small file to the volume every 50 ms; says how many, how many failed, and the longest stall.
struct Scribe(Running);

impl Scribe {
    fn start(fleet: &Fleet, host: &str) -> Self {
        let host = fleet.host(host);
        host.succeed("rm -f /run/stop-scribe");
        Self(host.spawn(
            "n=0; failed=0; worst=0; before=$(date +%s%3N); \
             while [ ! -e /run/stop-scribe ]; do n=$((n+1)); \
             echo $n > /srv/static/scribe.$((n%50)) 2>/dev/null || failed=$((failed+1)); \
             now=$(date +%s%3N); took=$((now-before)); before=$now; \
             [ $took -gt $worst ] && worst=$took; sleep 0.05; done; \
             rm -f /srv/static/scribe.*; echo $n $failed $worst",
        ))
    }

    fn stop(self, fleet: &Fleet, host: &str) -> (u64, u64, u64) {
        fleet.host(host).succeed("touch /run/stop-scribe");
        let output = self.0.wait(Duration::from_secs(120));
        let numbers: Vec<u64> = output
            .stdout
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [written, failed, worst] = numbers.as_slice() else {
            panic!("{output}")
        };
        (*written, *failed, *worst)
    }
}

#[test]
fn a_member_without_power_costs_a_stall_and_no_file() {
    let Some(fleet) = super::fleet() else { return };
    whole(&fleet);
    let (clients, scribe) = (prober(&fleet, "/image"), Scribe::start(&fleet, "backend01"));
    let host = fleet.host("backend02");
    host.power_cut().expect("the power is cut");
    let silent = || Ok(backlog(&fleet, "backend01").is_none());
    wait_until("its copy to be missed", Duration::from_secs(60), silent).expect("missed");
    // What is written meanwhile is healed when it is back.
    fleet
        .host("backend03")
        .succeed("echo while it was away > /srv/static/meanwhile");
    host.power_on().expect("it boots");
    whole(&fleet);
    let (written, failed, worst) = scribe.stop(&fleet, "backend01");
    let report = clients.stop().expect("the prober's report");
    super::figure(&format!(
        "member of the volume without power: {failed} of {written} writes failed, the longest stall {worst} ms; \
         {} of {} pictures failed, the slowest took {} ms",
        report.failed, report.requests, report.slowest_ms
    ));
    assert_eq!((failed, report.failed), (0, 0), "{report:?}");
    let read = host.succeed("cat /srv/static/meanwhile && rm /srv/static/meanwhile");
    assert_eq!(read.trim(), "while it was away");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}

/// As the README says it.
#[test]
fn a_member_that_is_lost_is_replaced_and_gets_its_copy() {
    let Some(fleet) = super::fleet() else { return };
    whole(&fleet);
    fleet
        .host("backend01")
        .succeed("head -c 20000000 /dev/urandom > /srv/static/large; sync");
    let sum = |host: &str| fleet.host(host).succeed("sha256sum < /srv/static/large");
    let expected = sum("backend03");
    let clients = prober(&fleet, "/image");
    fleet.replace("backend02").expect("a fresh machine enrols");
    let applied = fleet.ctl("apply node=backend02 --yes");
    assert_eq!(applied.code, 0, "{applied}");
    whole(&fleet);
    // Its own copy is there, not just what the others show it.
    let own = fleet
        .host("backend02")
        .succeed("sha256sum < /srv/brick/static/large");
    assert_eq!(own, expected);
    let report = clients.stop().expect("the prober's report");
    assert_eq!(report.failed, 0, "{report:?}");
    let pool = fleet.host("backend01").succeed("gluster pool list");
    assert_eq!(pool.matches("Connected").count(), 3, "{pool}");
    assert_eq!(pool.matches("Disconnected").count(), 0, "{pool}");
    fleet.host("backend01").succeed("rm /srv/static/large");
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");
}
