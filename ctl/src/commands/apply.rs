//! `ctl apply`: plans, asks, changes.

use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest, Start};
use brine_wire::run::{RunDetail, RunPhase};
use clap::Args;
use serde_json::json;

use super::Context;
use super::follow::{self, Follow, Stop};
use crate::client::{Server, ask};
use crate::error::{CtlError, UsageError};
use crate::exit::Exit;
use crate::{json, parse, show};

const EXAMPLES: &str = "\
Examples:
  ctl apply role=balancer
  ctl apply all --yes                        # in a script: nobody is asked
  ctl apply 'role=db and not node=db03'
  ctl apply role=backend --skip-unreachable

First everything is planned and shown; nothing is touched before you say yes, and what goes beyond
the plan is not done. The run goes on when ctl ends: `ctl runs watch ID` follows it again.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ApplyArgs {
    /// Which nodes: `all`, `role=db`, or an expression in quotes
    #[arg(required = true, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Apply what is planned without asking; required without a terminal
    #[arg(long, short)]
    pub yes: bool,
    /// Leave out the nodes that cannot be reached, instead of refusing
    #[arg(long)]
    pub skip_unreachable: bool,
    /// Wait for other runs on the same roles, instead of refusing
    #[arg(long)]
    pub wait: bool,
}

/// # Errors
/// The target makes no sense, nobody can be asked, or the server refuses or cannot be asked.
pub async fn run<S: Server>(args: ApplyArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let target = parse::target("apply", &args.target)?;
    may_ask(args.yes, context, &format!("apply {}", show::apply::quoted(&target)))?;
    let start = Start { target, skip_unreachable: args.skip_unreachable, wait: args.wait };
    let request = OperatorRequest::StartApply { start, approved: args.yes };
    let run = ask!(context.server, request, OperatorReply::Run(run) => run)?;
    if context.output.is_json() {
        context.output.json(&json!({ "type": "started", "run": run.0 }))?;
    }
    resume(run, args.yes, context).await
}

/// Refuses early where a yes will be needed and nobody can give it.
///
/// # Errors
/// There is no terminal, and no `--yes`.
pub fn may_ask<S: Server>(
    yes: bool,
    context: &Context<'_, S>,
    command: &str,
) -> Result<(), UsageError> {
    if yes || context.output.can_ask() {
        return Ok(());
    }
    let why = if context.output.is_json() {
        "the output is for a program"
    } else {
        "there is no terminal"
    };
    let instead = format!("see `ctl plan` first, then say yes up front: `ctl {command} --yes`");
    Err(UsageError::CannotAsk { why, instead })
}

/// From wherever the run stands to its end; `approved` where the operator has said yes already.
///
/// # Errors
/// The server is gone, or refuses.
pub async fn resume<S: Server>(
    run: RunId,
    approved: bool,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let mut follow = Follow::new(run, true);
    let planned = |phase| matches!(phase, RunPhase::Approval | RunPhase::Applying);
    let mut stop = follow.until(context, planned).await?;
    if stop == Stop::Interrupted && !approved {
        // Nobody is left to say yes to it.
        follow::abandon(context, run).await;
        return Ok(Exit::Interrupted);
    }
    let mut shown = false;
    if let Stop::Phase(_) = stop {
        let detail = follow::record(context.server, run).await?;
        if !context.output.is_json() {
            context.output.show(|style| show::plan::plan(&detail, style), || json::run(&detail))?;
        }
        shown = true;
    }
    if stop == Stop::Phase(RunPhase::Approval) {
        match ask_for_it(&mut follow, approved, context).await? {
            Answer::Yes => {}
            Answer::Exit(exit) => return Ok(exit),
        }
    }
    if matches!(stop, Stop::Phase(_)) {
        stop = follow.until(context, |_| false).await?;
    }
    if stop == Stop::Interrupted {
        return Ok(follow::left_alone(context, run));
    }
    finish(run, shown, context).await
}

enum Answer {
    /// Or the run went on anyway: somebody else has answered.
    Yes,
    Exit(Exit),
}

async fn ask_for_it<S: Server>(
    follow: &mut Follow,
    approved: bool,
    context: &Context<'_, S>,
) -> Result<Answer, CtlError> {
    let run = follow.run;
    if !approved {
        let detail = follow::record(context.server, run).await?;
        let question = show::plan::question(&detail);
        let yes = tokio::select! {
            biased;
            yes = context.output.confirm(&question) => yes,
            stop = follow.until(context, |phase| phase != RunPhase::Approval) => {
                return after_all(stop?, run, context).await;
            }
        };
        if !yes {
            follow::abandon(context, run).await;
            return Ok(Answer::Exit(Exit::Cancelled));
        }
    }
    ask!(context.server, OperatorRequest::Approve(run), OperatorReply::Done => Answer::Yes)
}

/// Something happened while the question stood.
async fn after_all<S: Server>(
    stop: Stop,
    run: RunId,
    context: &Context<'_, S>,
) -> Result<Answer, CtlError> {
    context.output.say("");
    if stop == Stop::Interrupted {
        follow::abandon(context, run).await;
        return Ok(Answer::Exit(Exit::Interrupted));
    }
    context.output.say("somebody else has answered");
    Ok(Answer::Yes)
}

async fn finish<S: Server>(
    run: RunId,
    shown: bool,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let detail = follow::record(context.server, run).await?;
    if context.output.is_json() {
        context.output.json(&result(&detail))?;
    } else if detail.reports.is_empty() && !shown {
        // Nothing was applied: what was found is the answer.
        context.output.show(|style| show::plan::plan(&detail, style), || json::run(&detail))?;
        context.output.note(|style| show::runs::ending(&detail.summary, style));
    } else {
        context.output.show(|style| show::apply::summary(&detail, style), || json::run(&detail))?;
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
