//! One agent's connection, from its hello to its end.

use std::sync::Arc;

use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_transport::stream::{RequestError, Stream};
use brine_wire::agent::{AgentReply, AgentRequest, Hello};
use brine_wire::policy::Principal;
use tokio::task::JoinSet;

use super::requests;
use crate::context::Context;
use crate::store::{Registered, StoreError};
use crate::{VERSION, clock};

/// Why a node is not let in.
#[derive(Debug, thiserror::Error)]
enum Turned {
    #[error("the certificate is not a node's")]
    NoNode,
    #[error("this node is not registered: it was removed, or never let in")]
    Unknown,
    #[error("another key is registered for this node")]
    OtherKey,
    #[error("the machine is not the one that enrolled: its machine-id differs")]
    OtherMachine,
    #[error("the first request must be a hello")]
    NoHello,
    #[error("the server cannot read its registry")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl Turned {
    const fn code(&self) -> Code {
        match self {
            Self::NoNode => Code::FORBIDDEN,
            Self::Unknown | Self::OtherKey | Self::OtherMachine => Code::REVOKED,
            Self::NoHello => Code::MALFORMED,
            Self::Store(_) | Self::Request(_) => Code::BUSY,
        }
    }
}

/// Serves a node until it leaves. A certificate alone lets nobody in: the registry must know its
/// key now.
pub(crate) async fn serve(connection: Connection, context: Arc<Context>) {
    match admit(&connection, &context).await {
        Ok((node, stream)) => converse(connection, node, stream, context).await,
        Err(turned) => {
            tracing::warn!(peer = %connection.remote_address(), %turned, "agent turned away");
            connection.close(turned.code(), &turned.to_string());
        }
    }
}

/// The node, and the stream on which its hello waits for an answer.
async fn admit(connection: &Connection, context: &Context) -> Result<(NodeName, Stream), Turned> {
    let Principal::Node(node) = connection.principal().clone() else {
        return Err(Turned::NoNode);
    };
    let registered = registered(connection, &node, context).await?;
    let mut stream = connection.accept().await.ok_or(Turned::NoHello)?;
    let AgentRequest::Hello(hello) = stream.read_request().await? else {
        return Err(Turned::NoHello);
    };
    if hello.machine_id != registered.machine_id {
        return Err(Turned::OtherMachine);
    }
    note(connection, &node, hello, context).await?;
    Ok((node, stream))
}

async fn registered(
    connection: &Connection,
    node: &NodeName,
    context: &Context,
) -> Result<Registered, Turned> {
    let record = context
        .store
        .node(node.clone())
        .await?
        .ok_or(Turned::Unknown)?;
    let key = record.enrolled.ok_or(Turned::Unknown)?;
    if connection.peer().fingerprint.as_deref() == Some(key.fingerprint.as_str()) {
        Ok(key)
    } else {
        Err(Turned::OtherKey)
    }
}

async fn note(
    connection: &Connection,
    node: &NodeName,
    hello: Hello,
    context: &Context,
) -> Result<(), StoreError> {
    let address = connection.remote_address().ip().to_string();
    let version: String = hello.agent_version.chars().take(40).collect();
    tracing::info!(%node, address, version, jobs = hello.jobs.len(), "agent connected");
    context
        .store
        .node_seen(node.clone(), address, Some(version), clock::now())
        .await
}

/// Until when an operator keeps runs away from it.
async fn paused(node: &NodeName, context: &Context) -> Option<Timestamp> {
    let record = context.store.node(node.clone()).await;
    record.ok()??.paused.map(|paused| paused.until)
}

async fn converse(connection: Connection, node: NodeName, hello: Stream, context: Arc<Context>) {
    // Whoever asks for this node from here on gets this connection.
    let Some(presence) = context.fleet.join(node.clone(), connection.clone()).await else {
        return;
    };
    // It may have been removed between the look into the registry and now.
    if let Err(turned) = registered(&connection, &node, &context).await {
        connection.close(turned.code(), &turned.to_string());
        return;
    }
    let welcome = AgentReply::Welcome {
        server_version: VERSION.to_owned(),
        node: node.clone(),
        paused: paused(&node, &context).await,
    };
    if hello.reply(&welcome).await.is_ok() {
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                stream = connection.accept() => match stream {
                    Some(stream) => {
                        requests.spawn(requests::answer(stream, node.clone(), Arc::clone(&context)));
                    }
                    None => break,
                },
                Some(ended) = requests.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%node, %error, "a request of this agent failed");
                        connection.close(Code::BUSY, "the server failed on a request");
                    }
                }
            }
        }
    }
    drop(presence);
    let reason = connection.closed().await;
    tracing::info!(%node, %reason, "agent left");
    let address = connection.remote_address().ip().to_string();
    if let Err(error) = context
        .store
        .node_seen(node, address, None, clock::now())
        .await
    {
        tracing::error!(%error, "cannot note when an agent left");
    }
}
