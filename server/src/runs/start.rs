//! Beginning a run: everything that can be said no to is said no to here, before anyone is touched.

use std::collections::{BTreeMap, BTreeSet};

use brine_lang::target;
use brine_model::diagnostic::Diagnostic;
use brine_model::name::{NodeName, OperatorName, RoleName};
use brine_wire::job::RunId;
use brine_wire::operator::Start;
use brine_wire::run::{NodeState, RunKind, RunSummary};

use super::Runs;
use super::driver::{Driver, Steps, Target, drive};
use super::leases::{Held, Key, Lease};
use super::members::roles_of;
use super::recorder::Recorder;
use crate::clock;
use crate::compile::Snapshot;
use crate::store::{NewRun, NodeUpdate, RunCatalog, StoreError};

/// Why a run does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{}", .0.message)]
    Target(Box<Diagnostic>),
    #[error("the states do not compile")]
    Invalid(Vec<Diagnostic>),
    #[error("not reachable: {}", .0.join(", "))]
    Unreachable(Vec<String>),
    #[error("{}", held_text(.key, .by.as_deref(), *.run))]
    Held {
        key: (String, String),
        run: RunId,
        by: Option<Box<RunSummary>>,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Runs {
    /// Begins a run over what `snapshot` says; it goes on by itself.
    ///
    /// # Errors
    /// The target names nobody, a node does not compile or cannot be reached, or another run holds
    /// what this one needs.
    pub(crate) async fn start(
        &self,
        kind: RunKind,
        operator: OperatorName,
        start: Start,
        approved: bool,
        snapshot: &Snapshot,
    ) -> Result<RunId, StartError> {
        let selected =
            target::select(&start.target, &snapshot.fleet).map_err(StartError::Target)?;
        let errors = snapshot.errors(&selected);
        if !errors.is_empty() {
            return Err(StartError::Invalid(errors));
        }
        let (present, away) = self.reachable(&selected, snapshot).await;
        if present.is_empty() || (!away.is_empty() && !start.skip_unreachable) {
            return Err(StartError::Unreachable(away.into_values().collect()));
        }
        let needs = if kind == RunKind::Apply {
            needs(&present, snapshot)
        } else {
            BTreeSet::new()
        };
        if !start.wait
            && let Some(held) = self.0.leases.holder(&needs)
        {
            return Err(self.held(held).await?);
        }
        let record = NewRun {
            kind,
            target: start.target,
            operator,
            snapshot: snapshot.states.name(),
            diagnostics: snapshot.warnings(&selected),
            nodes: selected
                .iter()
                .filter_map(|node| catalog_of(node, &away, snapshot))
                .collect(),
        };
        let run = self
            .0
            .store
            .create_run(record, snapshot.blobs(&present), clock::now())
            .await?;
        let recorder = Recorder {
            shared: self.0.clone(),
            run,
        };
        // Somebody may have been quicker since the look above.
        let lease = match (kind, start.wait) {
            (RunKind::Plan, _) | (_, true) => None,
            (RunKind::Apply, false) => Some(self.lease(&recorder, &needs).await?),
        };
        for (node, why) in &away {
            let (state, reason) = (NodeState::SkippedUnreachable, Some(why.clone()));
            recorder
                .node(
                    node,
                    NodeUpdate {
                        state,
                        reason,
                        counts: None,
                    },
                )
                .await?;
        }
        let driver = Driver {
            mailbox: self.0.live.begin(run),
            recorder,
            kind,
            approved,
            targets: present
                .iter()
                .filter_map(|node| target_of(node, snapshot))
                .collect(),
            conditions: BTreeMap::new(),
            snapshot: snapshot.clone(),
            needs,
            lease,
            steps: Steps::default(),
        };
        self.0.drivers.spawn(drive(driver));
        Ok(run)
    }

    async fn reachable(
        &self,
        selected: &[NodeName],
        snapshot: &Snapshot,
    ) -> (Vec<NodeName>, BTreeMap<NodeName, String>) {
        let connected = self.0.fleet.connected().await;
        let (mut present, mut away) = (Vec::new(), BTreeMap::new());
        for node in selected {
            let enrolled = snapshot
                .node(node)
                .is_some_and(|record| record.enrolled.is_some());
            if connected.contains(node) {
                present.push(node.clone());
            } else if enrolled {
                away.insert(node.clone(), format!("{node} is disconnected"));
            } else {
                away.insert(node.clone(), format!("{node} has not enrolled yet"));
            }
        }
        (present, away)
    }

    /// Takes the lease, or ends the record that was made in vain.
    async fn lease(&self, recorder: &Recorder, needs: &BTreeSet<Key>) -> Result<Lease, StartError> {
        match self.0.leases.take(recorder.run, needs) {
            Ok(lease) => Ok(lease),
            Err(held) => {
                let error = self.held(held).await?;
                let phase = brine_wire::run::RunPhase::Refused;
                recorder.phase(phase, Some(error.to_string())).await?;
                Err(error)
            }
        }
    }

    async fn held(&self, held: Held) -> Result<StartError, StoreError> {
        let by = self.0.store.run_summary(held.by).await?.map(Box::new);
        let key = (held.key.0.to_string(), held.key.1.to_string());
        Ok(StartError::Held {
            key,
            run: held.by,
            by,
        })
    }
}

fn held_text(key: &(String, String), by: Option<&RunSummary>, run: RunId) -> String {
    let (role, formula) = key;
    let Some(by) = by else {
        return format!("run {run} holds {role}/{formula}");
    };
    let busy = |state| {
        matches!(
            state,
            NodeState::Applying | NodeState::Checking | NodeState::Waiting
        )
    };
    let at: Vec<&str> = by
        .nodes
        .iter()
        .filter(|node| busy(node.state))
        .map(|node| node.name.as_str())
        .collect();
    let phase = format!("{:?}", by.phase).to_lowercase();
    let place = if at.is_empty() {
        phase
    } else {
        format!("{phase}, at {}", at.join(", "))
    };
    format!(
        "run {run} by {} over `{}` holds {role}/{formula} ({place})",
        by.operator, by.target
    )
}

fn catalog_of(
    node: &NodeName,
    away: &BTreeMap<NodeName, String>,
    snapshot: &Snapshot,
) -> Option<RunCatalog> {
    let record = snapshot.node(node)?;
    let state = if away.contains_key(node) {
        NodeState::SkippedUnreachable
    } else {
        NodeState::Pending
    };
    Some(RunCatalog {
        name: node.clone(),
        roles: record.roles.clone(),
        state,
        catalog: snapshot.digest(node)?,
        policies: snapshot.compilation.catalogs.get(node)?.policies.clone(),
    })
}

fn target_of(node: &NodeName, snapshot: &Snapshot) -> Option<(NodeName, Target)> {
    let target = Target {
        catalog: snapshot.digest(node)?,
        secrets: snapshot.secrets.get(node).cloned().unwrap_or_default(),
        policies: snapshot.compilation.catalogs.get(node)?.policies.clone(),
    };
    Some((node.clone(), target))
}

/// Every formula of every role that the nodes have.
fn needs(nodes: &[NodeName], snapshot: &Snapshot) -> BTreeSet<Key> {
    let roles = roles_of(nodes, snapshot);
    let formulas = |role: &RoleName| {
        let info = snapshot.compilation.roles.get(role);
        let formulas = info.map(|info| info.formulas.clone()).unwrap_or_default();
        formulas
            .into_iter()
            .map(|formula| (role.clone(), formula))
            .collect::<Vec<_>>()
    };
    roles.iter().flat_map(formulas).collect()
}
