//! The fleet and the server, as metrics.

use std::collections::BTreeMap;

use brine_exposition::{Exposition, Kind};
use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_transport::peer::expiry;

use crate::VERSION;
use crate::clock;
use crate::context::Context;
use crate::store::{NodeRecord, StoreError};

/// What nodes without a role are counted under.
const NO_ROLE: &str = "none";

pub(super) async fn text(context: &Context) -> Result<String, StoreError> {
    let mut out = Exposition::new();
    out.gauge("brine_server_build_info", "The server's version; always 1.")
        .add(&[("version", VERSION)], 1_u64);
    nodes(context, &mut out).await?;
    runs(context, &mut out).await?;
    store(context, &mut out);
    requests(context, &mut out);
    certificates(context, &mut out);
    brine_exposition::process::tell(&mut out);
    Ok(out.text())
}

async fn nodes(context: &Context, out: &mut Exposition) -> Result<(), StoreError> {
    let (nodes, _) = context.store.nodes().await?;
    let connected = context.fleet.connected().await;
    let drifted = context.store.drifted().await?;
    let reports: BTreeMap<NodeName, Option<Timestamp>> =
        context.store.reports().await?.into_iter().collect();
    let now = clock::now();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for node in &nodes {
        let is_connected = connected.contains(&node.name);
        let state = state(node, is_connected);
        for role in roles(node) {
            *counts.entry((role, state)).or_default() += 1;
        }
        let labels = [("node", node.name.as_str())];
        // One that is only expected is not missed.
        if node.enrolled.is_some() {
            out.gauge(
                "brine_server_node_connected",
                "Whether the agent of the enrolled node is connected.",
            )
            .add(&labels, is_connected);
        }
        out.gauge(
            "brine_server_node_paused",
            "Whether runs keep away from the node.",
        )
        .add(&labels, node.paused.is_some());
        out.gauge(
            "brine_server_node_drifted_resources",
            "Resources of the node that differ from the catalog applied last, as it said last.",
        )
        .add(&labels, drifted.get(&node.name).copied().unwrap_or(0));
        if let Some(Some(at)) = reports.get(&node.name) {
            out.gauge(
                "brine_server_node_reported_timestamp_seconds",
                "When the node reported last, since unix epoch.",
            )
            .add(&labels, seconds(*at));
        }
        if let Some(key) = &node.enrolled {
            out.gauge(
                "brine_server_node_certificate_expiry_timestamp_seconds",
                "When the node's certificate ends, since unix epoch.",
            )
            .add(&labels, seconds(key.expires));
        }
    }
    for ((role, state), count) in counts {
        out.gauge("brine_server_nodes", "Nodes by role and state.")
            .add(&[("role", role), ("state", state)], count);
    }
    let waiting = context.store.pending().await?.len();
    out.gauge(
        "brine_server_waiting_machines",
        "Machines that wait for an operator to let them in.",
    )
    .add(&[], waiting);
    out.gauge(
        "brine_server_time_seconds",
        "The server's clock, since unix epoch.",
    )
    .add(&[], seconds(now));
    Ok(())
}

fn roles(node: &NodeRecord) -> Vec<&str> {
    if node.roles.is_empty() {
        return vec![NO_ROLE];
    }
    node.roles.iter().map(|role| role.as_str()).collect()
}

const fn state(node: &NodeRecord, connected: bool) -> &'static str {
    match (connected, &node.enrolled) {
        (true, _) => "connected",
        (false, Some(_)) => "silent",
        (false, None) => "expected",
    }
}

async fn runs(context: &Context, out: &mut Exposition) -> Result<(), StoreError> {
    let counts = context.store.run_counts().await?;
    for (phase, count) in counts.open {
        out.gauge(
            "brine_server_open_runs",
            "Runs that are not over, by phase.",
        )
        .add(&[("phase", &phase)], count);
    }
    for (phase, count) in counts.over {
        out.counter("brine_server_runs_total", "Runs that are over, by outcome.")
            .add(&[("outcome", &phase)], count);
    }
    Ok(())
}

fn store(context: &Context, out: &mut Exposition) {
    out.gauge("brine_server_store_queue", "Calls that wait for the store.")
        .add(&[], context.store.waiting());
    if let Ok(metadata) = std::fs::metadata(&context.store.path) {
        out.gauge("brine_server_store_bytes", "Size of the store's database.")
            .add(&[], metadata.len());
    }
    let mut family = out.family(
        "brine_server_store_seconds",
        Kind::Histogram,
        "How long calls to the store took, waiting included.",
    );
    context.store.timing.tell(None, &mut family);
}

fn requests(context: &Context, out: &mut Exposition) {
    let mut family = out.family(
        "brine_server_request_seconds",
        Kind::Histogram,
        "How long requests took to be answered, by who asked.",
    );
    let meters = &context.meters;
    meters.agents.tell(Some(("from", "agent")), &mut family);
    meters
        .operators
        .tell(Some(("from", "operator")), &mut family);
}

fn certificates(context: &Context, out: &mut Exposition) {
    let mut family = out.gauge(
        "brine_server_certificate_expiry_timestamp_seconds",
        "When the server's own certificates end, since unix epoch.",
    );
    let own = [
        ("authority", context.authority.certificate_der()),
        ("workload authority", context.workload.certificate_der()),
        ("server", context.certificate.as_slice()),
    ];
    for (of, der) in own {
        if let Some(expires) = expiry(der) {
            family.add(&[("of", of)], seconds(expires));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn seconds(at: Timestamp) -> f64 {
    (at.0 / 1_000_000) as f64 / 1000.0
}
