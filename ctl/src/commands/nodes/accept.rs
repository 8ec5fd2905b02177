//! `ctl nodes accept`

use brine_model::name::{NodeName, RoleName};
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::done;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl nodes accept db02 --fingerprint 1f3a-77c0-… --role db

Take the fingerprint from the machine itself, not from `ctl nodes show`: comparing the two is what
keeps a stranger out.")]
pub struct AcceptArgs {
    /// The node
    pub name: NodeName,
    /// Of the node's key, as the agent on it says
    #[arg(long, value_name = "FINGERPRINT")]
    pub fingerprint: String,
    /// What the node is for; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<RoleName>,
}

pub(super) async fn run<S: Server>(
    args: AcceptArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let said = format!("{} accepted; its agent asks again by itself", args.name);
    let AcceptArgs {
        name,
        fingerprint,
        roles,
    } = args;
    let request = OperatorRequest::AcceptNode {
        name,
        fingerprint,
        roles,
    };
    ask!(context.server, request, OperatorReply::Done => ())?;
    context.output.say(&said);
    context.output.show(|_| String::new(), done)?;
    Ok(Exit::Ok)
}
