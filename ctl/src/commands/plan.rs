//! `ctl plan`: what would change.

use std::path::PathBuf;

use brine_wire::operator::{OperatorReply, OperatorRequest, Start};
use brine_wire::run::RunPhase;
use clap::Args;

use super::Context;
use super::follow::{self, Follow, Stop};
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::saved::SavedPlan;
use crate::{json, parse, show};

const EXAMPLES: &str = "\
Examples:
  ctl plan all
  ctl plan role=balancer
  ctl plan 'role=db and not node=db03'
  ctl plan node=web01 --detailed-exit-code   # 10: there are changes
  ctl plan role=db --out db.plan             # then exactly that: `ctl apply --plan db.plan`

The same change on several nodes is shown once. A plan writes nothing on any node.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// Which nodes: `all`, `role=db`, or an expression in quotes
    #[arg(required = true, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Plan the nodes that can be reached, instead of refusing
    #[arg(long)]
    pub skip_unreachable: bool,
    /// Exit with 10 where there are changes
    #[arg(long)]
    pub detailed_exit_code: bool,
    /// Save what was planned, for `ctl apply --plan FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// # Errors
/// The target makes no sense, or the server refuses or cannot be asked.
pub async fn run<S: Server>(args: PlanArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let target = parse::target("plan", &args.target)?;
    let start = Start {
        target,
        skip_unreachable: args.skip_unreachable,
        wait: false,
        agreed: None,
        resume: None,
    };
    let request = OperatorRequest::StartPlan(start);
    let run = ask!(context.server, request, OperatorReply::Run(run) => run)?;
    if Follow::new(run, false).until(context, |_| false).await? == Stop::Interrupted {
        follow::abandon(context, run).await;
        return Ok(Exit::Interrupted);
    }
    let detail = follow::record(context.server, run).await?;
    context.output.show(
        |style| show::plan::plan(&detail, style),
        || json::run(&detail),
    )?;
    if detail.summary.phase != RunPhase::Succeeded {
        context
            .output
            .note(|style| show::runs::ending(&detail.summary, style));
    }
    let exit = follow::exit(&detail);
    if let Some(path) = &args.out {
        if exit != Exit::Ok {
            context
                .output
                .say("the plan is not saved: not everything could be planned");
            return Ok(exit);
        }
        SavedPlan::of(&detail)?.write(path)?;
        let file = show::apply::quoted(&path.to_string_lossy());
        context.output.say(&format!(
            "saved; to apply exactly this: `ctl apply --plan {file}`"
        ));
    }
    let changes = args.detailed_exit_code && show::plan::has_changes(&detail);
    Ok(if exit == Exit::Ok && changes {
        Exit::Changes
    } else {
        exit
    })
}
