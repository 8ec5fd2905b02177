//! `ctl nodes list`

use brine_wire::operator::{OperatorReply, OperatorRequest};

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::{json, show};

pub(super) async fn run<S: Server>(context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let request = OperatorRequest::Nodes;
    let nodes = ask!(context.server, request, OperatorReply::Nodes(nodes) => nodes)?;
    context.output.show(
        |style| show::nodes::nodes(&nodes, style),
        || json::nodes(&nodes),
    )?;
    Ok(Exit::Ok)
}
