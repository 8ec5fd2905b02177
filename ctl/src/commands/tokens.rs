//! `ctl tokens`: let machines join a role by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::name::RoleName;
use brine_model::time::Timestamp;
use brine_wire::operator::{AddToken, OperatorReply, OperatorRequest};
use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::done;
use crate::show::time::rfc3339;
use crate::{json, parse, show};

const EXAMPLES: &str = "\
Examples:
  ctl tokens add --role backend --names 'backend*' --uses 20 --ttl 1h
  ctl tokens list
  ctl tokens revoke 3f9a

For a single machine with a known name rather use `ctl nodes add`.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokensArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Make a token that several machines may join with
    Add(AddArgs),
    /// List the tokens that are still good
    #[command(after_help = "Examples:\n  ctl tokens list")]
    List,
    /// Make a token worthless; who has joined with it stays
    Revoke(RevokeArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  ctl tokens add --role backend --names 'backend*' --uses 20 --ttl 1h
  ctl tokens add --role db --label zone=a --names 'db0?' --uses 3 > token

The token goes to standard output, and is shown this once.")]
pub struct AddArgs {
    /// The role of whoever joins with it; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<RoleName>,
    /// A label of whoever joins with it; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse::label)]
    pub labels: Vec<(String, String)>,
    /// The host names that may join, with * and ? as in a shell; quote it
    #[arg(long, value_name = "PATTERN")]
    pub names: String,
    /// How many machines may join
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
    /// How long it is good: 30m, 1h, 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    pub ttl: Duration,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ctl tokens revoke 3f9a")]
pub struct RevokeArgs {
    /// As `ctl tokens list` shows it
    pub id: String,
}

/// # Errors
/// The server refuses or cannot be asked.
pub async fn run<S: Server>(args: TokensArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    match args.verb {
        Verb::Add(args) => add(args, context).await?,
        Verb::List => {
            let request = OperatorRequest::Tokens;
            let tokens = ask!(context.server, request, OperatorReply::Tokens(tokens) => tokens)?;
            let text = |style| show::tokens::tokens(&tokens, style);
            context.output.show(text, || json::tokens(&tokens))?;
        }
        Verb::Revoke(args) => {
            let request = OperatorRequest::RevokeToken(args.id.clone());
            ask!(context.server, request, OperatorReply::Done => ())?;
            context.output.say(&format!("token {} revoked", args.id));
            context.output.show(|_| String::new(), done)?;
        }
    }
    Ok(Exit::Ok)
}

async fn add<S: Server>(args: AddArgs, context: &Context<'_, S>) -> Result<(), CtlError> {
    let request = OperatorRequest::AddToken(AddToken {
        roles: args.roles,
        labels: BTreeMap::from_iter(args.labels),
        names: args.names,
        uses: args.uses,
        ttl: args.ttl.as_secs(),
    });
    let (id, token, expires) = ask!(
        context.server, request,
        OperatorReply::Token { id, token, expires } => (id, token, expires)
    )?;
    show_token(&id, &token, expires, context)
}

/// The token alone goes to standard output, so that `ctl … > token` is all it takes.
///
/// # Errors
/// Standard output is full or gone.
pub fn show_token<S: Server>(
    id: &str,
    token: &str,
    expires: Timestamp,
    context: &Context<'_, S>,
) -> Result<(), CtlError> {
    context.output.show(
        |_| format!("{}\n", crate::escape::line(token)),
        || json!({ "id": id, "token": token, "expires": rfc3339(expires) }),
    )?;
    context.output.note(|style| {
        let left = show::time::left(style.now, expires);
        format!(
            "token {} expires {left}; it is shown this once\n",
            crate::escape::line(id)
        )
    });
    Ok(())
}
