//! `ctl nodes pause` and `ctl nodes resume`

use std::time::Duration;

use brine_model::name::NodeName;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::done;
use crate::parse;
use crate::show::time::span;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl nodes pause db02 --for 2h
  ctl nodes pause db02 --for 1d --reason 'disk is being replaced'

Nobody's run touches it until then: one that would is refused, or leaves it out with
--skip-unreachable; and it brings back nothing by itself. `ctl nodes resume` ends that early. It still counts as a member of its roles.")]
pub struct PauseArgs {
    /// The node
    pub name: NodeName,
    /// How long: 30m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = parse::duration)]
    pub time: Duration,
    /// Why, for everyone who meets it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl nodes resume db02

What it has missed shows in `ctl status`.")]
pub struct ResumeArgs {
    /// The node
    pub name: NodeName,
}

pub(super) async fn pause<S: Server>(
    args: PauseArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let PauseArgs { name, time, reason } = args;
    let said = format!(
        "{name} paused for {}; earlier: `ctl nodes resume {name}`",
        span(time)
    );
    let request = OperatorRequest::PauseNode {
        name,
        until: Some(context.output.now().plus(time)),
        reason,
    };
    ask!(context.server, request, OperatorReply::Done => ())?;
    context.output.say(&said);
    context.output.show(|_| String::new(), done)?;
    Ok(Exit::Ok)
}

pub(super) async fn resume<S: Server>(
    args: ResumeArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let said = format!("{} is no longer paused", args.name);
    let request = OperatorRequest::PauseNode {
        name: args.name,
        until: None,
        reason: None,
    };
    ask!(context.server, request, OperatorReply::Done => ())?;
    context.output.say(&said);
    context.output.show(|_| String::new(), done)?;
    Ok(Exit::Ok)
}
