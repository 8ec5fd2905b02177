//! Where nodes' metrics are, as Prometheus' HTTP service discovery has it:
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compile::CompileError;
use crate::context::Context;
use crate::store::NodeRecord;

/// The formula that says where a node's metrics are, and its parameter.
const FORMULA: &str = "node_metrics";
const PORT: &str = "port";

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// One group for each node whose states give it metrics, connected or not: what is silent must be missed.
pub(super) async fn json(context: &Context) -> Result<String, CompileError> {
    let newest = context.compiler.newest().await?;
    let groups: Vec<Group> = newest
        .nodes
        .iter()
        .filter_map(|node| {
            let compiled = newest.compilation.catalogs.get(&node.name)?;
            let ports = compiled.catalog.ports.iter();
            let mut ports = ports.filter(|(formula, _)| formula.as_str() == FORMULA);
            let port = ports.next()?.1.get(PORT)?;
            group(node, *port)
        })
        .collect();
    Ok(serde_json::to_string(&groups).unwrap_or_else(|_| "[]".to_owned()))
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
