//! Writes what happens in one run, then tells those who watch.

use std::sync::Arc;

use brine_model::converge::Plan;
use brine_model::name::NodeName;
use brine_wire::job::RunId;
use brine_wire::run::{NodeState, RunPhase};

use super::Shared;
use crate::clock;
use crate::store::{NodeUpdate, StoreError};

#[derive(Debug, Clone)]
pub(super) struct Recorder {
    pub(super) shared: Arc<Shared>,
    pub(super) run: RunId,
}

impl Recorder {
    pub(super) async fn phase(
        &self,
        phase: RunPhase,
        reason: Option<String>,
    ) -> Result<(), StoreError> {
        tracing::info!(run = %self.run, ?phase, reason, "run");
        self.shared
            .store
            .set_phase(self.run, phase, reason, clock::now())
            .await?;
        self.shared.live.tell(self.run);
        Ok(())
    }

    pub(super) async fn node(&self, node: &NodeName, update: NodeUpdate) -> Result<(), StoreError> {
        self.shared
            .store
            .set_run_node(self.run, node.clone(), update, clock::now())
            .await?;
        self.shared.live.tell(self.run);
        Ok(())
    }

    pub(super) async fn state(
        &self,
        node: &NodeName,
        state: NodeState,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let reason = reason.map(str::to_owned);
        self.node(
            node,
            NodeUpdate {
                state,
                reason,
                counts: None,
            },
        )
        .await
    }

    /// What a node is about to change; `changes` counts the resources.
    pub(super) async fn plan(
        &self,
        node: &NodeName,
        plan: Plan,
        state: NodeState,
        changes: usize,
    ) -> Result<(), StoreError> {
        let store = &self.shared.store;
        store.set_plan(self.run, node.clone(), plan).await?;
        let counts = Some((u32::try_from(changes).unwrap_or(u32::MAX), 0));
        let update = NodeUpdate {
            state,
            reason: None,
            counts,
        };
        self.node(node, update).await
    }

    pub(super) async fn note(&self, text: String) -> Result<(), StoreError> {
        self.shared.store.note(self.run, text, clock::now()).await?;
        self.shared.live.tell(self.run);
        Ok(())
    }
}
