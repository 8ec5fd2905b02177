//! `ctl nodes show`

use brine_model::name::NodeName;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::{json, show};

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ctl nodes show db02\n  ctl nodes show db02 --output json")]
pub struct ShowArgs {
    /// The node
    pub name: NodeName,
}

pub(super) async fn run<S: Server>(
    args: ShowArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let request = OperatorRequest::Node(args.name);
    let node = ask!(context.server, request, OperatorReply::Node(node) => *node)?;
    context
        .output
        .show(|style| show::node::node(&node, style), || json::node(&node))?;
    Ok(Exit::Ok)
}
