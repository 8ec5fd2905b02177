//! Asking what nodes have.

use std::collections::BTreeSet;
use std::time::Duration;

use brine_model::name::NodeName;
use brine_wire::agent::{ServerReply, ServerRequest};
use brine_wire::operator::{Answer, OperatorReply, Query, Report};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::refuse::Refused;
use crate::context::Context;
use crate::store::{self, Asked, QueryError, StoreError};
use crate::target;

/// The target that needs no look at states or facts.
const ALL: &str = "all";

/// How long a node may take to look at itself: longer than any of its collectors.
const FRESH: Duration = Duration::from_secs(60);

pub(super) async fn query(query: Query, context: &Context) -> Result<OperatorReply, Refused> {
    // No more at a time than there are processors to spare: the rest of the server goes on.
    let _turn = context
        .queries
        .acquire()
        .await
        .map_err(|_| StoreError::Closed)?;
    let fleet = fleet(&query.target, context).await?;
    let target: BTreeSet<NodeName> = fleet
        .iter()
        .filter(|asked| asked.in_target)
        .map(|asked| asked.node.clone())
        .collect();
    context.store.keep_reports().await?;
    let path = context.store.path.clone();
    let asked = tokio::task::spawn_blocking(move || store::query(&path, &query, &fleet));
    let table = asked.await.map_err(|_| StoreError::Closed)?;
    let table = table.map_err(refused)?;
    let connected = context.fleet.connected().await;
    let reports = context.store.reports().await?.into_iter();
    let reports = reports.filter(|(node, _)| target.contains(node));
    let reports = reports.map(|(node, at)| Report {
        connected: connected.contains(&node),
        node,
        at,
    });
    Ok(OperatorReply::Answer(Box::new(Answer {
        columns: table.columns,
        rows: table.rows,
        truncated: table.truncated,
        reports: reports.collect(),
    })))
}

/// Every registered node. States that cannot be read must not keep an auditor from the whole fleet.
async fn fleet(target: &str, context: &Context) -> Result<Vec<Asked>, Refused> {
    let (nodes, _) = context.store.nodes().await?;
    let snapshot = match context.compiler.newest().await {
        Err(_) if target == ALL => None,
        snapshot => Some(snapshot?),
    };
    let selected: Option<BTreeSet<NodeName>> = match &snapshot {
        Some(snapshot) if target != ALL => {
            let nodes = target::select(target, snapshot, &context.store).await?;
            Some(nodes.into_iter().collect())
        }
        _ => None,
    };
    let asked = nodes.into_iter().map(|node| Asked {
        in_target: selected
            .as_ref()
            .is_none_or(|nodes| nodes.contains(&node.name)),
        catalog: snapshot.as_ref().map(|snapshot| {
            match (node.applied, snapshot.digest(&node.name)) {
                (_, None) => "none",
                (None, Some(_)) => "never applied",
                (Some(applied), Some(newest)) if applied == newest => "up to date",
                (Some(_), Some(_)) => "behind",
            }
        }),
        node: node.name,
    });
    Ok(asked.collect())
}

fn refused(error: QueryError) -> Refused {
    let message = format!("the query has no answer: {error}");
    match error {
        QueryError::Invalid(_) | QueryError::Forbidden => {
            Refused::bad(message).help("`ctl query --help` lists the views and their columns")
        }
        QueryError::TooLong => {
            Refused::bad(message).help("narrow it down by node or by name: both are indexed")
        }
        QueryError::Parameter(_) => Refused::bad(message).help("give it as `--set NAME=VALUE`"),
        QueryError::Open(error) => StoreError::from(error).into(),
    }
}

pub(super) async fn refresh(target: &str, context: &Context) -> Result<OperatorReply, Refused> {
    let snapshot = context.compiler.newest().await?;
    let nodes = target::select(target, &snapshot, &context.store).await?;
    let mut asked = JoinSet::new();
    for node in &nodes {
        let (fleet, node) = (context.fleet.clone(), node.clone());
        asked.spawn(async move {
            let connection = fleet.find(&node).await?;
            let request = connection.request_within(&ServerRequest::Report, FRESH);
            match timeout(FRESH, request).await {
                Ok(Ok(ServerReply::Reported)) => Some(node),
                _ => None,
            }
        });
    }
    let reported: BTreeSet<NodeName> = asked.join_all().await.into_iter().flatten().collect();
    let silent = nodes.into_iter().filter(|node| !reported.contains(node));
    Ok(OperatorReply::Refreshed {
        silent: silent.collect(),
        reported: reported.into_iter().collect(),
    })
}
