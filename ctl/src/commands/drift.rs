//! `ctl drift`: what is otherwise than the last apply left it.

use std::collections::BTreeMap;

use brine_wire::operator::Query;
use clap::Args;

use super::Context;
use super::query::{self, Asking};
use crate::client::Server;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::{csv, json, parse, show};

const EXAMPLES: &str = "\
Examples:
  ctl drift                    # the whole fleet
  ctl drift role=db --diff     # with what has become different in files
  ctl drift node=db02 --fresh  # have it looked at once more, first

An agent sees a change of a file, service, package or user when it happens, and looks at everything
every ten minutes. A role with `enforce: true` brings back at once what interrupts nobody:
  drifted      stays until the next `ctl apply`
  healing      is being brought back
  paused       would be brought back, but for `ctl nodes pause`
  needs a run  would interrupt a service, or other nodes have a part in it: `ctl apply`
  given up     was brought back five times within ten minutes, and somebody insists
  unknown      cannot be looked at

`ctl query \"SELECT * FROM healed\"` shows what nodes have brought back by themselves.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DriftArgs {
    /// Which nodes; all, where none are named
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Show the differences within files
    #[arg(long)]
    pub diff: bool,
    /// Exit with 10 where something has drifted
    #[arg(long)]
    pub detailed_exit_code: bool,
    #[command(flatten)]
    pub asking: Asking,
}

const SQL: &str = "SELECT node, resource, state, since, how, formula, diff FROM drift \
                   JOIN target USING (node) ORDER BY node, resource";

/// # Errors
/// The target means nobody, or the server cannot be asked.
pub async fn run<S: Server>(args: DriftArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let target = match &args.target {
        Some(target) => parse::target("drift", std::slice::from_ref(target))?,
        None => "all".to_owned(),
    };
    let query = Query {
        sql: SQL.to_owned(),
        target,
        parameters: BTreeMap::new(),
        limit: args.asking.limit,
    };
    let answer = query::answer(query, &args.asking, context).await?;
    if args.asking.csv {
        context.output.data(&csv::text(&answer))?;
    } else {
        let text = |style| show::drift::drift(&answer, args.diff, style);
        context.output.show(text, || json::answer(&answer))?;
    }
    context
        .output
        .note(|style| show::answer::ages(&answer, style));
    let drifted = args.detailed_exit_code && !answer.rows.is_empty();
    Ok(if drifted { Exit::Changes } else { Exit::Ok })
}
