//! What the server knows of a node is what the node's own tools say, entry by entry; and an auditor
//! gets his answer, also about a node that is away.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::fleet::Fleet;
use lab::wait_until;

/// The rows of a query, a line for each.
fn rows(fleet: &Fleet, sql: &str) -> BTreeSet<String> {
    let answer = fleet.ctl_json(&format!(
        "--output json query --limit 100000 {}",
        quoted(sql)
    ));
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let line = |row: &serde_json::Value| row["line"].as_str().expect("a line").to_owned();
    rows.iter().map(line).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Both have the same lines; where things move, within a few looks.
fn check(fleet: &Fleet, host: &str, sql: &str, tool: &str) {
    let mut seen = (BTreeSet::new(), BTreeSet::new());
    wait_until(tool, Duration::from_secs(30), || {
        let fresh = fleet.ctl(&format!("facts node={host} os.id --fresh"));
        anyhow::ensure!(fresh.code == 0, "{fresh}");
        let said = fleet.host(host).succeed(tool);
        let said = said.lines().map(str::trim_end).map(str::to_owned).collect();
        seen = (rows(fleet, sql), said);
        Ok(seen.0 == seen.1)
    })
    .unwrap_or_else(|error| {
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            a.difference(b).cloned().collect::<Vec<_>>()
        };
        panic!(
            "{host}: {error:#}\nonly the server: {:#?}\nonly {tool}: {:#?}",
            only(&seen.0, &seen.1),
            only(&seen.1, &seen.0)
        )
    });
    assert!(!seen.0.is_empty(), "{tool}: nothing to compare");
}

#[test]
fn the_server_knows_what_the_tools_of_a_node_say() {
    let Some(fleet) = super::fleet() else { return };
    for host in ["db01", "backend02", "balancer01"] {
        for (sql, tool) in [
            (
                "SELECT name || ' ' || architecture || ' ' || version AS line FROM packages WHERE node = 'HOST'",
                "dpkg-query -W -f '${db:Status-Status} ${Package} ${Architecture} ${Version}\\n' | \
                 sed -n 's/^\\(installed\\|half-configured\\) //p'",
            ),
            (
                "SELECT name || ' ' || id || ' ' || group_id || ' ' || home || ' ' || shell AS line FROM users \
                 WHERE node = 'HOST'",
                "getent -s files passwd | awk -F: '{ print $1, $3, $4, $6, $7 }'",
            ),
            (
                "SELECT protocol || ' ' || address || ' ' || port || ' ' || process AS line FROM listening \
                 WHERE node = 'HOST' AND protocol = 'tcp'",
                "ss -Hltnp | awk '{ split($4, a, /:[0-9]+$/); n = split($4, b, \":\"); gsub(/[][]/, \"\", a[1]); \
                 sub(/%.*/, \"\", a[1]); sub(/^\\*$/, \"::\", a[1]); \
                 rest = $0; while (match(rest, /\\(\"[^\"]*\"/)) { \
                 print \"tcp\", a[1], b[n], substr(rest, RSTART + 2, RLENGTH - 3); \
                 rest = substr(rest, RSTART + RLENGTH) } }'",
            ),
            (
                "SELECT path || ' ' || type AS line FROM mounts WHERE node = 'HOST'",
                "findmnt --list --noheadings --output TARGET,FSTYPE | awk '{ last[$1] = $2 } END { for (m in last) print m, last[m] }'",
            ),
            (
                "SELECT name || ' ' || active || ' ' || state AS line FROM services WHERE node = 'HOST' \
                 AND state NOT IN ('dead')",
                "systemctl list-units --all --plain --no-legend --type=service | \
                 awk '$2 != \"not-found\" && $4 != \"dead\" { print $1, $3, $4 }'",
            ),
        ] {
            check(&fleet, host, &sql.replace("HOST", host), tool);
        }
        for (path, tool) in [
            ("cpu.count", "lscpu | sed -n 's/^CPU(s): *//p'"),
            ("cpu.model", "lscpu | sed -n 's/^Model name: *//p'"),
            ("kernel.release", "uname -r"),
            ("os.version", ". /etc/os-release; echo $VERSION_ID"),
            ("machine.virtualisation", "systemd-detect-virt"),
            ("network.hostname", "hostname"),
        ] {
            let sql = format!(
                "SELECT CAST(value AS TEXT) AS line FROM facts WHERE node = '{host}' AND path = '{path}'"
            );
            check(&fleet, host, &sql, tool);
        }
        let addresses = "SELECT value AS line FROM facts WHERE node = 'HOST' AND path LIKE 'network.interfaces.%.addresses.%'";
        check(
            &fleet,
            host,
            &addresses.replace("HOST", host),
            "ip -o addr show | awk '$2 != \"lo\" { print $4 }'",
        );
    }
}

#[test]
fn certificates_and_ports_are_known_and_what_nobody_declared_is_found() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("db01");
    check(
        &fleet,
        "db01",
        "SELECT path || ' ' || expires AS line FROM certificates WHERE node = 'db01' AND number = 1",
        "find /etc -type f \\( -name '*.pem' -o -name '*.crt' \\) -not -path '/etc/ssl/*' | while read file; do \
         end=$(openssl x509 -in $file -noout -enddate -dateopt iso_8601 2>/dev/null) && \
         echo \"$file $(echo ${end#notAfter=} | tr ' ' T)\"; done; true",
    );
    let stray = "systemd-run --quiet --unit=stray python3 -m http.server 4711";
    host.succeed(&format!("systemctl stop stray 2>/dev/null; {stray}"));
    wait_until("the stray port", Duration::from_secs(30), || {
        let found = fleet.ctl("audit undeclared-ports --fresh");
        anyhow::ensure!(found.code == 0, "{found}");
        let of_db = |line: &&str| line.starts_with("db0");
        let ports: Vec<&str> = found.stdout.lines().filter(of_db).collect();
        // Nothing of etcd, Patroni and PostgreSQL: those are declared.
        Ok(ports.len() == 1 && ports[0].contains("4711"))
    })
    .expect("found, and alone");
    host.succeed("systemctl stop stray");
}

#[test]
fn facts_of_a_nodes_own_choose_it_and_who_is_behind_is_named() {
    let Some(fleet) = super::fleet() else { return };
    let host = fleet.host("db02");
    host.succeed("mkdir -p /etc/brine/facts.d");
    for (name, text) in [
        ("rack", "a{{7*7}}\u{1b}[31m\n"),
        (
            "raid.sh",
            "#!/bin/sh\necho '{\"state\": \"good\", \"disks\": 4}'\n",
        ),
        ("slow.sh", "#!/bin/sh\nsleep 60\n"),
        ("huge", &"x".repeat(1 << 20)),
    ] {
        host.write_file(&format!("/etc/brine/facts.d/{name}"), text.as_bytes())
            .expect("written");
    }
    host.succeed("chmod 0644 /etc/brine/facts.d/*; chmod 0755 /etc/brine/facts.d/*.sh");
    let told = fleet.ctl("facts node=db02 custom --fresh");
    assert!(told.code == 0 && told.stdout.contains("good"), "{told}");
    assert!(
        !told.stdout.contains('\u{1b}') && told.stdout.contains("{{7*7}}"),
        "{told}"
    );
    assert!(
        !told.stdout.contains("CUSTOM.SLOW") && !told.stdout.contains("CUSTOM.HUGE"),
        "{told}"
    );
    let chosen = fleet.ctl("facts 'custom.raid.disks>3 and role=db' custom.raid.state");
    assert!(chosen.code == 0, "{chosen}");
    assert!(
        chosen.stdout.contains("db02") && !chosen.stdout.contains("db01"),
        "{chosen}"
    );
    host.succeed("rm -r /etc/brine/facts.d");

    assert_eq!(fleet.ctl("audit behind").stdout, "");
    fleet.append_state("roles/balancer.yaml", "enforce: true\n");
    let behind = fleet.ctl("audit behind");
    let named = ["balancer01", "balancer02"].map(|name| behind.stdout.contains(name));
    assert!(
        named == [true; 2] && !behind.stdout.contains("db01"),
        "{behind}"
    );
}

#[test]
fn an_auditor_gets_an_answer_also_about_who_is_away() {
    let Some(fleet) = super::fleet() else { return };
    let fresh = fleet.ctl("query --fresh 'SELECT 1'");
    assert_eq!(fresh.code, 0, "{fresh}");
    let host = fleet.host("backend02");
    let version = host.succeed("dpkg-query -W -f '${Version}' libssl3");
    host.power_cut().expect("the power is cut");
    wait_until("it to be missed", Duration::from_secs(90), || {
        Ok(fleet.node("backend02")?["connected"] == false)
    })
    .expect("missed");
    let asked =
        "SELECT node, version FROM packages WHERE source = 'openssl' AND node = 'backend02'";
    for (command, says) in [
        (format!("query {}", quoted(asked)), version.as_str()),
        ("audit openssl-older-than 99".to_owned(), version.as_str()),
        ("audit open-ports".to_owned(), "8090"),
        ("facts node=backend02 os.id".to_owned(), "debian"),
        (
            "facts 'package.libssl3<99 and role=backend' os.id".to_owned(),
            "backend02",
        ),
    ] {
        let answer = fleet.ctl(&command);
        assert_eq!(answer.code, 0, "{answer}");
        assert!(answer.stdout.contains(says), "{says}: {answer}");
        assert!(
            answer.stderr.contains("backend02: silent, last reported"),
            "{answer}"
        );
    }
    let none = fleet.ctl("audit openssl-older-than 0");
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none}");
    // What is wrong is said, and nothing is touched.
    for bad in [
        "DROP TABLE nodes",
        "SELECT * FROM tokens",
        "SELECT nothing FROM packages",
    ] {
        let refused = fleet.ctl(&format!("query {}", quoted(bad)));
        assert_eq!(refused.code, 2, "{refused}");
    }
}

#[test]
fn a_change_made_by_hand_is_in_the_history() {
    let Some(fleet) = super::fleet() else { return };
    let fresh = fleet.ctl("query --fresh 'SELECT 1'");
    assert_eq!(fresh.code, 0, "{fresh}");
    fleet
        .host("balancer02")
        .succeed("useradd --no-create-home --shell /bin/bash mallory");
    let fresh = fleet.ctl("query --fresh 'SELECT 1'");
    assert_eq!(fresh.code, 0, "{fresh}");
    let diff = fleet.ctl("facts diff balancer02 --since 10m");
    assert!(diff.stdout.contains("mallory"), "{diff}");
    let audit = fleet.ctl("audit users-with-shell");
    assert!(audit.stdout.contains("mallory"), "{audit}");
    fleet.host("balancer02").succeed("userdel mallory");
}
