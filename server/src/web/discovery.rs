//! Where nodes' metrics are, as Prometheus' HTTP service discovery has it:
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use brine_model::catalog::Catalog;
use brine_model::name::NodeName;
use serde::Serialize;

use crate::context::Context;
use crate::store::NodeRecord;

/// The formula that says where a node's metrics are, and its parameter.
const FORMULA: &str = "node_metrics";
const PORT: &str = "port";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Group {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// What was told of each node last.
#[derive(Debug, Default)]
pub(super) struct Discovered(Mutex<BTreeMap<NodeName, Group>>);

/// One group for each node whose states give it metrics, connected or not: what is silent must be missed. A node whose
/// states have a mistake now is where it was; where that is not known, nothing is told, and scrapers keep what they have.
pub(super) async fn json(context: &Context, discovered: &Discovered) -> anyhow::Result<String> {
    let newest = context.compiler.newest().await?;
    let mut known = discovered.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut groups = BTreeMap::new();
    for node in &newest.nodes {
        let group = match newest.compilation.catalogs.get(&node.name) {
            Some(compiled) => port(&compiled.catalog).and_then(|port| group(node, port)),
            None if node.roles.is_empty() => None,
            None => {
                let group = known.get(&node.name).cloned();
                Some(group.with_context(|| {
                    format!(
                        "the states of {} have a mistake: ctl plan {}",
                        node.name, node.name
                    )
                })?)
            }
        };
        if let Some(group) = group {
            groups.insert(node.name.clone(), group);
        }
    }
    known.clone_from(&groups);
    let groups: Vec<&Group> = groups.values().collect();
    Ok(serde_json::to_string(&groups)?)
}

fn port(catalog: &Catalog) -> Option<u16> {
    let mut formulas = catalog.ports.iter();
    let (_, ports) = formulas.find(|(formula, _)| formula.as_str() == FORMULA)?;
    ports.get(PORT).copied()
}

fn group(node: &NodeRecord, port: u16) -> Option<Group> {
    let address = node.effective_address()?;
    // An address of version 6 is told from its port by brackets.
    let target = if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    };
    let roles: Vec<&str> = node.roles.iter().map(|role| role.as_str()).collect();
    let mut labels = BTreeMap::from([
        ("instance".to_owned(), node.name.to_string()),
        ("role".to_owned(), roles.join(",")),
    ]);
    for (name, value) in &node.labels {
        labels.insert(label(name), value.clone());
    }
    Some(Group {
        targets: vec![target],
        labels,
    })
}

/// A label of the registry: `label_` keeps it from what scrapers mean by their own.
fn label(name: &str) -> String {
    let safe = name.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    });
    format!("label_{}", safe.collect::<String>())
}
