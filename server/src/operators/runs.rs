//! Starting, approving, cancelling and looking at runs.

use brine_model::name::OperatorName;
use brine_transport::limits::FRAME;
use brine_wire::codec;
use brine_wire::job::RunId;
use brine_wire::operator::{ActionRequest, OperatorReply, Start, StartAction};
use brine_wire::run::{RunKind, RunPhase, RunSummary};

use super::refuse::Refused;
use super::validate;
use crate::context::Context;

const RUNS: u32 = 1000;
const TARGET: usize = 4096;

pub(super) async fn plan(
    start: Start,
    operator: &OperatorName,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    begin(RunKind::Plan, start, false, None, operator, context).await
}

pub(super) async fn apply(
    start: Start,
    approved: bool,
    operator: &OperatorName,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    begin(RunKind::Apply, start, approved, None, operator, context).await
}

/// Whoever asks for an action has seen what it does: there is no plan to say yes to.
pub(super) async fn act(
    action: StartAction,
    operator: &OperatorName,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    let StartAction { start, action } = action;
    validate::action(&action)?;
    begin(
        RunKind::Action,
        start,
        true,
        Some(action),
        operator,
        context,
    )
    .await
}

async fn begin(
    kind: RunKind,
    start: Start,
    approved: bool,
    action: Option<ActionRequest>,
    operator: &OperatorName,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    if start.target.len() > TARGET {
        return Err(Refused::bad(format!("a target has at most {TARGET} bytes")));
    }
    let snapshot = context.compiler.newest().await?;
    let run = context
        .runs
        .start(kind, operator.clone(), start, approved, action, &snapshot)
        .await?;
    Ok(OperatorReply::Run(run))
}

pub(super) async fn approve(run: RunId, context: &Context) -> Result<OperatorReply, Refused> {
    let summary = find(run, context).await?;
    if summary.phase == RunPhase::Approval && context.runs.approve(run) {
        Ok(OperatorReply::Done)
    } else {
        Err(Refused::conflict(format!(
            "run {run} does not wait for a yes: it is {}",
            phase(&summary)
        )))
    }
}

pub(super) async fn cancel(
    run: RunId,
    operator: &OperatorName,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    let summary = find(run, context).await?;
    if !summary.phase.is_over() && context.runs.cancel(run, operator.as_str()) {
        Ok(OperatorReply::Done)
    } else {
        Err(Refused::conflict(format!(
            "run {run} is over: it is {}",
            phase(&summary)
        )))
    }
}

pub(super) async fn list(limit: u32, context: &Context) -> Result<OperatorReply, Refused> {
    Ok(OperatorReply::Runs(
        context.store.runs(limit.min(RUNS), None).await?,
    ))
}

/// A detail that is too large for one message comes without diffs: these are the bulk.
pub(super) async fn detail(run: RunId, context: &Context) -> Result<OperatorReply, Refused> {
    let mut detail = context
        .store
        .run_detail(run)
        .await?
        .ok_or_else(|| no_run(run))?;
    let fits = codec::encode(&detail).is_ok_and(|bytes| bytes.len() < FRAME - 1024);
    if !fits {
        let plans = detail
            .plans
            .iter_mut()
            .flat_map(|(_, plan)| &mut plan.resources);
        for planned in plans {
            use brine_model::converge::PlanOutcome::{After, Changes};
            if let Changes(changes)
            | After {
                intent: changes, ..
            } = &mut planned.outcome
            {
                changes.iter_mut().for_each(|change| change.diff = None);
            }
        }
        let reports = detail
            .reports
            .iter_mut()
            .flat_map(|(_, report)| &mut report.resources);
        for applied in reports {
            use brine_model::converge::ResourceOutcome::{Changed, Failed, NotApproved};
            if let Changed(changes) | Failed { changes, .. } | NotApproved(changes) =
                &mut applied.outcome
            {
                changes.iter_mut().for_each(|change| change.diff = None);
            }
        }
    }
    Ok(OperatorReply::RunDetail(Box::new(detail)))
}

pub(super) async fn find(run: RunId, context: &Context) -> Result<RunSummary, Refused> {
    context
        .store
        .run_summary(run)
        .await?
        .ok_or_else(|| no_run(run))
}

fn no_run(run: RunId) -> Refused {
    Refused::not_found(format!("there is no run {run}")).help("see `ctl runs list`")
}

fn phase(summary: &RunSummary) -> String {
    format!("{:?}", summary.phase).to_lowercase()
}
