//! `ctl nodes replace`

use std::time::Duration;

use brine_model::name::NodeName;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::commands::tokens::show_token;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::parse;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl nodes replace db02
  ctl nodes replace db02 --yes --ttl 10m > token

For a machine that is dead or given up: its certificate is revoked at once. Name, roles, labels and
address stay, and the generation is raised, which lets a cluster take the dead member out. The token
goes to standard output, is good for one enrolment, and is shown this once: boot the new machine
with it, then `ctl apply node=NAME`.")]
pub struct ReplaceArgs {
    /// The node that another machine becomes
    pub name: NodeName,
    /// How long the token is good: 30m, 1h, 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    pub ttl: Duration,
    /// Do not ask, also on a terminal
    #[arg(long, short)]
    pub yes: bool,
}

pub(super) async fn run<S: Server>(
    args: ReplaceArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let name = args.name;
    let question = format!("Shut the machine that is {name} out for good?");
    let ask_first = !args.yes && context.output.can_ask();
    if ask_first && !context.output.confirm(&question).await {
        context.output.say("nothing was changed");
        return Ok(Exit::Cancelled);
    }
    let request = OperatorRequest::ReplaceNode {
        name: name.clone(),
        ttl: args.ttl.as_secs(),
    };
    let (id, token, expires) = ask!(
        context.server, request,
        OperatorReply::Token { id, token, expires } => (id, token, expires)
    )?;
    show_token(&id, &token, expires, context)?;
    context.output.say(&format!(
        "next: boot the new machine with it; once {name} is connected: `ctl apply node={name}`"
    ));
    Ok(Exit::Ok)
}
