//! `ctl facts`: what nodes are, and what has become different.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::inventory::Cell;
use brine_model::name::NodeName;
use brine_wire::operator::{Answer, Query};
use clap::{Args, Subcommand};

use super::Context;
use super::query::{self, Asking};
use crate::client::Server;
use crate::error::CtlError;
use crate::exit::Exit;
use crate::parse;
use crate::show::time::rfc3339;

const EXAMPLES: &str = "\
Examples:
  ctl facts role=db                        # all of them
  ctl facts all os.version kernel.release  # a row for each node
  ctl facts 'os.version<12' os             # whose system is old
  ctl facts diff db02 --since 24h          # what has become different there

`ctl query` asks in SQL, for packages, services and the like as well.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct FactsArgs {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Which nodes
    #[arg(value_name = "TARGET", required = true)]
    pub target: Option<String>,
    /// Which facts: os.version, or os for all below it
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Show what has become different on a node
    Diff(DiffArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ctl facts diff db02\n  ctl facts diff db02 --since 7d")]
pub struct DiffArgs {
    /// Whose
    #[arg(value_name = "NODE")]
    pub node: NodeName,
    /// How far back: 30m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse::duration)]
    pub since: Duration,
    #[command(flatten)]
    pub asking: Asking,
}

/// # Errors
/// The target means nobody, or the server cannot be asked.
pub async fn run<S: Server>(args: FactsArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    if let Some(Verb::Diff(args)) = args.verb {
        return diff(&args, context).await;
    }
    let target = parse::target("facts", args.target.as_slice())?;
    let mut parameters = BTreeMap::new();
    let mut wanted = Vec::new();
    for (number, path) in args.paths.iter().enumerate() {
        parameters.insert(format!("p{number}"), path.clone());
        wanted.push(format!(
            "path = :p{number} OR substr(path, 1, length(:p{number}) + 1) = :p{number} || '.'"
        ));
    }
    let wanted = match wanted.as_slice() {
        [] => "1".to_owned(),
        paths => paths.join(" OR "),
    };
    let query = Query {
        sql: format!(
            "SELECT node, path, value FROM facts JOIN target USING (node) WHERE {wanted} ORDER BY node, path"
        ),
        target,
        parameters,
        limit: u32::MAX,
    };
    let mut answer = query::answer(query, &args.asking, context).await?;
    if !args.paths.is_empty() {
        answer = by_node(answer);
    }
    query::print(&answer, &args.asking, context)?;
    Ok(Exit::Ok)
}

/// A row for each node, a column for each path.
fn by_node(answer: Answer) -> Answer {
    let text = |cell: Option<&Cell>| match cell {
        Some(Cell::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let mut columns = Vec::new();
    let mut nodes: BTreeMap<String, BTreeMap<String, Cell>> = BTreeMap::new();
    for row in &answer.rows {
        let (node, path) = (text(row.first()), text(row.get(1)));
        if !columns.contains(&path) {
            columns.push(path.clone());
        }
        let value = row.get(2).cloned().unwrap_or(Cell::Null);
        nodes.entry(node).or_default().insert(path, value);
    }
    let rows = nodes.into_iter().map(|(node, mut facts)| {
        let facts = columns
            .iter()
            .map(|path| facts.remove(path).unwrap_or(Cell::Null));
        std::iter::once(Cell::Text(node)).chain(facts).collect()
    });
    Answer {
        rows: rows.collect(),
        columns: std::iter::once("node".to_owned()).chain(columns).collect(),
        ..answer
    }
}

async fn diff<S: Server>(args: &DiffArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let now = context.output.now();
    let since = now.minus(args.since);
    let query = Query {
        sql: "SELECT at, \"table\", key, before, after FROM changes \
              WHERE node = :node AND at >= :since ORDER BY at, \"table\", key"
            .to_owned(),
        target: format!("node={}", args.node),
        parameters: BTreeMap::from([
            ("node".to_owned(), args.node.to_string()),
            ("since".to_owned(), rfc3339(since)),
        ]),
        limit: args.asking.limit,
    };
    let answer = query::answer(query, &args.asking, context).await?;
    query::print(&answer, &args.asking, context)?;
    Ok(Exit::Ok)
}
