//! What an agent asks once it is in. Its node is the one of its certificate, whatever it says.

use std::sync::Arc;
use std::time::Instant;

use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::name::NodeName;
use brine_transport::stream::{RequestError, Stream};
use brine_wire::agent::{AgentReply, AgentRequest};
use brine_wire::blob::BlobReply;
use brine_wire::codec;

use super::certificates;
use crate::clock;
use crate::context::Context;
use crate::store::StoreError;

/// The longest facts that are kept, encoded. Ours have 2 kB.
const FACTS: usize = 256 << 10;

pub(super) async fn answer(stream: Stream, node: NodeName, context: Arc<Context>) {
    let begin = Instant::now();
    let answered = answer_one(stream, &node, &context).await;
    context.meters.agents.since(begin);
    if let Err(error) = answered {
        tracing::debug!(%node, %error, "agent request");
    }
}

async fn answer_one(
    mut stream: Stream,
    node: &NodeName,
    context: &Context,
) -> Result<(), RequestError> {
    let reply = match stream.read_request().await? {
        AgentRequest::Hello(_) => AgentReply::Refused("said hello already".to_owned()),
        AgentRequest::Blob(digest) => return blob(stream, node, digest, context).await,
        AgentRequest::Result { job, result } => {
            acknowledged(context.runs.result(node, job, result).await)
        }
        AgentRequest::Progress(mut progress) => {
            progress.doing = progress.doing.chars().take(200).collect();
            context.runs.progress(node, progress);
            AgentReply::Acknowledged
        }
        AgentRequest::Facts(facts) => keep(*facts, node, context).await,
        AgentRequest::Inventory(told) => {
            let store = &context.store;
            match store
                .compare_inventory(node.clone(), told, clock::now())
                .await
            {
                Ok(wanted) => AgentReply::Wanted(wanted),
                Err(error) => acknowledged(Err(error)),
            }
        }
        AgentRequest::Section(section) => {
            if section.checked().is_none() {
                let table: String = section.table.chars().take(40).collect();
                tracing::warn!(%node, table, "a table that makes no sense");
                AgentReply::Refused(format!("this is no table `{table}` as the server knows it"))
            } else {
                acknowledged(
                    context
                        .store
                        .set_section(node.clone(), section, clock::now())
                        .await,
                )
            }
        }
        AgentRequest::Certificate { resource, csr } => {
            certificates::issue(&resource, &csr, node, context).await
        }
    };
    stream.reply(&reply).await
}

async fn keep(facts: Facts, node: &NodeName, context: &Context) -> AgentReply {
    let size = codec::encode(&facts).map_or(usize::MAX, |bytes| bytes.len());
    if size > FACTS {
        return AgentReply::Refused(format!("facts of {size} bytes: at most {FACTS} are kept"));
    }
    if !facts.is_sane() {
        return AgentReply::Refused("facts of its own that are too many, or too deep".to_owned());
    }
    acknowledged(
        context
            .store
            .set_facts(node.clone(), facts, clock::now())
            .await,
    )
}

fn acknowledged(kept: Result<(), StoreError>) -> AgentReply {
    match kept {
        Ok(()) => AgentReply::Acknowledged,
        Err(error) => {
            tracing::error!(%error, "cannot keep what an agent sent");
            AgentReply::Refused("the server cannot keep it: send it again".to_owned())
        }
    }
}

async fn blob(
    mut stream: Stream,
    node: &NodeName,
    digest: Digest,
    context: &Context,
) -> Result<(), RequestError> {
    let opened = match context.store.blob_for(node.clone(), digest).await {
        Ok(Some(path)) => open(&path).await,
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%node, %error, "cannot look a blob up");
            None
        }
    };
    let Some((mut file, length)) = opened else {
        tracing::warn!(%node, %digest, "blob not found, or not this node's");
        return stream.reply(&AgentReply::Blob(BlobReply::NotFound)).await;
    };
    stream
        .send(&AgentReply::Blob(BlobReply::Follows { length }))
        .await?;
    stream.send_from(&mut file, length).await?;
    stream.finish()
}

async fn open(path: &std::path::Path) -> Option<(tokio::fs::File, u64)> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let length = file.metadata().await.ok()?.len();
    Some((file, length))
}
