//! Conversations with operators: each request checked, answered, and, if it changes anything,
//! written into the audit log.

mod describe;
mod inventory;
mod nodes;
mod refuse;
mod render;
mod runs;
mod status;
mod tokens;
mod validate;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use brine_model::name::OperatorName;
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_transport::stream::{RequestError, Stream};
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::policy::Principal;
use tokio::task::JoinSet;

use crate::clock;
use crate::context::Context;
use crate::store::{AuditEntry, StoreError};
use refuse::Refused;

/// Serves an operator until he leaves.
pub(crate) async fn serve(connection: Connection, context: Arc<Context>) {
    let Principal::Operator(operator) = connection.principal().clone() else {
        connection.close(Code::FORBIDDEN, "this certificate is not an operator's");
        return;
    };
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept() => {
                let Some(stream) = stream else { return };
                requests.spawn(answer(stream, operator.clone(), Arc::clone(&context)));
            }
            Some(ended) = requests.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%operator, %error, "a request of this operator failed");
                }
            }
        }
    }
}

async fn answer(mut stream: Stream, operator: OperatorName, context: Arc<Context>) {
    let answered = async {
        let request: OperatorRequest = stream.read_request().await?;
        // Asked each time: who was removed is out with his next word.
        if !is_registered(&stream, &operator, &context).await {
            stream
                .connection()
                .close(Code::REVOKED, "this operator is not registered any more");
            return Ok(());
        }
        if let OperatorRequest::Watch { run, from } = request {
            return watch::watch(stream, run, from, &context).await;
        }
        let begin = Instant::now();
        let reply = audited(request, &operator, &stream, &context).await;
        context.meters.operators.since(begin);
        stream.reply(&reply).await
    };
    let answered: Result<(), RequestError> = answered.await;
    if let Err(error) = answered {
        tracing::debug!(%operator, %error, "operator request");
    }
}

async fn is_registered(stream: &Stream, operator: &OperatorName, context: &Context) -> bool {
    let Some(fingerprint) = stream.connection().peer().fingerprint.clone() else {
        return false;
    };
    match context
        .store
        .is_operator(operator.clone(), fingerprint)
        .await
    {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "cannot look an operator up");
            false
        }
    }
}

/// What was done is in the log before the operator hears of it; what cannot be logged is told as a
/// failure, though it may have been done.
async fn audited(
    request: OperatorRequest,
    operator: &OperatorName,
    stream: &Stream,
    context: &Context,
) -> OperatorReply {
    let what = describe::mutation(&request);
    let reply = dispatch(request, operator, context)
        .await
        .unwrap_or_else(Refused::into_reply);
    let Some(what) = what else { return reply };
    let entry = AuditEntry {
        at: clock::now(),
        operator: operator.clone(),
        peer: stream.connection().remote_address().to_string(),
        outcome: describe::outcome(&reply),
        what,
    };
    tracing::info!(%operator, peer = entry.peer, what = entry.what, outcome = entry.outcome, "audit");
    match context.store.audit(entry).await {
        Ok(()) => reply,
        Err(error) => Refused::from(error).into_reply(),
    }
}

async fn dispatch(
    request: OperatorRequest,
    operator: &OperatorName,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    match request {
        OperatorRequest::Status => status::status(context).await,
        OperatorRequest::Nodes => status::nodes(context).await,
        OperatorRequest::Node(name) => status::node(name, context).await,
        OperatorRequest::AddNode(node) => nodes::add(node, context).await,
        OperatorRequest::AcceptNode {
            name,
            fingerprint,
            roles,
        } => nodes::accept(name, fingerprint, roles, context).await,
        OperatorRequest::RemoveNode(name) => nodes::remove(name, context).await,
        OperatorRequest::SetNode {
            name,
            roles,
            labels,
            address,
        } => nodes::set(name, roles, labels, address, context).await,
        OperatorRequest::AddToken(token) => tokens::add(token, context).await,
        OperatorRequest::Tokens => tokens::list(context).await,
        OperatorRequest::RevokeToken(id) => tokens::revoke(id, context).await,
        OperatorRequest::StartPlan(start) => runs::plan(start, operator, context).await,
        OperatorRequest::StartApply { start, approved } => {
            runs::apply(start, approved, operator, context).await
        }
        OperatorRequest::Approve(run) => runs::approve(run, context).await,
        OperatorRequest::Cancel(run) => runs::cancel(run, operator, context).await,
        OperatorRequest::Runs { limit } => runs::list(limit, context).await,
        OperatorRequest::Run(run) => runs::detail(run, context).await,
        OperatorRequest::ReplaceNode { name, ttl } => nodes::replace(name, ttl, context).await,
        OperatorRequest::PauseNode {
            name,
            until,
            reason,
        } => nodes::pause(name, until, reason, context).await,
        OperatorRequest::StartActions(action) => runs::act(action, operator, context).await,
        OperatorRequest::Query(query) => inventory::query(query, context).await,
        OperatorRequest::Refresh { target } => inventory::refresh(&target, context).await,
        OperatorRequest::Render { node, path } => render::render(node, &path, context).await,
        // Answered by many: see `answer`.
        OperatorRequest::Watch { .. } => Err(StoreError::Closed.into()),
    }
}
