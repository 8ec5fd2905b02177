//! One file per verb.

pub mod act;
pub mod apply;
pub mod approval;
pub mod audit;
pub mod behind;
pub mod check;
pub mod drift;
pub mod facts;
pub mod follow;
pub mod nodes;
pub mod plan;
pub mod query;
pub mod render;
pub mod runs;
pub mod schema;
pub mod status;
pub mod stopped;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod version;

use std::time::Duration;

use crate::cli::{Cli, Global, Verb};
use crate::client::{Client, Server};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings;

/// What a verb works with.
#[derive(Debug)]
pub struct Context<'a, S> {
    pub server: &'a S,
    pub output: &'a Output,
}

/// Runs one verb.
///
/// # Errors
/// Whatever keeps it from its end; a run that failed is none, but an exit code.
pub fn run(cli: Cli, output: &Output) -> Result<Exit, CtlError> {
    let Cli { global, command } = cli;
    match command {
        Verb::Check(args) => check::run(args, output),
        Verb::Schema(args) => schema::run(&args, output),
        Verb::Version(args) => version::run(&args, output),
        command => online(command, &global, output),
    }
}

/// Over the network, on one thread: a call must start fast, and waits most of its time.
fn online(command: Verb, global: &Global, output: &Output) -> Result<Exit, CtlError> {
    let files = settings::candidates(global.config.as_deref(), |name| std::env::var_os(name));
    let client = Client::new(files, global.server.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CtlError::Runtime)?;
    let follows = follows(&command);
    let context = Context {
        server: &client,
        output,
    };
    let result = runtime.block_on(async {
        let result = tokio::select! {
            result = dispatch(command, &context) => result,
            () = out_of_patience(output), if follows => Ok(Exit::Interrupted),
        };
        client.close().await;
        result
    });
    // Not waited for: a question that nobody has answered yet.
    runtime.shutdown_background();
    result
}

/// Whether the verb watches for Ctrl-C itself, so that it no longer ends the program at once.
const fn follows(command: &Verb) -> bool {
    match command {
        Verb::Plan(_) | Verb::Apply(_) | Verb::Do(_) => true,
        Verb::Runs(args) => args.verb.follows(),
        _ => false,
    }
}

/// Ctrl-C while the server owes an answer: the verb gets a moment to say what goes on.
async fn out_of_patience(output: &Output) {
    output.interrupted().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
}

/// # Errors
/// As the verb's own.
pub async fn dispatch<S: Server>(
    command: Verb,
    context: &Context<'_, S>,
) -> Result<Exit, CtlError> {
    match command {
        Verb::Check(args) => check::run(args, context.output),
        Verb::Schema(args) => schema::run(&args, context.output),
        Verb::Version(args) => version::run(&args, context.output),
        Verb::Render(args) => render::run(args, context).await,
        Verb::Plan(args) => plan::run(args, context).await,
        Verb::Apply(args) => apply::run(args, context).await,
        Verb::Do(args) => act::run(args, context).await,
        Verb::Runs(args) => runs::run(args, context).await,
        Verb::Status(args) => status::run(args, context).await,
        Verb::Nodes(args) => nodes::run(args, context).await,
        Verb::Drift(args) => drift::run(args, context).await,
        Verb::Facts(args) => facts::run(args, context).await,
        Verb::Query(args) => query::run(args, context).await,
        Verb::Audit(args) => audit::run(args, context).await,
        Verb::Tokens(args) => tokens::run(args, context).await,
    }
}
