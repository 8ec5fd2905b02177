//! What there is, and how it stands.

use std::collections::BTreeSet;

use brine_model::diagnostic::Diagnostic;
use brine_model::name::NodeName;
use brine_wire::operator::{Enrollment, NodeDetail, NodeInfo, OperatorReply, Status};

use super::nodes::no_node;
use super::refuse::Refused;
use crate::VERSION;
use crate::clock;
use crate::compile::Snapshot;
use crate::context::Context;
use crate::store::{NodeRecord, Pending};

/// Runs that a node's page shows.
const RUNS: u32 = 10;

pub(super) async fn status(context: &Context) -> Result<OperatorReply, Refused> {
    let newest = newest(context).await;
    let nodes = infos(newest.as_ref().ok(), context).await?;
    let runs = context.store.open_runs().await?;
    let (snapshot, diagnostics) = match newest {
        Ok(newest) => {
            let findings = newest.compilation.findings.iter();
            let diagnostics = findings.map(|finding| finding.diagnostic.clone()).collect();
            (newest.states.name(), diagnostics)
        }
        Err(diagnostic) => ("none".to_owned(), vec![diagnostic]),
    };
    let server_version = VERSION.to_owned();
    Ok(OperatorReply::Status(Status {
        server_version,
        snapshot,
        nodes,
        runs,
        diagnostics,
    }))
}

pub(super) async fn nodes(context: &Context) -> Result<OperatorReply, Refused> {
    let newest = newest(context).await;
    Ok(OperatorReply::Nodes(
        infos(newest.as_ref().ok(), context).await?,
    ))
}

pub(super) async fn node(name: NodeName, context: &Context) -> Result<OperatorReply, Refused> {
    let newest = newest(context).await;
    let infos = infos(newest.as_ref().ok(), context).await?;
    let info = infos
        .into_iter()
        .find(|info| info.name == name)
        .ok_or_else(|| no_node(&name))?;
    let facts = context.store.facts(name.clone()).await?;
    let (resources, diagnostics) = match &newest {
        Ok(newest) => {
            let compiled = newest.compilation.catalogs.get(&name);
            let entries = compiled
                .map(|c| c.catalog.resources.as_slice())
                .unwrap_or_default();
            let registered = newest.node(&name).is_some();
            let own = [name.clone()];
            let errors = if registered {
                newest.errors(&own)
            } else {
                Vec::new()
            };
            let diagnostics = errors.into_iter().chain(newest.warnings(&own)).collect();
            (
                entries.iter().map(|entry| entry.id.to_string()).collect(),
                diagnostics,
            )
        }
        Err(diagnostic) => (Vec::new(), vec![diagnostic.clone()]),
    };
    Ok(OperatorReply::Node(Box::new(NodeDetail {
        info,
        facts_at: facts.as_ref().map(|facts| facts.at),
        facts: facts.map(|facts| facts.facts),
        runs: context.store.runs(RUNS, Some(name)).await?,
        resources,
        diagnostics,
    })))
}

/// States that cannot be read must not hide the fleet.
async fn newest(context: &Context) -> Result<Snapshot, Diagnostic> {
    context.compiler.newest().await.map_err(|error| {
        let error = anyhow::Error::from(error);
        Diagnostic::error(format!("{error:#}"))
    })
}

async fn infos(newest: Option<&Snapshot>, context: &Context) -> Result<Vec<NodeInfo>, Refused> {
    let (nodes, _) = context.store.nodes().await?;
    let connected = context.fleet.connected().await;
    let drifted = context.store.drifted().await?;
    let registered = nodes.into_iter().map(|node| {
        let drifted = drifted.get(&node.name).copied().unwrap_or_default();
        info(node, newest, &connected, drifted)
    });
    let pending = context.store.pending().await?;
    Ok(registered
        .chain(pending.into_iter().filter_map(waiting))
        .collect())
}

fn info(
    node: NodeRecord,
    newest: Option<&Snapshot>,
    connected: &BTreeSet<NodeName>,
    drifted: u32,
) -> NodeInfo {
    let enrollment = match &node.enrolled {
        Some(key) => Enrollment::Enrolled {
            fingerprint: key.fingerprint.clone(),
            expires: key.expires,
        },
        None => Enrollment::Expected,
    };
    NodeInfo {
        address: node.effective_address().map(str::to_owned),
        enrollment,
        connected: connected.contains(&node.name),
        newest: newest.and_then(|newest| newest.digest(&node.name)),
        name: node.name,
        roles: node.roles,
        labels: node.labels,
        last_seen: node.last_seen,
        agent_version: node.agent_version,
        applied: node.applied,
        generation: node.generation,
        paused: node.paused.filter(|paused| paused.until > clock::now()),
        drifted,
    }
}

/// A machine that waits for an operator, under the name that it would like, if that is one.
fn waiting(pending: Pending) -> Option<NodeInfo> {
    let prefix = pending.fingerprint.split('-').next().unwrap_or_default();
    let name = pending
        .proposed_name
        .parse()
        .or_else(|_| format!("unnamed-{prefix}").parse());
    Some(NodeInfo {
        name: name.ok()?,
        roles: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        address: None,
        enrollment: Enrollment::Waiting {
            fingerprint: pending.fingerprint,
        },
        connected: false,
        last_seen: Some(pending.last_seen),
        agent_version: Some(
            pending
                .agent_version
                .chars()
                .filter(|c| !c.is_control())
                .collect(),
        ),
        applied: None,
        newest: None,
        generation: 0,
        paused: None,
        drifted: 0,
    })
}
