//! From a plan to its yes, and on to the end: what `apply` and `runs approve` share.

use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::run::{RunDetail, RunPhase};

use super::Context;
use super::behind::Before;
use super::follow::{self, Follow, Stop};
use crate::client::{Server, ask};
use crate::error::{CtlError, UsageError};
use crate::exit::Exit;
use crate::output::Output;
use crate::{json, show};

/// Refuses early where a yes will be needed and nobody can give it; `command` is how it is given
/// on the command line.
///
/// # Errors
/// There is no terminal, and no `--yes`.
pub fn may_ask(yes: bool, output: &Output, command: &str) -> Result<(), UsageError> {
    if yes || output.can_ask() {
        return Ok(());
    }
    let why = if output.is_json() {
        "the output is for a program"
    } else {
        "there is no terminal"
    };
    let instead = format!("say yes up front: `ctl {command}`");
    Err(UsageError::CannotAsk { why, instead })
}

/// A run to be followed through its approval.
#[derive(Debug)]
pub struct Approval {
    pub run: RunId,
    /// The operator has said yes already.
    pub approved: bool,
    /// Begun by this call: where nobody says yes, nobody else is left to.
    pub ours: bool,
    /// How the fleet stood before.
    pub before: Before,
}

/// From wherever the run stands to its end.
///
/// # Errors
/// The server is gone, or refuses.
pub async fn follow_through<S: Server>(
    from: &Approval,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let mut follow = Follow::new(from.run, true);
    let planned = |phase| matches!(phase, RunPhase::Approval | RunPhase::Applying);
    let phase = match follow.until(context, planned).await? {
        Stop::Phase(phase) => phase,
        Stop::Over => return finish(from, false, context).await,
        Stop::Interrupted if from.approved => return Ok(follow::left_alone(context, from.run)),
        Stop::Interrupted => {
            unanswered(from, context).await;
            return Ok(Exit::Interrupted);
        }
    };
    let detail = follow::record(context.server, from.run).await?;
    if !context.output.is_json() {
        context
            .output
            .data_of(|style| show::plan::plan(&detail, style))?;
    }
    if phase == RunPhase::Approval
        && let Some(exit) = approve(&detail, from, &mut follow, context).await?
    {
        return Ok(exit);
    }
    match follow.until(context, |_| false).await? {
        Stop::Interrupted => Ok(follow::left_alone(context, from.run)),
        Stop::Phase(_) | Stop::Over => finish(from, true, context).await,
    }
}

/// Gets the yes and passes it on; an exit code where there is none.
async fn approve<S: Server>(
    detail: &RunDetail,
    from: &Approval,
    follow: &mut Follow,
    context: &Context<'_, S>,
) -> Result<Option<Exit>, CtlError> {
    if !from.approved {
        let question = show::plan::question(detail);
        let yes = tokio::select! {
            biased;
            yes = context.output.confirm(&question) => yes,
            stop = follow.until(context, |phase| phase != RunPhase::Approval) => {
                context.output.say("");
                if stop? != Stop::Interrupted {
                    context.output.say("somebody else has answered");
                    return Ok(None);
                }
                unanswered(from, context).await;
                return Ok(Some(Exit::Interrupted));
            }
        };
        if !yes {
            unanswered(from, context).await;
            return Ok(Some(Exit::Cancelled));
        }
    }
    ask!(context.server, OperatorRequest::Approve(from.run), OperatorReply::Done => None)
}

/// Nobody says yes: a run of this call ends, another's goes on waiting.
async fn unanswered<S: Server>(from: &Approval, context: &Context<'_, S>) {
    let run = from.run;
    if from.ours {
        follow::abandon(context, run).await;
    } else {
        context.output.say(&format!(
            "run {run} still waits; to end it: `ctl runs cancel {run}`"
        ));
    }
}

/// Shows what came of it; `shown` where the plan stands above already.
async fn finish<S: Server>(
    from: &Approval,
    shown: bool,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let detail = follow::record(context.server, from.run).await?;
    let behind = from.before.compare(&detail, context.server).await;
    if context.output.is_json() {
        let mut line = result(&detail);
        line["behind"] = json::behind(&behind);
        context.output.json(&line)?;
    } else if detail.reports.is_empty() && !shown {
        // Nothing was applied: what was found is the answer.
        context
            .output
            .data_of(|style| show::plan::plan(&detail, style))?;
        context
            .output
            .note(|style| show::runs::ending(&detail.summary, style));
    } else {
        let gap = if shown { "\n" } else { "" };
        context.output.data_of(|style| {
            gap.to_owned()
                + &show::apply::summary(&detail, style)
                + &show::behind::behind(&behind, style)
        })?;
    }
    Ok(follow::exit(&detail))
}

/// The last line of events, with the whole record.
#[must_use]
pub fn result(detail: &RunDetail) -> serde_json::Value {
    let mut line = json::run(detail);
    if let serde_json::Value::Object(line) = &mut line {
        line.insert("type".to_owned(), "result".into());
    }
    line
}
