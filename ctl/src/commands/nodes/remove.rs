//! `ctl nodes remove`

use brine_model::name::NodeName;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use clap::Args;

use crate::client::{Server, ask};
use crate::commands::Context;
use crate::commands::approval::may_ask;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::done;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl nodes remove db02
  ctl nodes remove db02 --yes     # in a script

Its certificate is revoked at once. What is on the machine stays as it is; the others' catalogs no
longer name it, which shows in their next plan.")]
pub struct RemoveArgs {
    /// The node
    pub name: NodeName,
    /// Do not ask; required without a terminal
    #[arg(long, short)]
    pub yes: bool,
}

pub(super) async fn run<S: Server>(
    args: RemoveArgs,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    let name = &args.name;
    let command = format!("nodes remove {name} --yes");
    may_ask(args.yes, context.output, &command)?;
    let question = format!("Remove {name}, and revoke its certificate?");
    if !args.yes && !context.output.confirm(&question).await {
        context.output.say("nothing was changed");
        return Ok(Exit::Cancelled);
    }
    let request = OperatorRequest::RemoveNode(name.clone());
    ask!(context.server, request, OperatorReply::Done => ())?;
    context.output.say(&format!("{name} removed"));
    context.output.show(|_| String::new(), done)?;
    Ok(Exit::Ok)
}
