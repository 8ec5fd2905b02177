//! What programs are told over HTTP.

use brine_wire::operator::{AddNode, OperatorReply, OperatorRequest};

use crate::agent::{Agent, Log};
use crate::fixture::{Fixture, name};
use crate::rollouts::formed_web;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_without_the_token() {
    let fixture = Fixture::new().await;
    let bearer = fixture.bearer();
    for path in ["/metrics", "/discovery", "/", "/other"] {
        let (status, text) = fixture.page(path, "").await;
        assert_eq!((status, text.contains("brine")), (401, false), "{path}");
        let wrong = format!("{}x\r\n", bearer.trim_end());
        assert_eq!(fixture.page(path, &wrong).await.0, 401, "{path}");
    }
    assert_eq!(fixture.page("/metrics", &bearer).await.0, 200);
    assert_eq!(fixture.page("/other", &bearer).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_with_metrics_is_discovered() {
    let fixture = Fixture::new().await;
    let bearer = fixture.bearer();
    assert_eq!(
        fixture.page("/discovery", &bearer).await,
        (200, "[]".to_owned())
    );
    let token = fixture.pool_token("cache*", &["cache"], 5).await;
    let agent = Agent::join(&fixture, &token, "cache01", &Log::default()).await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let _other = Agent::join(&fixture, &token, "web01", &Log::default()).await;
    // It is told of where it is reached, and before anything was applied.
    let add = OperatorRequest::AddNode(AddNode {
        name: name("cache02"),
        roles: vec![name("cache")],
        labels: [("rack-row".to_owned(), "7".to_owned())].into(),
        address: Some("fd00::2".into()),
        ttl: 3600,
    });
    assert!(matches!(
        fixture.ask(add).await,
        OperatorReply::Token { .. }
    ));
    let (_, text) = fixture.page("/discovery", &bearer).await;
    let expected = concat!(
        r#"[{"targets":["127.0.0.1:9100"],"labels":{"instance":"cache01","label_env":"test","role":"cache"}},"#,
        r#"{"targets":["[fd00::2]:9100"],"labels":{"instance":"cache02","label_rack_row":"7","role":"cache"}}]"#,
    );
    assert_eq!(text, expected);
    // A silent node is one to be missed.
    agent.disconnect();
    assert_eq!(fixture.page("/discovery", &bearer).await.1, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_told_as_metrics() {
    let (fixture, agents, _) = formed_web(2).await;
    let bearer = fixture.bearer();
    agents[1].disconnect();
    let line = |text: &str, line: &str| text.lines().any(|known| known == line);
    fixture
        .wait_until("the silence", async || {
            let (_, text) = fixture.page("/metrics", &bearer).await;
            line(&text, "brine_server_node_connected{node=\"web02\"} 0")
        })
        .await;
    let (status, text) = fixture.page("/metrics", &bearer).await;
    assert_eq!(status, 200);
    for expected in [
        "brine_server_nodes{role=\"web\",state=\"connected\"} 1",
        "brine_server_nodes{role=\"web\",state=\"silent\"} 1",
        "brine_server_node_connected{node=\"web01\"} 1",
        "brine_server_node_drifted_resources{node=\"web01\"} 0",
        "brine_server_runs_total{outcome=\"succeeded\"} 1",
        "brine_server_waiting_machines 0",
    ] {
        assert!(line(&text, expected), "{expected}: {text}");
    }
    for family in [
        "brine_server_store_seconds_bucket{le=\"+Inf\"} ",
        "brine_server_request_seconds_count{from=\"agent\"} ",
        "brine_server_certificate_expiry_timestamp_seconds{of=\"authority\"} ",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(&format!("\n{family}")), "{family}: {text}");
    }
}
