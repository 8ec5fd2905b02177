//! `ctl nodes`: the registry.

mod accept;
mod add;
mod list;
mod pause;
mod remove;
mod replace;
mod set;
mod show;

use clap::{Args, Subcommand};

use super::Context;
use crate::client::Server;
use crate::error::CtlError;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  ctl nodes list
  ctl nodes show db02
  ctl nodes add db02 --role db --label zone=b
  ctl nodes accept db02 --fingerprint 1f3a-… --role db
  ctl nodes set db02 --label zone=c
  ctl nodes pause db02 --for 2h
  ctl nodes replace db02
  ctl nodes remove db02

Roles and labels live on the server alone; an agent never claims one.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct NodesArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// List all nodes, one line each
    #[command(after_help = "Examples:\n  ctl nodes list\n  ctl nodes list --output json")]
    List,
    /// Show all about one node: facts, catalog, runs
    Show(show::ShowArgs),
    /// Register a node, and make a one-use token for it
    Add(add::AddArgs),
    /// Let a waiting node in, having compared its key's fingerprint
    Accept(accept::AcceptArgs),
    /// Change roles, labels or address
    Set(set::SetArgs),
    /// Keep all runs away from a node for a while
    Pause(pause::PauseArgs),
    /// Let runs near a paused node again
    Resume(pause::ResumeArgs),
    /// Give a node's name to another machine, and revoke the one that had it
    Replace(replace::ReplaceArgs),
    /// Forget a node, and revoke its certificate
    Remove(remove::RemoveArgs),
}

/// # Errors
/// The command line makes no sense, or the server refuses or cannot be asked.
pub async fn run<S: Server>(args: NodesArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    match args.verb {
        Verb::List => list::run(context).await,
        Verb::Show(args) => show::run(args, context).await,
        Verb::Add(args) => add::run(args, context).await,
        Verb::Accept(args) => accept::run(args, context).await,
        Verb::Set(args) => set::run(args, context).await,
        Verb::Pause(args) => pause::pause(args, context).await,
        Verb::Resume(args) => pause::resume(args, context).await,
        Verb::Replace(args) => replace::run(args, context).await,
        Verb::Remove(args) => remove::run(args, context).await,
    }
}
