//! Metrics are collected, alerts arrive, and nothing depends on the host that does it.

use std::collections::BTreeMap;
use std::time::Duration;

use lab::fleet::Fleet;
use lab::load::Receiver;
use lab::wait_until;
use serde_json::Value;

use crate::database::{self, nothing_lost, prober};

pub(crate) const HOST: &str = "grafana01";

/// What Telegram says to a message.
const TAKEN: &str =
    r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"},"text":""}}"#;

/// A query's series: the value for each (job, instance).
pub(crate) fn query(fleet: &Fleet, query: &str) -> BTreeMap<(String, String), String> {
    let url = "http://127.0.0.1:8428/api/v1/query";
    let command = format!("curl -sf --data-urlencode 'query={query}' {url}");
    let answer = fleet.host(HOST).run(&command);
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
