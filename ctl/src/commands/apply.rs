//! `ctl apply`: plans, asks, changes.

use std::path::{Path, PathBuf};

use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest, Start};
use clap::Args;
use serde_json::json;

use super::approval::{self, Approval, may_ask};
use super::behind::Before;
use super::{Context, stopped};
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::saved::{SUFFIX, SavedPlan};
use crate::{parse, show};

const EXAMPLES: &str = "\
Examples:
  ctl apply role=balancer
  ctl apply all --yes                        # in a script: nobody is asked
  ctl apply 'role=db and not node=db03'
  ctl apply role=backend --skip-unreachable
  ctl apply --plan db.plan                   # exactly what `ctl plan --out db.plan` has saved
  ctl apply --resume                         # go on with the newest run that stopped half-way

First everything is planned and shown; nothing is touched before you say yes, and what goes beyond
the plan is not done. A saved plan, and a run that was begun, have their yes already; where the
states or a node are others by now, both are refused (exit code 4). The run goes on when ctl ends:
`ctl runs watch ID` follows it again.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ApplyArgs {
    /// Which nodes: `all`, `role=db`, or an expression in quotes; or a file NAME.plan
    #[arg(
        value_name = "TARGET",
        required_unless_present_any = ["plan", "resume"],
        conflicts_with_all = ["plan", "resume"]
    )]
    pub target: Vec<String>,
    /// Apply a saved plan: exactly that, or nothing
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub plan: Option<PathBuf>,
    /// Go on where a run has stopped [default: the newest that did]
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    pub resume: Option<Option<u64>>,
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
    let (start, approved) = start(&args, context).await?;
    let before = Before::look(context.server).await?;
    let request = OperatorRequest::StartApply { start, approved };
    let run = ask!(context.server, request, OperatorReply::Run(run) => run)?;
    if context.output.is_json() {
        context
            .output
            .json(&json!({ "type": "started", "run": run.0 }))?;
    }
    let from = Approval {
        run,
        approved,
        ours: true,
        before,
    };
    approval::follow_through(&from, context).await
}

/// What is to be begun, and whether it has its yes.
async fn start<S: Server>(
    args: &ApplyArgs,
    context: &Context<'_, S>,
) -> Result<(Start, bool), CtlError> {
    let mut start = Start {
        target: String::new(),
        skip_unreachable: args.skip_unreachable,
        wait: args.wait,
        agreed: None,
        resume: None,
    };
    if let Some(run) = args.resume {
        let run = stopped::find(run.map(RunId), context.server).await?;
        context
            .output
            .note(|style| show::runs::going_on(&run, style));
        start.target = run.target;
        start.resume = Some(run.id);
        return Ok((start, true));
    }
    if let Some(path) = saved(args) {
        let plan = SavedPlan::read(path)?;
        context.output.note(|style| show::plan::saved(&plan, style));
        start.target = plan.target;
        start.agreed = Some(plan.agreed);
        return Ok((start, true));
    }
    start.target = parse::target("apply", &args.target)?;
    let command = format!("apply {} --yes", show::apply::quoted(&start.target));
    may_ask(args.yes, context.output, &command)?;
    Ok((start, args.yes))
}

/// A target never ends like this: it would compare with a name that no node can have.
fn saved(args: &ApplyArgs) -> Option<&Path> {
    match (&args.plan, args.target.as_slice()) {
        (Some(path), _) => Some(path),
        (None, [one]) => {
            let path = Path::new(one);
            let is_plan = path.extension().is_some_and(|end| end == SUFFIX) && path.is_file();
            is_plan.then_some(path)
        }
        (None, _) => None,
    }
}
