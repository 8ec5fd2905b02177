//! Metrics are collected, alerts arrive, and nothing depends on the host that does it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use lab::fleet::Fleet;
use lab::load::Receiver;
use lab::wait_until;
use serde_json::Value;

use crate::database::{self, nothing_lost, prober};
use crate::front;

pub(crate) const HOST: &str = "grafana01";

/// What Telegram says to a message.
const TAKEN: &str =
    r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"},"text":""}}"#;

/// A query's series: the value for each (job, instance).
pub(crate) fn query(fleet: &Fleet, query: &str) -> BTreeMap<(String, String), String> {
    query_on(fleet, HOST, query)
}

fn query_on(fleet: &Fleet, host: &str, query: &str) -> BTreeMap<(String, String), String> {
    let url = "http://127.0.0.1:8428/api/v1/query";
    let command = format!("curl -sf --data-urlencode 'query={query}' {url}");
    let answer = fleet.host(host).run(&command);
    let json: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
    let series = json["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    series
        .iter()
        .map(|one| {
            let labels = &one["metric"];
            let key = (text(&labels["job"]), text(&labels["instance"]));
            (key, text(&one["value"][1]))
        })
        .collect()
}

#[test]
fn every_host_and_service_has_its_series() {
    let Some(fleet) = super::fleet() else { return };
    let expected: BTreeMap<&str, usize> = [
        ("brine", 1),
        ("etcd", 3),
        ("haproxy", 2),
        ("monitoring", 3),
        ("node", 9),
        ("patroni", 3),
    ]
    .into();
    let mut seen = BTreeMap::new();
    wait_until("all series", Duration::from_secs(60), || {
        seen = query(&fleet, "up");
        let count = |job: &str| {
            let up = seen
                .iter()
                .filter(|((of, _), value)| of == job && *value == "1");
            up.count()
        };
        Ok(expected.iter().all(|(job, due)| count(job) == *due))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {seen:#?}"));
    assert_eq!(seen.len(), expected.values().sum::<usize>(), "{seen:#?}");
    // And what the dashboard and the rules ask for is there.
    for (asked, due) in [
        ("node_memory_MemAvailable_bytes", 9),
        (
            "max by (server) (haproxy_server_status{proxy=\"webapp\",state=\"UP\"})",
            1,
        ),
        ("sum by (job) (patroni_primary)", 1),
        ("patroni_xlog_replayed_location and patroni_replica == 1", 2),
        ("etcd_server_has_leader", 3),
        (
            "etcd_mvcc_db_total_size_in_bytes / etcd_server_quota_backend_bytes",
            3,
        ),
    ] {
        let found = query(&fleet, asked);
        assert_eq!(found.len(), due, "{asked}: {found:?}");
    }
    // They are for the host itself alone.
    for port in [8428, 8880, 9093] {
        let outside = fleet
            .operator()
            .run(&format!("curl -s -m 2 http://{HOST}:{port}/"));
        assert_ne!(outside.code, 0, "port {port}: {outside}");
    }
}

#[test]
fn a_threshold_crossed_reaches_telegram() {
    let Some(fleet) = super::fleet() else { return };
    let telegram = Receiver::start(fleet.lab(), 8081, TAKEN).expect("a receiver");
    let settings = format!(
        "alerting:\n  telegram_chat: -100\n  telegram_api: {}\n",
        telegram.url
    );
    fleet.write_state("data/roles/monitoring.yaml", &settings);
    // As the README says it.
    fleet.brine01().succeed(
        "sed -i '/alerting:/,/telegram_token/ s/telegram_token:.*/telegram_token: \"123456:ABC\"/' \
         /var/lib/brine-server/secrets.yaml",
    );
    let applied = fleet.ctl("apply role=monitoring --yes");
    assert_eq!(applied.code, 0, "{applied}");
    assert!(!applied.to_string().contains("123456"), "{applied}");
    let arrives = |what: &str, words: &[&str]| {
        wait_until(what, Duration::from_secs(120), || {
            Ok(telegram.messages().iter().any(|message| {
                message.path == "/bot123456:ABC/sendMessage"
                    && words.iter().all(|word| message.body.contains(word))
            }))
        })
        .unwrap_or_else(|error| panic!("{error:#}: {:#?}", telegram.messages()));
    };
    let begin = std::time::Instant::now();
    fleet.host("backend03").succeed("systemctl stop webapp");
    arrives("the alert", &["-100", "BackendOut", "backend03"]);
    let took = begin.elapsed().as_secs();
    super::figure(&format!("a stopped backend is on Telegram after {took} s"));
    fleet.host("backend03").succeed("systemctl start webapp");
    arrives("the all-clear", &["esolved", "BackendOut", "backend03"]);

    // A keepalived that hangs keeps the address while the other takes it.
    let hung = fleet.host(front::holder(&fleet));
    hung.succeed("systemctl kill --signal=STOP keepalived");
    arrives("that two have the address", &["AddressHeldTwice"]);
    hung.succeed("systemctl kill --signal=CONT keepalived");
    arrives("that one has it", &["esolved", "AddressHeldTwice"]);
    front::holder(&fleet);
    telegram.stop().expect("its report");
}

#[test]
fn nothing_depends_on_the_monitoring_host() {
    let Some(fleet) = super::fleet() else { return };
    let (clients, writer) = (prober(&fleet, "/"), database::writer(&fleet));
    let host = fleet.host(HOST);
    host.power_cut().expect("the power is cut");
    let dead = fleet.ctl("apply role=backend --yes");
    assert_eq!(dead.code, 0, "{dead}");
    // The page that it serves is gone, in words that HAProxy has for that.
    let page = fleet
        .operator()
        .succeed("curl -s -o /dev/null -w '%{http_code}' http://balancer01/grafana/");
    assert_eq!(page.trim(), "503");
    host.power_on().expect("it boots");
    wait_until("its series", Duration::from_secs(90), || {
        Ok(query(&fleet, "up{job=\"node\"}").len() == 9)
    })
    .expect("it scrapes again");
    let report = clients.stop().expect("the prober's report");
    assert_eq!(report.failed, 0, "{report:?}");
    nothing_lost(writer, "the monitoring host's power cut");
}

/// As the README says it.
#[test]
fn monitoring_moves_to_another_host_with_its_history() {
    let Some(fleet) = super::fleet() else { return };
    let (old, new) = (HOST, "grafana02");
    let history =
        |host: &str| !query_on(&fleet, host, "last_over_time(from_before[1h])").is_empty();
    // What only the old one can know.
    fleet.host(old).succeed(
        "echo \"from_before 42 $(date -d '-2 minutes' +%s%3N)\" | \
         curl -sf --data-binary @- http://127.0.0.1:8428/api/v1/import/prometheus",
    );
    wait_until("the sample to be seen", Duration::from_secs(60), || {
        Ok(history(old))
    })
    .expect("it is seen");

    fleet.add(new).expect("it enrols");
    let applied = fleet.ctl("apply role=monitoring --yes");
    assert_eq!(applied.code, 0, "{applied}");
    bring_history(&fleet, old, new);
    fleet.remove(old).expect("it goes");
    let applied = fleet.ctl("apply 'role=monitoring or role=balancer' --yes");
    assert_eq!(applied.code, 0, "{applied}");
    let mut seen = (false, BTreeMap::new());
    wait_until("history and series", Duration::from_secs(90), || {
        seen = (history(new), query_on(&fleet, new, "up{job=\"node\"} == 1"));
        let expected = fleet.nodes();
        let all = expected.iter().all(|node| {
            let key = ("node".to_owned(), node.name.to_owned());
            seen.1.contains_key(&key)
        });
        Ok(seen.0 && all && seen.1.len() == expected.len())
    })
    .unwrap_or_else(|error| panic!("{error:#}: {seen:#?}"));
    // People get the new one's page.
    let address = lab::nodes::find(new).expect("of the list").address;
    for balancer in database::BALANCERS {
        let config = fleet.host(balancer).succeed("cat /etc/haproxy/haproxy.cfg");
        assert!(config.contains(&format!("server {new} {address}:")));
        assert!(!config.contains(&format!("server {old} ")));
    }
    let again = fleet.ctl("plan --detailed-exit-code all");
    assert_eq!(again.code, 0, "nothing is left to do:\n{again}");

    // For who comes next.
    fleet.add(old).expect("it enrols");
    fleet.remove(new).expect("it goes");
}

/// `ssh OLD export | ssh NEW import`.
fn bring_history(fleet: &Fleet, old: &str, new: &str) {
    let export =
        "curl -sf http://127.0.0.1:8428/api/v1/export/native -d 'match[]={__name__!=\"\"}'";
    let import = "curl -sf -T - -X POST http://127.0.0.1:8428/api/v1/import/native";
    let shell = |host: &str, script: &str| {
        let mut command = fleet.host(host).command("sh").expect("it is on");
        command.args(["-c", script]);
        command
    };
    let mut exported = shell(old, export)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let imported = shell(new, import)
        .stdin(exported.stdout.take().expect("a pipe"))
        .status();
    assert!(exported.wait().expect("it ends").success());
    assert!(imported.expect("it starts").success());
}
