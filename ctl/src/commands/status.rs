//! `ctl status`: how the fleet is.

use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use super::Context;
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::{json, show};

const EXAMPLES: &str = "\
Examples:
  ctl status
  ctl status --output json

Who is connected, silent or not enrolled; who has not the newest catalog applied (behind); where
others have changed something (drifted: `ctl drift`); which runs go on; what is wrong with the state
tree.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {}

/// # Errors
/// The server cannot be asked.
pub async fn run<S: Server>(_: StatusArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let request = OperatorRequest::Status;
    let status = ask!(context.server, request, OperatorReply::Status(status) => status)?;
    context.output.show(
        |style| show::status::status(&status, style),
        || json::status(&status),
    )?;
    Ok(Exit::Ok)
}
