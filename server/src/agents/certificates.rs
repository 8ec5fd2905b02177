//! Certificates for what runs on a node, by the workload authority.
//!
//! The names are those of the node's own catalog, compiled from registry and formula: what the
//! request says of itself does not matter.

use std::time::Duration;

use brine_model::name::NodeName;
use brine_model::resource::ResourceId;
use brine_model::value::Value;
use brine_transport::identity::PublicKey;
use brine_wire::agent::AgentReply;

use crate::clock;
use crate::context::Context;

/// How long a certificate is good for; nodes ask for another when a third of it is left.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The kind of resource that may ask.
const KIND: &str = "certificate";

pub(super) async fn issue(
    resource: &str,
    csr: &[u8],
    node: &NodeName,
    context: &Context,
) -> AgentReply {
    match certify(resource, csr, node, context).await {
        Ok(certificate) => {
            tracing::info!(%node, resource, "workload certificate issued");
            AgentReply::Certificate {
                certificate,
                authority: context.workload.certificate_der().to_vec(),
            }
        }
        Err(why) => {
            tracing::warn!(%node, resource = resource.escape_debug().to_string(), why, "no certificate");
            AgentReply::Refused(why)
        }
    }
}

async fn certify(
    resource: &str,
    csr: &[u8],
    node: &NodeName,
    context: &Context,
) -> Result<Vec<u8>, String> {
    let snapshot = context
        .compiler
        .newest()
        .await
        .map_err(|error| error.to_string())?;
    let id: ResourceId = resource
        .parse()
        .map_err(|_| "that is no resource".to_owned())?;
    let catalog = snapshot
        .compilation
        .catalogs
        .get(node)
        .map(|compiled| &compiled.catalog)
        .ok_or("this node's states do not compile")?;
    let entry = catalog
        .resources
        .iter()
        .find(|entry| entry.id == id && id.kind() == KIND)
        .ok_or("this node's catalog has no such certificate")?;
    let names = names(entry.fields.get("names"))?;
    let key = PublicKey::from_csr(csr).map_err(|error| error.to_string())?;
    let issued = context
        .workload
        .issue_workload(&names, &key, clock::now(), VALIDITY)
        .map_err(|error| error.to_string())?;
    Ok(issued.der)
}

fn names(value: Option<&Value>) -> Result<Vec<String>, String> {
    let list = match value {
        Some(Value::List(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    list.iter()
        .map(|name| {
            name.to_text()
                .ok_or_else(|| "its names are no texts".to_owned())
        })
        .collect()
}
