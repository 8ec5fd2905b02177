//! Beginning a run: everything that can be said no to is said no to here, before anyone is touched.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::diagnostic::Diagnostic;
use brine_model::name::{NodeName, OperatorName, RoleName};
use brine_wire::job::RunId;
use brine_wire::operator::{ActionRequest, Agreed, Paused, Start};
use brine_wire::run::{NodeState, RunKind, RunSummary};
use tokio::task::JoinSet;

use super::Runs;
use super::apply::Tally;
use super::deeds::deeds;
use super::driver::{Driver, Previous, Steps, Target, drive};
use super::leases::{Held, Key, Lease};
use super::members::roles_of;
use super::recorder::Recorder;
use crate::clock;
use crate::compile::Snapshot;
use crate::store::{NewRun, NodeRecord, NodeUpdate, RunCatalog, StoreError};
use crate::target;

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
    #[error("{0}")]
    Action(String),
    #[error("{0}")]
    Resume(String),
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
        mut start: Start,
        mut approved: bool,
        action: Option<ActionRequest>,
        snapshot: &Snapshot,
    ) -> Result<RunId, StartError> {
        let resumed = start.resume.take();
        if let Some(run) = resumed {
            (start.target, start.agreed) = self.to_resume(run).await?;
        }
        // What was agreed to needs no second yes: the run does that or nothing.
        approved |= start.agreed.is_some() || action.is_some();
        let selected = target::select(&start.target, snapshot, &self.0.store).await?;
        let errors = snapshot.errors(&selected);
        if !errors.is_empty() {
            return Err(StartError::Invalid(errors));
        }
        let (present, away) = self.reachable(&selected, snapshot).await;
        if present.is_empty() || (!away.is_empty() && !start.skip_unreachable) {
            return Err(StartError::Unreachable(away.into_values().collect()));
        }
        let deeds = match &action {
            Some(action) => deeds(action, &present, snapshot).map_err(StartError::Action)?,
            None => BTreeMap::new(),
        };
        let needs = if kind != RunKind::Plan {
            needs(&present, snapshot)
        } else {
            BTreeSet::new()
        };
        if !start.wait
            && let Some(held) = self.0.leases.holder(&needs)
        {
            return Err(self.held(held).await?);
        }
        let target = match (&action, resumed) {
            (Some(action), _) => format!("{}: {}", start.target, in_words(action)),
            (None, _) => start.target,
        };
        let members = self.members_of(&present, snapshot);
        let record = NewRun {
            kind,
            target,
            operator,
            snapshot: snapshot.states.name(),
            diagnostics: snapshot.warnings(&selected),
            nodes: selected
                .iter()
                .filter_map(|node| catalog_of(node, &away, snapshot))
                .collect(),
            catalogs: snapshot
                .once
                .iter()
                .filter(|((node, _), _)| members.contains(node))
                .map(|(_, once)| once.digest)
                .collect(),
        };
        let run = self
            .0
            .store
            .create_run(record, snapshot.blobs(&members), clock::now())
            .await?;
        let recorder = Recorder {
            shared: self.0.clone(),
            run,
        };
        // Somebody may have been quicker since the look above.
        let lease = match (kind, start.wait) {
            (RunKind::Plan, _) | (_, true) => None,
            (RunKind::Apply | RunKind::Action, false) => Some(self.lease(&recorder, &needs).await?),
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
            agreed: start.agreed,
            resumes: resumed.is_some(),
            deeds,
            previous: present
                .iter()
                .filter_map(|node| Some((node.clone(), previous(snapshot.node(node)?)?)))
                .collect(),
            tally: Tally::default(),
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
        let now = clock::now();
        let mut away = BTreeMap::new();
        let mut asked = JoinSet::new();
        for node in selected {
            let record = snapshot.node(node);
            let paused = record.and_then(|record| record.paused.as_ref());
            let enrolled = record.is_some_and(|record| record.enrolled.is_some());
            if let Some(paused) = paused.filter(|paused| paused.until > now) {
                away.insert(node.clone(), pause_text(node, paused));
            } else if connected.contains(node) {
                let (fleet, node) = (self.0.fleet.clone(), node.clone());
                let limit = self.0.limits.sign_of_life;
                asked.spawn(async move { (fleet.is_there(&node, limit).await, node) });
            } else if enrolled {
                away.insert(node.clone(), format!("{node} is disconnected"));
            } else {
                away.insert(node.clone(), format!("{node} has not enrolled yet"));
            }
        }
        let mut present = Vec::new();
        for (is_there, node) in asked.join_all().await {
            if is_there {
                present.push(node);
            } else {
                let why = format!("{node} does not answer, though it is connected");
                away.insert(node, why);
            }
        }
        present.sort();
        (present, away)
    }

    /// The nodes themselves and the other members of their roles: what is done once may be done there.
    fn members_of(&self, nodes: &[NodeName], snapshot: &Snapshot) -> Vec<NodeName> {
        let roles = roles_of(nodes, snapshot);
        let others = snapshot
            .nodes
            .iter()
            .filter(|node| node.roles.iter().any(|role| roles.contains(role)))
            .map(|node| &node.name)
            .filter(|node| !nodes.contains(node));
        nodes.iter().chain(others).cloned().collect()
    }

    /// What a run that stopped half-way was about, and what was agreed to then.
    async fn to_resume(&self, run: RunId) -> Result<(String, Option<Agreed>), StartError> {
        let summary = self.0.store.run_summary(run).await?;
        let summary =
            summary.ok_or_else(|| StartError::Resume(format!("there is no run {run}")))?;
        let refused = |why: &str| Err(StartError::Resume(format!("run {run} {why}")));
        if summary.kind != RunKind::Apply {
            return refused("is no apply: there is nothing to go on with");
        }
        if !summary.phase.is_over() {
            return refused("is still under way");
        }
        let agreed = self.0.store.agreed(run).await?;
        if agreed.nodes.is_empty() {
            return refused("touched nothing and nobody agreed to it: apply anew");
        }
        Ok((summary.target, Some(agreed)))
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
        previous: previous(record).map(|previous| (previous.catalog, previous.policies)),
    })
}

pub(super) fn previous(record: &NodeRecord) -> Option<Previous> {
    Some(Previous {
        catalog: record.applied?,
        policies: record.policies.clone(),
    })
}

fn pause_text(node: &NodeName, paused: &Paused) -> String {
    let left = paused.until.since(clock::now()).as_secs();
    let left = match left {
        0..120 => format!("{left} s"),
        120..7200 => format!("{} min", left / 60),
        _ => format!("{} h", left / 3600),
    };
    let why = paused.reason.as_ref();
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("{node} is paused for another {left}{why}")
}

fn in_words(action: &ActionRequest) -> String {
    match action {
        ActionRequest::Formula { formula, action } => format!("{formula}.{action}"),
        ActionRequest::RestartService(unit) => format!("service.restart {unit}"),
        ActionRequest::Reboot => "reboot".to_owned(),
        ActionRequest::Execute(argv) => format!("exec -- {}", argv.join(" ")),
    }
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
