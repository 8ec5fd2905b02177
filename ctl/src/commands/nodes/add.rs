//! `ctl nodes add`

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::name::{NodeName, RoleName};
use brine_wire::operator::{AddNode, OperatorReply, OperatorRequest};
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
  ctl nodes add db02 --role db
  ctl nodes add lb01 --role balancer --label zone=a --address 10.0.0.5
  ctl nodes add db02 --role db --ttl 10m > token

The token goes to standard output, is good for one enrolment, and is shown this once.")]
pub struct AddArgs {
    /// The new node: a-z, 0-9 and -
    pub name: NodeName,
    /// What the node is for; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<RoleName>,
    /// Any other key=value; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse::label)]
    pub labels: Vec<(String, String)>,
    /// Where other nodes reach it [default: where it connects from]
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// How long the token is good: 30m, 1h, 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    pub ttl: Duration,
}

pub(super) async fn run<S: Server>(
    args: AddArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let request = OperatorRequest::AddNode(AddNode {
        name: args.name,
        roles: args.roles,
        labels: BTreeMap::from_iter(args.labels),
        address: args.address,
        ttl: args.ttl.as_secs(),
    });
    let (id, token, expires) = ask!(
        context.server, request,
        OperatorReply::Token { id, token, expires } => (id, token, expires)
    )?;
    show_token(&id, &token, expires, context)?;
    Ok(Exit::Ok)
}
