//! Who has fallen behind: nodes whose catalogs changed, and that an apply has left out.

use std::collections::BTreeSet;

use brine_model::name::NodeName;
use brine_wire::operator::{NodeInfo, OperatorReply, OperatorRequest};
use brine_wire::run::RunDetail;

use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::show::behind::Behind;
use crate::show::nodes::{Standing, standing};

/// Who was behind before an apply; none where nobody looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before(Option<BTreeSet<NodeName>>);

impl Before {
    /// # Errors
    /// The server cannot be asked at all. That it refuses shows better in what is asked next.
    pub async fn look<S: Server>(server: &S) -> Result<Self, CtlError> {
        match nodes(server).await {
            Ok(nodes) => Ok(Self(Some(
                nodes
                    .into_iter()
                    .filter(is_behind)
                    .map(|node| node.name)
                    .collect(),
            ))),
            Err(CtlError::Refused(_)) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }

    /// Looks again after the run. What cannot be told is left out: the run's own end matters more.
    pub async fn compare<S: Server>(&self, run: &RunDetail, server: &S) -> Behind {
        let mut behind = Behind::default();
        let Some(before) = &self.0 else {
            return behind;
        };
        let Ok(nodes) = nodes(server).await else {
            return behind;
        };
        let in_run = |node: &NodeInfo| run.summary.nodes.iter().any(|n| n.name == node.name);
        for node in nodes
            .into_iter()
            .filter(|node| is_behind(node) && !in_run(node))
        {
            if before.contains(&node.name) {
                behind.still.push(node);
            } else {
                behind.now.push(node);
            }
        }
        behind
    }
}

fn is_behind(node: &NodeInfo) -> bool {
    standing(node) == Standing::Behind
}

async fn nodes<S: Server>(server: &S) -> Result<Vec<NodeInfo>, CtlError> {
    ask!(server, OperatorRequest::Nodes, OperatorReply::Nodes(nodes) => nodes)
}
