//! `ctl nodes set`

use std::collections::BTreeMap;

use brine_model::name::{NodeName, RoleName};
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::error::{CtlError, UsageError};
use crate::exit::Exit;
use crate::output::done;
use crate::parse;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl nodes set db02 --label zone=c --unlabel rack
  ctl nodes set lb01 --address 10.0.0.6
  ctl nodes set web07 --role backend --role cache    # these and no others

Nothing changes on any node before the next apply; `ctl status` tells who is behind then.")]
pub struct SetArgs {
    /// The node
    pub name: NodeName,
    /// All roles that it is to have; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<RoleName>,
    /// Add or change a label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse::label)]
    pub labels: Vec<(String, String)>,
    /// Remove a label; may be repeated
    #[arg(long = "unlabel", value_name = "KEY")]
    pub unlabels: Vec<String>,
    /// Where other nodes reach it
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
}

pub(super) async fn run<S: Server>(
    args: SetArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let labels = labels(args.labels, args.unlabels)?;
    let SetArgs {
        name,
        roles,
        address,
        ..
    } = SetArgs {
        labels: vec![],
        unlabels: vec![],
        ..args
    };
    if roles.is_empty() && labels.is_empty() && address.is_none() {
        return Err(UsageError::NothingToSet {
            node: name.to_string(),
        }
        .into());
    }
    let said = format!("{name} set; what that changes: `ctl plan all`");
    let roles = Some(roles).filter(|roles| !roles.is_empty());
    let request = OperatorRequest::SetNode {
        name,
        roles,
        labels,
        address,
    };
    ask!(context.server, request, OperatorReply::Done => ())?;
    context.output.say(&said);
    context.output.show(|_| String::new(), done)?;
    Ok(Exit::Ok)
}

fn labels(
    set: Vec<(String, String)>,
    remove: Vec<String>,
) -> Result<BTreeMap<String, Option<String>>, UsageError> {
    let mut labels: BTreeMap<_, _> = set
        .into_iter()
        .map(|(key, value)| (key, Some(value)))
        .collect();
    for key in remove {
        if labels.insert(key.clone(), None).flatten().is_some() {
            return Err(UsageError::LabelTwice(key));
        }
    }
    Ok(labels)
}
