//! Jobs as they were sent, and their results. A result counts once it is here.

use brine_model::catalog::Policy;
use brine_model::converge::ApplyReport;
use brine_model::digest::Digest;
use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_wire::job::{JobId, JobResult};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::decode::{DigestColumn, from_bytes, from_word, signed, to_bytes, to_word};
use super::{NodeUpdate, Store, StoreError, nodes, runs};
use crate::runs::outcome::{self, StepOutcome};

/// What kept jobs ask for. Health is asked anew whenever it matters, so it is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobKind {
    Plan,
    /// The last part of a node's catalog: with it, the catalog is applied.
    Apply,
    /// A part before the last.
    Part,
    /// Looking at what is done once for a role, or at a part anew: nothing of it is the node's plan.
    Look,
    /// What is done once for a role.
    Once,
    /// The catalog that the node had before the run.
    Revert,
    Action,
}

/// What became of a result that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// Kept now; a run that is over has it in its record already.
    Kept,
    /// Was kept before.
    Duplicate,
    /// No such job was ever given to this node, or none that is kept.
    Unknown,
}

impl Store {
    /// Records a job before it is sent: from here on the node may fetch its blobs.
    pub(crate) async fn open_job(
        &self,
        node: NodeName,
        job: JobId,
        kind: JobKind,
        catalog: Digest,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute(
                "INSERT INTO jobs (run, node, step, kind, catalog, deadline)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    signed(job.run.0),
                    node.as_str(),
                    job.step,
                    to_word(&kind)?,
                    DigestColumn(catalog),
                    deadline.0
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Keeps a result and everything that follows from it, at once: the plan or report in the run,
    /// the applied catalog on the node, and, where the run is over already, the node's state.
    pub(crate) async fn record_result(
        &self,
        node: NodeName,
        job: JobId,
        result: JobResult,
        at: Timestamp,
    ) -> Result<Recorded, StoreError> {
        self.write(move |db| record(db, &node, job, &result, at))
            .await
    }
}

fn record(
    db: &Connection,
    node: &NodeName,
    job: JobId,
    result: &JobResult,
    at: Timestamp,
) -> Result<Recorded, StoreError> {
    let key = params![signed(job.run.0), node.as_str(), job.step];
    let found = db
        .prepare_cached(
            "SELECT jobs.kind, jobs.catalog, result IS NOT NULL, policies, previous_policies
             FROM jobs LEFT JOIN run_nodes USING (run, node)
             WHERE run = ? AND node = ? AND step = ?",
        )?
        .query_row(key, |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, DigestColumn>(1)?.0,
                row.get::<_, bool>(2)?,
                row.get::<_, Option<Vec<u8>>>(3)?,
                row.get::<_, Option<Vec<u8>>>(4)?,
            ))
        })
        .optional()?;
    let Some((kind, catalog, known, policies, previous)) = found else {
        return Ok(Recorded::Unknown);
    };
    if known {
        return Ok(Recorded::Duplicate);
    }
    db.execute(
        "UPDATE jobs SET result = ?4 WHERE run = ?1 AND node = ?2 AND step = ?3",
        params![
            signed(job.run.0),
            node.as_str(),
            job.step,
            to_bytes("result", result)?
        ],
    )?;
    let kind = from_word("kind", kind)?;
    match kind {
        JobKind::Plan => keep_plan(db, node, job, result)?,
        JobKind::Look | JobKind::Action => {}
        JobKind::Once => keep_report(db, node, job, result)?,
        JobKind::Apply | JobKind::Part | JobKind::Revert => {
            keep_report(db, node, job, result)?;
            let (outcome, counts) = outcome::of_apply(result);
            if outcome.is_good() && kind != JobKind::Part {
                let policies = if kind == JobKind::Revert {
                    previous
                } else {
                    policies
                };
                let policies: Vec<Policy> = policies
                    .and_then(|bytes| from_bytes("policy", &bytes).ok())
                    .unwrap_or_default();
                nodes::applied(db, node, catalog, &policies, at)?;
            }
            if runs::summary(db, job.run)?.is_some_and(|run| run.phase.is_over()) {
                runs::set_node(db, job.run, node, &late(&outcome, counts), at)?;
            }
        }
    }
    Ok(Recorded::Kept)
}

/// A result that came after the run was over says so.
fn late(outcome: &StepOutcome, counts: Option<(u32, u32)>) -> NodeUpdate {
    let mut update = outcome.update(counts);
    let late = "reported after the run was over";
    update.reason = Some(match update.reason {
        Some(reason) => format!("{reason} ({late})"),
        None => late.to_owned(),
    });
    update
}

fn keep_plan(
    db: &Connection,
    node: &NodeName,
    job: JobId,
    result: &JobResult,
) -> Result<(), StoreError> {
    let JobResult::Planned(plan) = result else {
        return Ok(());
    };
    db.execute(
        "UPDATE run_nodes SET plan = ? WHERE run = ? AND node = ?",
        params![to_bytes("plan", plan)?, signed(job.run.0), node.as_str()],
    )?;
    Ok(())
}

fn keep_report(
    db: &Connection,
    node: &NodeName,
    job: JobId,
    result: &JobResult,
) -> Result<(), StoreError> {
    let (JobResult::Applied(report) | JobResult::Cancelled(Some(report))) = result else {
        return Ok(());
    };
    // What an earlier part did is still to be told.
    let before: Option<Vec<u8>> = db
        .query_row(
            "SELECT report FROM run_nodes WHERE run = ? AND node = ?",
            params![signed(job.run.0), node.as_str()],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    let mut whole: ApplyReport = before
        .and_then(|bytes| from_bytes("report", &bytes).ok())
        .unwrap_or_default();
    whole.extend(report.clone());
    db.execute(
        "UPDATE run_nodes SET report = ? WHERE run = ? AND node = ?",
        params![
            to_bytes("report", &whole)?,
            signed(job.run.0),
            node.as_str()
        ],
    )?;
    Ok(())
}
