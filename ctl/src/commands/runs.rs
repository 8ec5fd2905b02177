//! `ctl runs`: what was planned and applied, and what goes on.

use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::run::{RunKind, RunPhase};
use clap::{Args, Subcommand};

use super::Context;
use super::approval::{self, Approval};
use super::behind::Before;
use super::follow::{self, Follow, Stop};
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::done;
use crate::{json, show};

const EXAMPLES: &str = "\
Examples:
  ctl runs list
  ctl runs show 12            # the outcome; for a plan, what would change
  ctl runs show 12 --plan     # what an apply was about to change
  ctl runs watch 12           # until it is over
  ctl runs approve 12         # say yes to a run that waits for it
  ctl runs cancel 12

A run lives on the server: no ctl need be there for it to go on.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// List the latest runs
    List(ListArgs),
    /// Show the record of one run
    Show(ShowArgs),
    /// Follow a run until it is over
    #[command(after_help = "Examples:\n  ctl runs watch 12")]
    Watch(RunArgs),
    /// Show the plan of a run that waits for a yes, ask, and follow it
    Approve(ApproveArgs),
    /// End a run after the resources at hand
    #[command(after_help = "Examples:\n  ctl runs cancel 12")]
    Cancel(RunArgs),
}

impl Verb {
    /// Whether it may take as long as a run.
    #[must_use]
    pub const fn follows(&self) -> bool {
        matches!(self, Self::Watch(_) | Self::Approve(_))
    }
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ctl runs list --limit 100")]
pub struct ListArgs {
    /// How many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: u32,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ctl runs show 12\n  ctl runs show 12 --plan")]
pub struct ShowArgs {
    /// As `ctl runs list` shows it
    #[arg(value_name = "ID")]
    pub id: u64,
    /// What was planned, also where it has been applied since
    #[arg(long)]
    pub plan: bool,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ctl runs approve 12\n  ctl runs approve 12 --yes")]
pub struct ApproveArgs {
    /// As `ctl runs list` shows it
    #[arg(value_name = "ID")]
    pub id: u64,
    /// Do not ask; required without a terminal
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// As `ctl runs list` shows it
    #[arg(value_name = "ID")]
    pub id: u64,
}

/// # Errors
/// The server refuses or cannot be asked.
pub async fn run<S: Server>(args: RunsArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    match args.verb {
        Verb::List(args) => list(&args, context).await,
        Verb::Show(args) => show(&args, context).await,
        Verb::Watch(args) => watch(RunId(args.id), context).await,
        Verb::Approve(args) => approve(&args, context).await,
        Verb::Cancel(args) => cancel(RunId(args.id), context).await,
    }
}

async fn list<S: Server>(args: &ListArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let request = OperatorRequest::Runs { limit: args.limit };
    let runs = ask!(context.server, request, OperatorReply::Runs(runs) => runs)?;
    context
        .output
        .show(|style| show::runs::list(&runs, style), || json::runs(&runs))?;
    Ok(Exit::Ok)
}

async fn show<S: Server>(args: &ShowArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let detail = follow::record(context.server, RunId(args.id)).await?;
    context.output.show(
        |style| show::runs::detail(&detail, args.plan, style),
        || json::run(&detail),
    )?;
    Ok(Exit::Ok)
}

async fn watch<S: Server>(run: RunId, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let mut follow = Follow::new(run, true);
    let mut stop = follow
        .until(context, |phase| phase == RunPhase::Approval)
        .await?;
    if stop == Stop::Phase(RunPhase::Approval) {
        // It may have been answered long ago: then this is history.
        if follow::record(context.server, run).await?.summary.phase == RunPhase::Approval {
            context.output.say(&format!(
                "run {run} waits for a yes: `ctl runs approve {run}`"
            ));
        }
        stop = follow.until(context, |_| false).await?;
    }
    if stop == Stop::Interrupted {
        return Ok(follow::left_alone(context, run));
    }
    let detail = follow::record(context.server, run).await?;
    if context.output.is_json() {
        context.output.json(&approval::result(&detail))?;
    } else {
        context
            .output
            .data_of(|style| show::runs::outcome(&detail, style))?;
    }
    Ok(follow::exit(&detail))
}

async fn approve<S: Server>(
    args: &ApproveArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    approval::may_ask(
        args.yes,
        context.output,
        &format!("runs approve {} --yes", args.id),
    )?;
    let run = RunId(args.id);
    let detail = follow::record(context.server, run).await?;
    let waits = matches!(
        detail.summary.phase,
        RunPhase::Planning | RunPhase::Approval
    );
    if detail.summary.kind != RunKind::Apply || !waits {
        context
            .output
            .note(|style| show::runs::ending(&detail.summary, style));
        context.output.say("it waits for no yes");
        return Ok(Exit::Refused);
    }
    let from = Approval {
        run,
        approved: args.yes,
        ours: false,
        before: Before::default(),
    };
    approval::follow_through(&from, context).await
}

async fn cancel<S: Server>(run: RunId, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    ask!(context.server, OperatorRequest::Cancel(run), OperatorReply::Done => ())?;
    context.output.say(&format!(
        "run {run} ends after the resources at hand: `ctl runs watch {run}`"
    ));
    context.output.show(|_| String::new(), done)?;
    Ok(Exit::Ok)
}
