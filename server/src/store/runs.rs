//! Runs: their heads, their nodes, what was planned and done.

use brine_model::catalog::Policy;
use brine_model::converge::{ApplyReport, Approval, Plan};
use brine_model::diagnostic::Diagnostic;
use brine_model::digest::Digest;
use brine_model::name::{NodeName, OperatorName, RoleName};
use brine_model::time::Timestamp;
use brine_wire::job::RunId;
use brine_wire::operator::{Agreed, AgreedNode};
use brine_wire::run::{
    Happening, NodeState, Output, RunDetail, RunKind, RunNode, RunPhase, RunSummary,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::blobs::{self, CatalogBlobs};
use super::decode::{
    DigestColumn, collect, from_bytes, from_json, from_word, parsed, signed, to_bytes, to_json,
    to_word, unsigned,
};
use super::{Store, StoreError, events};
use crate::runs::interruption;

/// The record of a run that begins.
#[derive(Debug, Clone)]
pub(crate) struct NewRun {
    pub kind: RunKind,
    pub target: String,
    pub operator: OperatorName,
    pub snapshot: String,
    /// Warnings of the nodes concerned.
    pub diagnostics: Vec<Diagnostic>,
    pub nodes: Vec<RunCatalog>,
    /// Catalogs that are needed beside the nodes' own: to be kept until the run is over.
    pub catalogs: Vec<Digest>,
}

/// What one node of a run is to become.
#[derive(Debug, Clone)]
pub(crate) struct RunCatalog {
    pub name: NodeName,
    pub roles: Vec<RoleName>,
    pub state: NodeState,
    pub catalog: Digest,
    pub policies: Vec<Policy>,
    /// What the node has now, for a revert.
    pub previous: Option<(Digest, Vec<Policy>)>,
}

/// Where a node stands by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeUpdate {
    pub state: NodeState,
    pub reason: Option<String>,
    /// Changed and failed resources; none leaves them as they are.
    pub counts: Option<(u32, u32)>,
}

/// How many runs there are, by the words of their phases.
#[derive(Debug, Default)]
pub(crate) struct RunCounts {
    pub(crate) open: Vec<(String, i64)>,
    pub(crate) over: Vec<(String, i64)>,
}

impl Store {
    /// Records a run and keeps the blobs that its nodes will ask for.
    pub(crate) async fn create_run(
        &self,
        new: NewRun,
        needed: CatalogBlobs,
        at: Timestamp,
    ) -> Result<RunId, StoreError> {
        let root = self.blobs.clone();
        self.write(move |db| {
            blobs::keep(db, &root, &needed)?;
            db.execute(
                "INSERT INTO runs (kind, target, operator, phase, started, snapshot, diagnostics)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    to_word(&new.kind)?,
                    new.target,
                    new.operator.as_str(),
                    to_word(&RunPhase::Planning)?,
                    at.0,
                    new.snapshot,
                    to_bytes("diagnostics", &new.diagnostics)?
                ],
            )?;
            let run = RunId(unsigned(db.last_insert_rowid()));
            let mut insert = db.prepare_cached(
                "INSERT INTO run_nodes
                     (run, node, roles, state, catalog, policies, previous, previous_policies)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for node in &new.nodes {
                insert.execute(params![
                    signed(run.0),
                    node.name.as_str(),
                    to_json(&node.roles)?,
                    to_word(&node.state)?,
                    DigestColumn(node.catalog),
                    to_bytes("policy", &node.policies)?,
                    node.previous
                        .as_ref()
                        .map(|(digest, _)| DigestColumn(*digest)),
                    node.previous
                        .as_ref()
                        .map(|(_, policies)| to_bytes("policy", policies))
                        .transpose()?,
                ])?;
            }
            let previous = new.nodes.iter().filter_map(|node| node.previous.as_ref());
            let previous = previous.map(|(digest, _)| digest);
            for catalog in new.catalogs.iter().chain(previous) {
                db.execute(
                    "INSERT OR IGNORE INTO run_catalogs VALUES (?, ?)",
                    params![signed(run.0), DigestColumn(*catalog)],
                )?;
            }
            let phase = Happening::Phase {
                phase: RunPhase::Planning,
                reason: None,
            };
            events::append(db, run, at, &phase)?;
            Ok(run)
        })
        .await
    }

    /// A run enters a phase; a final one is for good, and gives up blobs that nobody else needs.
    pub(crate) async fn set_phase(
        &self,
        run: RunId,
        phase: RunPhase,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let root = self.blobs.clone();
        self.write(move |db| {
            set_phase(db, run, phase, reason, at)?;
            if phase.is_over() {
                blobs::sweep(db, &root)
            } else {
                Ok(())
            }
        })
        .await
    }

    pub(crate) async fn set_run_node(
        &self,
        run: RunId,
        node: NodeName,
        update: NodeUpdate,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |db| set_node(db, run, &node, &update, at))
            .await
    }

    /// Replaces a node's plan by what the server knows beyond it.
    pub(crate) async fn set_plan(
        &self,
        run: RunId,
        node: NodeName,
        plan: Plan,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute(
                "UPDATE run_nodes SET plan = ? WHERE run = ? AND node = ?",
                params![to_bytes("plan", &plan)?, signed(run.0), node.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes what an apply may do to a node, for going on with it later.
    pub(crate) async fn set_approval(
        &self,
        run: RunId,
        node: NodeName,
        approval: Approval,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute(
                "UPDATE run_nodes SET approval = ? WHERE run = ? AND node = ?",
                params![
                    to_bytes("approval", &approval)?,
                    signed(run.0),
                    node.as_str()
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// What was agreed to in a run.
    pub(crate) async fn agreed(&self, run: RunId) -> Result<Agreed, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT node, catalog, approval FROM run_nodes
                 WHERE run = ? AND approval IS NOT NULL",
            )?;
            let mut rows = statement.query([signed(run.0)])?;
            let nodes = collect(&mut rows, |row| {
                let approval: Vec<u8> = row.get("approval")?;
                let node = AgreedNode {
                    catalog: row.get::<_, DigestColumn>("catalog")?.0,
                    approval: from_bytes("approval", &approval)?,
                };
                Ok((parsed(row, "node")?, node))
            })?;
            Ok(Agreed {
                nodes: nodes.into_iter().collect(),
            })
        })
        .await
    }

    /// Keeps what an action left on a node.
    pub(crate) async fn set_output(
        &self,
        run: RunId,
        node: NodeName,
        output: Output,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute(
                "UPDATE run_nodes SET output = ? WHERE run = ? AND node = ?",
                params![to_json(&output)?, signed(run.0), node.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// The bytes of a catalog that is kept for a run; none where it is gone.
    pub(crate) fn catalog_bytes(&self, digest: Digest) -> Option<Vec<u8>> {
        std::fs::read(blobs::path_of(&self.blobs, digest)).ok()
    }

    /// Ends what a server that died left open: each run becomes interrupted at the place where it
    /// stood. What was under way on nodes may still report.
    pub(crate) async fn interrupt_open_runs(
        &self,
        at: Timestamp,
    ) -> Result<Vec<RunId>, StoreError> {
        self.write(move |db| {
            let open = open(db)?;
            for run in &open {
                interrupt(db, run, at)?;
            }
            Ok(open.iter().map(|run| run.id).collect())
        })
        .await
    }

    /// Ends one run because the server stops.
    pub(crate) async fn interrupt_run(&self, run: RunId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |db| match summary(db, run)? {
            Some(run) if !run.phase.is_over() => interrupt(db, &run, at),
            _ => Ok(()),
        })
        .await
    }

    pub(crate) async fn run_summary(&self, run: RunId) -> Result<Option<RunSummary>, StoreError> {
        self.read(move |db| summary(db, run)).await
    }

    /// How many runs there are, by the words of their phases.
    pub(crate) async fn run_counts(&self) -> Result<RunCounts, StoreError> {
        self.read(|db| {
            let mut statement = db
                .prepare_cached("SELECT phase, count(*) FROM runs GROUP BY phase ORDER BY phase")?;
            let mut rows = statement.query([])?;
            let mut counts = RunCounts::default();
            while let Some(row) = rows.next()? {
                let word: String = row.get(0)?;
                let count: i64 = row.get(1)?;
                let phase: RunPhase = from_word("phase", word.clone())?;
                let side = if phase.is_over() {
                    &mut counts.over
                } else {
                    &mut counts.open
                };
                side.push((word, count));
            }
            Ok(counts)
        })
        .await
    }

    /// Runs that are not over.
    pub(crate) async fn open_runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        self.read(open).await
    }

    /// The last runs, newest first; of one node, or all.
    pub(crate) async fn runs(
        &self,
        limit: u32,
        node: Option<NodeName>,
    ) -> Result<Vec<RunSummary>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT * FROM runs
                 WHERE ?1 IS NULL OR id IN (SELECT run FROM run_nodes WHERE node = ?1)
                 ORDER BY id DESC LIMIT ?2",
            )?;
            let mut rows = statement.query(params![node.as_ref().map(NodeName::as_str), limit])?;
            collect(&mut rows, |row| decode(db, row))
        })
        .await
    }

    /// Everything known of a run.
    pub(crate) async fn run_detail(&self, run: RunId) -> Result<Option<RunDetail>, StoreError> {
        self.read(move |db| {
            let Some(summary) = summary(db, run)? else {
                return Ok(None);
            };
            let diagnostics: Vec<u8> = db.query_row(
                "SELECT diagnostics FROM runs WHERE id = ?",
                [signed(run.0)],
                |row| row.get(0),
            )?;
            let mut statement = db.prepare_cached(
                "SELECT node, plan, report, catalog, output FROM run_nodes
                 WHERE run = ? ORDER BY node",
            )?;
            let (mut plans, mut reports) = (Vec::new(), Vec::new());
            let (mut catalogs, mut outputs) = (Vec::new(), Vec::new());
            let mut rows = statement.query([signed(run.0)])?;
            while let Some(row) = rows.next()? {
                let name: NodeName = parsed(row, "node")?;
                // What another version of the server wrote may be unreadable; the rest still shows.
                if let Some(plan) = row.get::<_, Option<Vec<u8>>>("plan")?
                    && let Ok(plan) = from_bytes::<Plan>("plan", &plan)
                {
                    plans.push((name.clone(), plan));
                }
                if let Some(report) = row.get::<_, Option<Vec<u8>>>("report")?
                    && let Ok(report) = from_bytes::<ApplyReport>("report", &report)
                {
                    reports.push((name.clone(), report));
                }
                catalogs.push((name.clone(), row.get::<_, DigestColumn>("catalog")?.0));
                if let Some(output) = row.get::<_, Option<String>>("output")? {
                    outputs.push((name, from_json("output", &output)?));
                }
            }
            let diagnostics = from_bytes("diagnostics", &diagnostics).unwrap_or_default();
            Ok(Some(RunDetail {
                summary,
                diagnostics,
                plans,
                reports,
                catalogs,
                outputs,
            }))
        })
        .await
    }
}

fn open(db: &Connection) -> Result<Vec<RunSummary>, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM runs WHERE ended IS NULL ORDER BY id")?;
    collect(&mut statement.query([])?, |row| decode(db, row))
}

pub(super) fn summary(db: &Connection, run: RunId) -> Result<Option<RunSummary>, StoreError> {
    let found = db
        .prepare_cached("SELECT * FROM runs WHERE id = ?")?
        .query_row([signed(run.0)], |row| Ok(decode(db, row)))
        .optional()?;
    found.transpose()
}

fn decode(db: &Connection, row: &Row<'_>) -> Result<RunSummary, StoreError> {
    let id: i64 = row.get("id")?;
    let mut nodes = db.prepare_cached("SELECT * FROM run_nodes WHERE run = ? ORDER BY node")?;
    let nodes = collect(&mut nodes.query([id])?, |row| {
        Ok(RunNode {
            name: parsed(row, "node")?,
            roles: from_json("role", &row.get::<_, String>("roles")?)?,
            state: from_word("state", row.get("state")?)?,
            reason: row.get("reason")?,
            changed: row.get("changed")?,
            failed: row.get("failed")?,
        })
    })?;
    Ok(RunSummary {
        id: RunId(unsigned(id)),
        kind: from_word("kind", row.get("kind")?)?,
        target: row.get("target")?,
        operator: parsed(row, "operator")?,
        phase: from_word("phase", row.get("phase")?)?,
        started: Timestamp(row.get("started")?),
        ended: row.get::<_, Option<i64>>("ended")?.map(Timestamp),
        snapshot: row.get("snapshot")?,
        reason: row.get("reason")?,
        nodes,
    })
}

fn set_phase(
    db: &Connection,
    run: RunId,
    phase: RunPhase,
    reason: Option<String>,
    at: Timestamp,
) -> Result<(), StoreError> {
    // A run that is over stays as it ended, whoever comes late.
    let changed = db.execute(
        "UPDATE runs SET phase = ?, reason = ?, ended = ? WHERE id = ? AND ended IS NULL",
        params![
            to_word(&phase)?,
            reason,
            phase.is_over().then_some(at.0),
            signed(run.0)
        ],
    )?;
    if changed > 0 {
        events::append(db, run, at, &Happening::Phase { phase, reason })
    } else {
        Ok(())
    }
}

pub(super) fn set_node(
    db: &Connection,
    run: RunId,
    node: &NodeName,
    update: &NodeUpdate,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (changed, failed) = update.counts.unzip();
    let known = db
        .prepare_cached(
            "UPDATE run_nodes SET state = ?, reason = ?,
                 changed = coalesce(?, changed), failed = coalesce(?, failed)
             WHERE run = ? AND node = ?",
        )?
        .execute(params![
            to_word(&update.state)?,
            update.reason,
            changed,
            failed,
            signed(run.0),
            node.as_str()
        ])?;
    if known == 0 {
        return Ok(());
    }
    let (state, reason) = (update.state, update.reason.clone());
    events::append(
        db,
        run,
        at,
        &Happening::Node {
            node: node.clone(),
            state,
            reason,
        },
    )
}

fn interrupt(db: &Connection, run: &RunSummary, at: Timestamp) -> Result<(), StoreError> {
    for (node, update) in interruption::updates(&run.nodes) {
        set_node(db, run.id, &node, &update, at)?;
    }
    let reason = interruption::reason(run.phase, &run.nodes);
    set_phase(db, run.id, RunPhase::Interrupted, Some(reason), at)
}
