//! Nodes and the fleet.

use brine_wire::operator::{Enrollment, NodeDetail, NodeInfo, Status};
use serde_json::{Value, json};

use super::{diagnostics, runs, time};
use crate::show::behind::Behind;
use crate::show::nodes::{Standing, standing};
use crate::show::time::rfc3339;

#[must_use]
pub fn status(status: &Status) -> Value {
    json!({
        "server_version": status.server_version,
        "snapshot": status.snapshot,
        "nodes": nodes(&status.nodes),
        "runs": runs(&status.runs),
        "diagnostics": diagnostics(&status.diagnostics),
    })
}

#[must_use]
pub fn nodes(nodes: &[NodeInfo]) -> Value {
    nodes.iter().map(info).collect()
}

#[must_use]
pub fn node(node: &NodeDetail) -> Value {
    json!({
        "node": info(&node.info),
        "facts": node.facts,
        "facts_at": time(node.facts_at),
        "resources": node.resources,
        "runs": runs(&node.runs),
        "diagnostics": diagnostics(&node.diagnostics),
    })
}

/// Names of the nodes that an apply has left behind.
#[must_use]
pub fn behind(behind: &Behind) -> Value {
    let names =
        |nodes: &[NodeInfo]| -> Value { nodes.iter().map(|node| node.name.to_string()).collect() };
    json!({ "now": names(&behind.now), "still": names(&behind.still) })
}

fn info(node: &NodeInfo) -> Value {
    let enrollment = match &node.enrollment {
        Enrollment::Expected => json!({ "state": "expected" }),
        Enrollment::Waiting { fingerprint } => {
            json!({ "state": "waiting", "fingerprint": fingerprint })
        }
        Enrollment::Enrolled {
            fingerprint,
            expires,
        } => {
            let expires = rfc3339(*expires);
            json!({ "state": "enrolled", "fingerprint": fingerprint, "expires": expires })
        }
    };
    let standing = match standing(node) {
        Standing::UpToDate => "up_to_date",
        Standing::Behind => "behind",
        Standing::NeverApplied => "never_applied",
        Standing::NoCatalog => "no_catalog",
    };
    json!({
        "name": node.name,
        "roles": node.roles,
        "labels": node.labels,
        "address": node.address,
        "enrollment": enrollment,
        "connected": node.connected,
        "last_seen": time(node.last_seen),
        "agent_version": node.agent_version,
        "catalog": standing,
        "applied": node.applied.map(|digest| digest.to_string()),
        "newest": node.newest.map(|digest| digest.to_string()),
        "generation": node.generation,
        "drifted": node.drifted,
        "paused": node.paused.as_ref().map(|paused| {
            json!({ "until": rfc3339(paused.until), "reason": paused.reason })
        }),
    })
}
