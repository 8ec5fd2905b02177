//! The machines' metrics by the agents themselves: the same as node_exporter's, also while a mount hangs, and scraped
//! everywhere without anybody saying where.

mod exposition;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lab::fleet::Fleet;
use lab::wait_until;

use self::exposition::{Families, Range, parse, shape};
use crate::monitoring::query;

/// Where the exporter and promtool are unpacked: nothing of the node's is changed.
const BENCH: &str = "/root/bench";

/// Theirs is on by default in Debian's package only; here both are told the same.
const FLAGS: &str = "--collector.systemd --collector.netdev.address-info";

/// What one side has for a reason.
fn compared(mut families: Families) -> Families {
    families.retain(|name, _| {
        // Of the exporter's own: its language, its library, its web server, its version; and of the agent's.
        let own = [
            "go_",
            "promhttp_",
            "process_",
            "brine_",
            "node_exporter_build_info",
        ];
        // How long each took.
        !own.iter().any(|own| name.starts_with(own))
            && name != "node_scrape_collector_duration_seconds"
    });
    families
}

/// Unpacks Debian's node_exporter and promtool, and starts the first.
fn exporter(fleet: &Fleet, host: &str) {
    let host = fleet.host(host);
    host.succeed(&format!(
        "mkdir -p {BENCH}/tree && cd {BENCH} && chmod 755 . && apt-get -q update && \
         apt-get -q -o APT::Sandbox::User=root download prometheus prometheus-node-exporter && \
         for deb in *.deb; do dpkg -x $deb tree; done"
    ));
    serve(fleet, host.name(), FLAGS);
}

fn serve(fleet: &Fleet, host: &str, flags: &str) {
    let host = fleet.host(host);
    host.succeed(&format!(
        "systemctl stop -q theirs 2>/dev/null; systemd-run -q --unit theirs --collect {BENCH}/tree/usr/bin/prometheus-node-exporter \
         --web.listen-address=127.0.0.1:19100 {flags}"
    ));
    wait_until("their exporter", Duration::from_secs(30), || {
        Ok(host
            .run("curl -sf -o /dev/null http://127.0.0.1:19100/")
            .code
            == 0)
    })
    .expect("it answers");
}

fn theirs(fleet: &Fleet, host: &str) -> Families {
    compared(parse(&asked(fleet, host, "localhost:19100")))
}

/// The agent's answer, as a scraper gets it.
fn ours(fleet: &Fleet, host: &str) -> String {
    asked(fleet, host, &format!("{host}:9100"))
}

/// Both in one way, since who asks is part of what is told: a client that looks up the name itself has another thread,
/// and with it more memory that it was promised.
fn asked(fleet: &Fleet, host: &str, place: &str) -> String {
    let (name, port) = place.split_once(':').expect("a port");
    fleet.host(host).succeed(&format!(
        "address=$(getent ahostsv4 {name} | head -n 1 | cut -d ' ' -f 1); \
         curl -sf -H \"Authorization: Bearer $(cat /etc/brine/metrics.token)\" http://$address:{port}/metrics"
    ))
}

#[test]
fn they_are_node_exporters() {
    let Some(fleet) = super::fleet() else { return };
    let host = "db02";
    fleet.write_state(
        "data/nodes/db02.yaml",
        "node_metrics: { arguments: [--collector.systemd] }\n",
    );
    let applied = fleet.ctl("apply role=db --yes");
    assert_eq!(applied.code, 0, "{applied}");
    exporter(&fleet, host);
    wait_until(
        "the agent to have read its flags",
        Duration::from_secs(30),
        || Ok(ours(&fleet, host).contains("node_systemd_unit_state")),
    )
    .expect("no restart is needed");
    // Gauges go up and down between readings: each series has to be within what theirs told around it, once.
    let mut range = Range::default();
    let mut left: Option<BTreeSet<String>> = None;
    let mut odd = Vec::new();
    let mut rounds = 0;
    range.add(&theirs(&fleet, host));
    let agreed = wait_until("each value to agree", Duration::from_secs(120), || {
        rounds += 1;
        let before = theirs(&fleet, host);
        let mine = compared(parse(&ours(&fleet, host)));
        let after = theirs(&fleet, host);
        range.add(&before);
        range.add(&after);
        odd = shape(&before, &mine);
        odd.retain(|line| shape(&after, &mine).contains(line));
        let now = range.apart(&mine);
        let still = match left.take() {
            None => now,
            Some(left) => left.intersection(&now).cloned().collect(),
        };
        let done = still.is_empty() && odd.is_empty();
        left = Some(still);
        Ok(done)
    });
    agreed.unwrap_or_else(|error| panic!("{error:#}: {odd:#?}, never the same: {left:#?}"));
    let text = ours(&fleet, host);
    let all = compared(parse(&text));
    let series: usize = all.values().map(|family| family.samples.len()).sum();
    super::figure(&format!(
        "{} families, {series} series as node_exporter's, after {rounds} rounds",
        all.len()
    ));
    assert!(all.len() > 200, "{}", all.len());
    // promtool finds the faults of names that it finds in theirs, and none of ours.
    let host = fleet.host(host);
    let check = |what: &str| {
        let told = host.run(&format!(
            "{what} | {BENCH}/tree/usr/bin/promtool check metrics 2>&1"
        ));
        let lines = told.stdout.lines().map(str::to_owned);
        lines.collect::<BTreeSet<String>>()
    };
    let known = check("curl -s http://127.0.0.1:19100/metrics");
    let found = check(&format!(
        "curl -s -H \"Authorization: Bearer $(cat /etc/brine/metrics.token)\" http://{}:9100/metrics",
        host.name()
    ));
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty() && !known.is_empty(), "{new:#?}");
    captured(&fleet, host.name());
    host.succeed(&format!("systemctl stop -q theirs; rm -rf {BENCH}"));
}

/// The same over files that were captured: twice the same text, and theirs.
fn captured(fleet: &Fleet, host: &str) {
    let machine = fleet.host(host);
    machine.succeed(&format!(
        "cd {BENCH} && rm -rf copy && mkdir -p copy/proc/1 copy/proc/net/stat copy/proc/sys/fs copy/proc/sys/kernel/random \
         copy/proc/sys/net/netfilter copy/proc/pressure copy/proc/self copy/sys/class copy/sys/devices/system/clocksource copy/sys/devices/system copy/etc; \
         for file in stat meminfo vmstat loadavg diskstats uptime cpuinfo schedstat mounts pressure/cpu pressure/io pressure/memory \
           net/dev net/netstat net/snmp net/snmp6 net/sockstat net/sockstat6 net/softnet_stat net/arp net/udp net/udp6 \
           net/stat/nf_conntrack sys/fs/file-nr sys/kernel/random/entropy_avail sys/kernel/random/poolsize \
           sys/net/netfilter/nf_conntrack_count sys/net/netfilter/nf_conntrack_max 1/mounts; do \
           cat /proc/$file > copy/proc/$file 2>/dev/null || rm -f copy/proc/$file; done; \
         for device in /sys/class/net/*; do mkdir -p copy$device; \
           for file in $device/*; do [ -f $file ] && cat $file > copy$file 2>/dev/null || rm -f copy$file; done; done; \
         for clock in /sys/devices/system/clocksource/clocksource*; do mkdir -p copy$clock; cp $clock/*_clocksource copy$clock/; done; \
         cp /etc/os-release copy/etc/; true"
    ));
    // The clock, the kernel's name and file systems are asked of the kernel, wherever the files are.
    let flags = format!(
        "--path.procfs={BENCH}/copy/proc --path.sysfs={BENCH}/copy/sys --path.rootfs={BENCH}/copy --no-collector.timex --no-collector.filesystem --no-collector.systemd --no-collector.netdev.netlink"
    );
    let mut still = compared(parse(
        &machine.succeed(&format!("brine-agent metrics {flags}")),
    ));
    let mut again = compared(parse(
        &machine.succeed(&format!("brine-agent metrics {flags}")),
    ));
    serve(fleet, host, &flags);
    let mut their = theirs(fleet, host);
    for side in [&mut still, &mut again, &mut their] {
        side.remove("node_time_seconds");
    }
    assert_eq!(still, again, "captured files say the same twice");
    let odd = shape(&their, &still);
    let mut range = Range::default();
    range.add(&their);
    let values = range.apart(&still);
    assert!(odd.is_empty() && values.is_empty(), "{odd:#?} {values:#?}");
    assert!(still.len() > 100, "{}", still.len());
}

#[test]
fn every_node_is_scraped_without_a_list() {
    let Some(fleet) = super::fleet() else { return };
    wait_until("a series of each node", Duration::from_secs(60), || {
        Ok(query(&fleet, "node_uname_info").len() == 9
            && query(&fleet, "brine_agent_connected == 1").len() == 9)
    })
    .unwrap_or_else(|error| panic!("{error:#}: {:#?}", query(&fleet, "up")));
    let list = fleet
        .host("grafana01")
        .succeed("cat /etc/victoria-metrics/scrape.yml");
    assert!(
        list.contains("/discovery") && !list.contains(":9100"),
        "{list}"
    );
    // The server tells of itself and of all of them.
    for (asked, due) in [
        ("sum(brine_server_node_connected)", "9"),
        ("count(brine_server_nodes{state=\"connected\"})", "4"),
        ("count(up{job=\"node\",role=\"db\"})", "3"),
        ("min(brine_agent_last_apply_success)", "1"),
        ("sum(brine_agent_drifted_resources)", "0"),
        ("max(brine_gluster_pending_heals)", "0"),
    ] {
        let mut seen = Default::default();
        wait_until(asked, Duration::from_secs(60), || {
            seen = query(&fleet, asked);
            Ok(seen.values().next().is_some_and(|value| value == due))
        })
        .unwrap_or_else(|error| panic!("{error:#}: {seen:#?}"));
    }
    // Strangers get nothing, neither of a node nor of the fleet.
    for address in [
        "http://db01:9100/metrics",
        "https://10.77.0.10:4641/discovery",
        "https://10.77.0.10:4641/metrics",
    ] {
        let told = fleet.operator().run(&format!(
            "curl -sk -o /dev/null -w '%{{http_code}}' {address}"
        ));
        assert_eq!(told.stdout, "401", "{address}: {told}");
    }
    // A node that comes later needs nothing to be said, and nothing to be applied elsewhere.
    fleet.add("backend04").expect("it comes up");
    wait_until(
        "the new node to be expected",
        Duration::from_secs(90),
        || Ok(query(&fleet, "up{instance=\"backend04\"}").len() == 1),
    )
    .expect("it is discovered");
    fleet.remove("backend04").expect("it goes down");
}

#[test]
fn a_mount_that_hangs_costs_itself() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("backend02");
    let threads = || -> u32 {
        let told = host.succeed("ls /proc/$(pgrep -x brine-agent | head -1)/task | wc -l");
        told.trim().parse().expect("a number")
    };
    let label = "mountpoint=\"/srv/static\",fstype=\"fuse.glusterfs\"} ";
    let error = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("node_filesystem_device_error{") && line.contains(label));
        line.map(|line| line.ends_with(" 1"))
    };
    assert_eq!(error(&ours(&fleet, "backend02")), Some(false));
    // The client of the mount, and not the shell that looks for it.
    const CLIENT: &str = "-f '[g]lusterfs.* /srv/static'";
    host.succeed(&format!("pkill -STOP {CLIENT}"));
    let _again = Continued(&host);
    let mut counts = Vec::new();
    for round in 1..=4 {
        let begin = Instant::now();
        let text = ours(&fleet, "backend02");
        super::figure(&format!(
            "a mount hangs: scrape {round} took {:?}",
            begin.elapsed()
        ));
        assert_eq!(error(&text), Some(true), "{text}");
        for collector in ["filesystem", "cpu", "netdev"] {
            let line = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 1");
            assert!(text.lines().any(|known| known == line), "{line}");
        }
        assert!(text.contains("node_filesystem_size_bytes{") && text.contains("node_load1 "));
        counts.push(threads());
    }
    assert!(
        counts[1..].iter().all(|count| *count <= counts[0]),
        "threads pile up: {counts:?}"
    );
    host.succeed(&format!("pkill -CONT {CLIENT}"));
    wait_until(
        "the mount to be told again",
        Duration::from_secs(60),
        || Ok(error(&ours(&fleet, "backend02")) == Some(false)),
    )
    .expect("it comes back");
}

/// However the scenario ends, the next one finds a mount that answers.
struct Continued<'a>(&'a lab::host::Host);

impl Drop for Continued<'_> {
    fn drop(&mut self) {
        let _ = self.0.run("pkill -CONT glusterfs");
    }
}
