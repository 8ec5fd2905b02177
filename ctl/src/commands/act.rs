//! `ctl do`: the imperative half: restart, reboot, exec.

use std::collections::BTreeMap;

use brine_lang::target;
use brine_lang::{Fleet, NodeInput};
use brine_model::expression::{Dialect, Expression};
use brine_wire::operator::{
    ActionRequest, Enrollment, NodeInfo, OperatorReply, OperatorRequest, Start, StartAction,
};
use clap::Args;
use serde_json::json;

use super::Context;
use super::approval::{may_ask, result};
use super::follow::{self, Follow, Stop};
use crate::client::{Server, ask};
use crate::error::{CtlError, UsageError};
use crate::exit::Exit;
use crate::{action, parse, show};

const EXAMPLES: &str = "\
Examples:
  ctl do role=db patroni.restart
  ctl do role=balancer service.restart haproxy
  ctl do node=db02 reboot
  ctl do role=backend exec -- uname -r
  ctl do all exec --yes -- systemctl is-system-running

Actions are what formulas list, `service.restart UNIT`, `reboot` and `exec -- PROGRAM ARGS`. They go
over the members of a role as an apply does, one after the other and behind the same gates, and
leave a record: `ctl runs show ID`. A program is run as written, without a shell.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoArgs {
    /// Which nodes: `all`, `role=db`, or an expression in quotes
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// What to do on each: FORMULA.ACTION, service.restart, reboot or exec
    #[arg(value_name = "ACTION")]
    pub action: String,
    /// What the action takes
    #[arg(value_name = "ARGS")]
    pub arguments: Vec<String>,
    /// The program that `exec` runs, and its arguments
    #[arg(value_name = "ARGV", last = true)]
    pub argv: Vec<String>,
    /// Do not ask; required without a terminal
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
/// The command line makes no sense, nobody can be asked, or the server refuses or cannot be asked.
pub async fn run<S: Server>(args: DoArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let target = parse::target("do", std::slice::from_ref(&args.target))?;
    let action = action::parse(&args.action, &args.arguments, &args.argv)?;
    if !args.yes && !agreed(&target, &action, context).await? {
        context.output.say("nothing was done");
        return Ok(Exit::Cancelled);
    }
    let start = Start {
        target,
        skip_unreachable: args.skip_unreachable,
        wait: args.wait,
        agreed: None,
        resume: None,
    };
    let request = OperatorRequest::StartActions(StartAction { start, action });
    let run = ask!(context.server, request, OperatorReply::Run(run) => run)?;
    if context.output.is_json() {
        context
            .output
            .json(&json!({ "type": "started", "run": run.0 }))?;
    }
    if Follow::new(run, true).until(context, |_| false).await? == Stop::Interrupted {
        return Ok(follow::left_alone(context, run));
    }
    let detail = follow::record(context.server, run).await?;
    if context.output.is_json() {
        context.output.json(&result(&detail))?;
    } else {
        context
            .output
            .data_of(|style| show::action::summary(&detail, style))?;
    }
    Ok(follow::exit(&detail))
}

/// Shows what would be done where, and asks.
async fn agreed<S: Server>(
    target: &str,
    action: &ActionRequest,
    context: &Context<'_, S>,
) -> Result<bool, CtlError> {
    let words = action::words(action);
    let command = match words.split_once(" -- ") {
        // What stands after `--` is the program's.
        Some((exec, argv)) => format!("do {} {exec} --yes -- {argv}", show::apply::quoted(target)),
        None => format!("do {} {words} --yes", show::apply::quoted(target)),
    };
    may_ask(false, context.output, &command)?;
    let nodes = selected(target, context.server).await?;
    context
        .output
        .note(|style| show::action::intent(&words, &nodes, style));
    let question = format!("Do this on {}?", show::count::count(nodes.len(), "node"));
    Ok(context.output.confirm(&question).await)
}

/// The nodes that the target means, as the server will see it, too.
async fn selected<S: Server>(target: &str, server: &S) -> Result<Vec<NodeInfo>, CtlError> {
    let nodes = ask!(server, OperatorRequest::Nodes, OperatorReply::Nodes(nodes) => nodes)?;
    let registered = |node: &NodeInfo| !matches!(node.enrollment, Enrollment::Waiting { .. });
    let mut known: BTreeMap<_, _> = nodes
        .into_iter()
        .filter(registered)
        .map(|node| (node.name.clone(), node))
        .collect();
    let mut fleet = Fleet::default();
    for node in known.values() {
        let facts = if wants_facts(target) {
            let request = OperatorRequest::Node(node.name.clone());
            ask!(server, request, OperatorReply::Node(detail) => detail.facts)?
        } else {
            None
        };
        fleet.nodes.push(NodeInput {
            name: node.name.clone(),
            address: node.address.clone(),
            roles: node.roles.clone(),
            labels: node.labels.clone(),
            facts,
            generation: node.generation,
        });
    }
    let names = target::select(target, &fleet).map_err(|found| UsageError::Target {
        message: found.message,
        help: found.help,
    })?;
    Ok(names.iter().filter_map(|name| known.remove(name)).collect())
}

/// Whether it asks for more than the registry knows.
fn wants_facts(target: &str) -> bool {
    const REGISTRY: &[&str] = &["all", "node", "role", "roles", "label", "labels", "env"];
    Expression::parse(target, Dialect::Target).is_ok_and(|expression| {
        expression.paths().iter().any(|used| {
            let first = used.path.first().map(String::as_str);
            first.is_some_and(|first| !REGISTRY.contains(&first))
        })
    })
}
