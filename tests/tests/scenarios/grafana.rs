//! Grafana's files. Its binary cannot be had here, so they are read as Grafana reads them, and with
//! less patience: a key that its documentation does not know is an error.
//!
//! The format: Grafana's documentation, "Provision Grafana" and "Use configuration files to
//! provision alerting resources" (version 13).

use std::collections::BTreeSet;

use lab::fleet::Fleet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::monitoring::{HOST, query};

/// The data source's name for itself, and Grafana's own that computes.
const SOURCE: &str = "fleet";
const EXPRESSION: &str = "__expr__";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Datasources {
    api_version: u8,
    datasources: Vec<Datasource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Datasource {
    name: String,
    uid: String,
    #[serde(rename = "type")]
    kind: String,
    access: String,
    url: String,
    is_default: bool,
    editable: bool,
    json_data: Prometheus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Prometheus {
    http_method: String,
    time_interval: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Providers {
    api_version: u8,
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "that they are there, and of this type, is the check"
)]
struct Provider {
    name: String,
    org_id: u64,
    folder: String,
    folder_uid: String,
    #[serde(rename = "type")]
    kind: String,
    disable_deletion: bool,
    allow_ui_updates: bool,
    update_interval_seconds: u64,
    options: ProviderOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderOptions {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Alerting {
    api_version: u8,
    #[serde(default)]
    contact_points: Vec<ContactPoint>,
    #[serde(default)]
    policies: Vec<Policy>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    delete_rules: Vec<Named>,
    #[serde(default)]
    reset_policies: Vec<u64>,
    #[serde(default)]
    delete_contact_points: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Named {
    org_id: u64,
    uid: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ContactPoint {
    org_id: u64,
    name: String,
    receivers: Vec<Receiver>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receiver {
    uid: String,
    #[serde(rename = "type")]
    kind: String,
    settings: Telegram,
}

/// Both are texts: with a number as `chatid` Grafana does not start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Telegram {
    bottoken: String,
    chatid: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(rename = "orgId")]
    org_id: u64,
    receiver: String,
    group_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Group {
    org_id: u64,
    name: String,
    folder: String,
    interval: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Rule {
    uid: String,
    title: String,
    condition: String,
    data: Vec<Query>,
    no_data_state: String,
    exec_err_state: String,
    #[serde(rename = "for")]
    after: String,
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    ref_id: String,
    relative_time_range: Range,
    datasource_uid: String,
    model: Value,
}

/// Seconds before now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: u64,
    to: u64,
}

fn file<T: DeserializeOwned>(fleet: &Fleet, path: &str) -> T {
    let text = fleet
        .host(HOST)
        .succeed(&format!("cat /etc/grafana/{path}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
}

fn is_duration(text: &str) -> bool {
    let number = text.trim_end_matches(['s', 'm', 'h']);
    text.len() == number.len() + 1 && number.parse::<u32>().is_ok()
}

/// What a panel or a rule asks, with the variables that Grafana would fill in: it has an answer.
fn has_series(fleet: &Fleet, expression: &str) {
    let asked = expression.replace("$node", ".*").replace("$role", ".*");
    assert!(!asked.contains('$'), "{asked}");
    let seen = lab::wait_until("series", std::time::Duration::from_secs(90), || {
        Ok(!query(fleet, &asked).is_empty())
    });
    seen.unwrap_or_else(|error| panic!("{asked}: {error:#}"));
}

#[test]
fn its_files_are_as_its_documentation_says() {
    let Some(fleet) = super::fleet() else { return };
    let bare: Alerting = file(&fleet, "provisioning/alerting/fleet.yaml");
    assert!(
        bare.groups.is_empty() && bare.contact_points.is_empty() && bare.policies.is_empty(),
        "without a chat there is nothing of it"
    );
    fleet.write_state(
        "data/roles/monitoring.yaml",
        "grafana: { telegram_chat: -42 }\n",
    );
    let applied = fleet.ctl("apply role=monitoring --yes");
    assert_eq!(applied.code, 0, "{applied}");

    let sources: Datasources = file(&fleet, "provisioning/datasources/fleet.yaml");
    let [source] = sources.datasources.as_slice() else {
        panic!("one data source")
    };
    assert_eq!((sources.api_version, source.uid.as_str()), (1, SOURCE));
    assert!(source.is_default && !source.editable && !source.name.is_empty());
    assert_eq!(
        (source.kind.as_str(), source.access.as_str()),
        ("prometheus", "proxy")
    );
    assert!(["GET", "POST"].contains(&source.json_data.http_method.as_str()));
    assert!(is_duration(&source.json_data.time_interval));
    // It is the data base itself that answers there.
    let url = format!("curl -sf {}/api/v1/query?query=1", source.url);
    assert!(fleet.host(HOST).succeed(&url).contains("success"));

    let providers: Providers = file(&fleet, "provisioning/dashboards/fleet.yaml");
    let [provider] = providers.providers.as_slice() else {
        panic!("one provider")
    };
    assert_eq!((providers.api_version, provider.kind.as_str()), (1, "file"));
    let folder = provider.options.path.strip_prefix("/etc/grafana/");
    let folder = folder.expect("ours");
    for name in ["fleet", "node", "brine"] {
        dashboard(&fleet, &format!("{folder}/{name}.json"));
    }
    alerting(&fleet, &bare);
}

fn dashboard(fleet: &Fleet, path: &str) {
    let text = fleet
        .host(HOST)
        .succeed(&format!("cat /etc/grafana/{path}"));
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert!(!text(&dashboard["uid"]).is_empty() && !text(&dashboard["title"]).is_empty());
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|it| it > 0));
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels
        .iter()
        .filter_map(|panel| panel["id"].as_u64())
        .collect();
    assert_eq!(
        ids.len(),
        panels.len(),
        "each panel has a number of its own"
    );
    for panel in panels {
        let title = text(&panel["title"]);
        if panel["type"] == "row" {
            continue;
        }
        assert!(
            ["stat", "timeseries", "table"].contains(&text(&panel["type"]).as_str()),
            "{title}"
        );
        assert_eq!(text(&panel["datasource"]["uid"]), SOURCE, "{title}");
        // Grafana's grid is 24 columns wide.
        let place = &panel["gridPos"];
        let edge = place["x"].as_u64().expect("x") + place["w"].as_u64().expect("w");
        assert!(edge <= 24 && place["h"].as_u64().is_some(), "{title}");
        for target in panel["targets"].as_array().expect("targets") {
            assert!(!text(&target["refId"]).is_empty(), "{title}");
            let expression = text(&target["expr"]);
            // Services of the lab's hosts may not ask the kernel how it keeps its clock.
            if !expression.contains("node_timex_") {
                has_series(fleet, &expression);
            }
        }
    }
}

fn alerting(fleet: &Fleet, bare: &Alerting) {
    let alerting: Alerting = file(fleet, "provisioning/alerting/fleet.yaml");
    assert_eq!((alerting.api_version, bare.api_version), (1, 1));
    let [point] = alerting.contact_points.as_slice() else {
        panic!("one contact point")
    };
    let [receiver] = point.receivers.as_slice() else {
        panic!("one receiver")
    };
    assert_eq!((point.org_id, receiver.kind.as_str()), (1, "telegram"));
    assert_eq!(receiver.settings.chatid, "-42");
    assert!(!receiver.settings.bottoken.is_empty());
    let [policy] = alerting.policies.as_slice() else {
        panic!("one policy")
    };
    assert_eq!((policy.org_id, &policy.receiver), (1, &point.name));
    assert!(!policy.group_by.is_empty());
    assert!(!alerting.groups.is_empty());
    for group in &alerting.groups {
        assert!(group.org_id == 1 && !group.name.is_empty() && !group.folder.is_empty());
        assert!(is_duration(&group.interval), "{}", group.interval);
        for rule in &group.rules {
            assert!(is_duration(&rule.after) && !rule.title.is_empty());
            assert!(rule.annotations.contains_key("summary"));
            assert!(
                ["NoData", "Alerting", "OK", "KeepLast"].contains(&rule.no_data_state.as_str())
            );
            assert!(
                ["Error", "Alerting", "OK", "KeepLast"].contains(&rule.exec_err_state.as_str())
            );
            let names: BTreeSet<_> = rule.data.iter().map(|one| one.ref_id.as_str()).collect();
            assert!(
                names.contains(rule.condition.as_str()),
                "{}",
                rule.condition
            );
            for one in &rule.data {
                assert!(one.relative_time_range.from >= one.relative_time_range.to);
                assert_eq!(one.model["refId"], one.ref_id.as_str());
                if one.datasource_uid == EXPRESSION {
                    let of = one.model["expression"].as_str().expect("what it judges");
                    assert!(names.contains(of), "{of}");
                } else {
                    assert_eq!(one.datasource_uid, SOURCE);
                    has_series(fleet, one.model["expr"].as_str().expect("a query"));
                }
            }
        }
    }
    // Without the chat, exactly that is taken away again.
    let rules = alerting.groups.iter().flat_map(|group| &group.rules);
    let rules: BTreeSet<_> = rules.map(|rule| &rule.uid).collect();
    assert_eq!(rules, bare.delete_rules.iter().map(|it| &it.uid).collect());
    let points = bare.delete_contact_points.iter().map(|it| &it.uid);
    assert_eq!(points.collect::<Vec<_>>(), [&receiver.uid]);
    let of = bare.delete_rules.iter().chain(&bare.delete_contact_points);
    assert!(of.map(|it| it.org_id).eq([1, 1]) && bare.reset_policies == [1]);
}
