//! Changing the registry.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::name::{NodeName, RoleName};
use brine_model::time::Timestamp;
use brine_wire::agent::{ServerReply, ServerRequest};
use brine_wire::operator::{AddNode, OperatorReply, Paused};

use super::refuse::Refused;
use super::validate;
use crate::clock;
use crate::context::Context;
use crate::store::{NewNode, TokenRecord};

/// For telling a node of something that it would hear of anyway.
const TELL: Duration = Duration::from_secs(5);

pub(super) async fn add(node: AddNode, context: &Context) -> Result<OperatorReply, Refused> {
    validate::labels(&node.labels)?;
    validate::address(node.address.as_deref())?;
    validate::roles(&node.roles, context).await?;
    let expires = validate::expiry(node.ttl)?;
    let minted = context.mint()?;
    let token = TokenRecord {
        id: minted.id.clone(),
        hash: minted.hash,
        node: Some(node.name.clone()),
        roles: Vec::new(),
        labels: BTreeMap::new(),
        names: node.name.to_string(),
        uses_left: 1,
        expires,
    };
    let AddNode {
        name,
        roles,
        labels,
        address,
        ..
    } = node;
    let new = NewNode {
        name: name.clone(),
        roles,
        labels,
        address,
        token,
    };
    if !context.store.add_node(new).await? {
        return Err(
            Refused::conflict(format!("{name} is a machine already")).help(format!(
                "`ctl nodes remove {name}` first, if another machine is to take its place"
            )),
        );
    }
    Ok(OperatorReply::Token {
        id: minted.id,
        token: minted.text,
        expires,
    })
}

pub(super) async fn accept(
    name: NodeName,
    fingerprint: String,
    roles: Vec<RoleName>,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    validate::roles(&roles, context).await?;
    match context.store.accept(name, fingerprint, roles).await? {
        Ok(()) => Ok(OperatorReply::Done),
        Err(why) => Err(Refused::conflict(why).help("see `ctl nodes list` for who waits")),
    }
}

/// Takes effect at once: its connection ends, its key is revoked, its secrets are forgotten.
pub(super) async fn remove(name: NodeName, context: &Context) -> Result<OperatorReply, Refused> {
    if !context
        .store
        .remove_node(name.clone(), clock::now())
        .await?
    {
        return Err(no_node(&name));
    }
    context.fleet.revoke(name.clone());
    context.runs.removed(&name);
    let secrets = std::sync::Arc::clone(&context.secrets);
    let forgotten = tokio::task::spawn_blocking(move || secrets.forget(&name)).await;
    forgotten.map_err(crate::compile::CompileError::from)??;
    Ok(OperatorReply::Done)
}

/// Takes effect at once: the machine's connection ends and its key is revoked. Name, roles, labels
/// and secrets stay, for the machine that takes its place.
pub(super) async fn replace(
    name: NodeName,
    ttl: u64,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    let expires = validate::expiry(ttl)?;
    let minted = context.mint()?;
    let token = TokenRecord {
        id: minted.id.clone(),
        hash: minted.hash,
        node: Some(name.clone()),
        roles: Vec::new(),
        labels: BTreeMap::new(),
        names: name.to_string(),
        uses_left: 1,
        expires,
    };
    let replaced = context
        .store
        .replace_node(name.clone(), token, clock::now());
    if !replaced.await? {
        return Err(no_node(&name));
    }
    context.fleet.revoke(name.clone());
    context.runs.removed(&name);
    Ok(OperatorReply::Token {
        id: minted.id,
        token: minted.text,
        expires,
    })
}

pub(super) async fn pause(
    name: NodeName,
    until: Option<Timestamp>,
    reason: Option<String>,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    validate::pause(until, reason.as_deref())?;
    let paused = until.map(|until| Paused { until, reason });
    if context.store.pause_node(name.clone(), paused).await? {
        // Who is away hears of it when it comes back.
        if let Some(connection) = context.fleet.find(&name).await {
            let request = ServerRequest::Pause(until);
            let told: Result<ServerReply, _> = connection.request_within(&request, TELL).await;
            if let Err(error) = told {
                tracing::debug!(node = %name, %error, "not told of its pause");
            }
        }
        Ok(OperatorReply::Done)
    } else {
        Err(no_node(&name))
    }
}

pub(super) async fn set(
    name: NodeName,
    roles: Option<Vec<RoleName>>,
    labels: BTreeMap<String, Option<String>>,
    address: Option<String>,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    labels
        .iter()
        .try_for_each(|(key, value)| validate::label(key, value.as_deref()))?;
    validate::address(address.as_deref())?;
    validate::roles(roles.as_deref().unwrap_or_default(), context).await?;
    if context
        .store
        .set_node(name.clone(), roles, labels, address)
        .await?
    {
        Ok(OperatorReply::Done)
    } else {
        Err(no_node(&name))
    }
}

pub(super) fn no_node(name: &NodeName) -> Refused {
    Refused::not_found(format!("there is no node `{name}`")).help("see `ctl nodes list`")
}
