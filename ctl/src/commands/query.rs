//! `ctl query`: SQL over what nodes have.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::pin;
use std::time::Duration;

use brine_model::inventory::{Cell, Column, TABLES, VIEWS};
use brine_model::time::Timestamp;
use brine_wire::operator::{Answer, OperatorReply, OperatorRequest, Query};
use clap::Args;

use super::Context;
use crate::client::{Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::show::time::rfc3339;
use crate::{csv, json, parse, show};

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub struct QueryArgs {
    /// One SELECT over the views that `--help` lists
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// A value for `:NAME` in it; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse::label)]
    pub set: Vec<(String, String)>,
    #[command(flatten)]
    pub asking: Asking,
}

/// What every question about nodes takes.
#[derive(Debug, Clone, Args)]
pub struct Asking {
    /// The most rows to show
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub limit: u32,
    /// Have the nodes look at themselves first
    #[arg(long)]
    pub fresh: bool,
    /// Comma-separated values instead of a table
    #[arg(long)]
    pub csv: bool,
}

const EXAMPLES: &str = "\
Examples:
  ctl query \"SELECT node, version FROM packages WHERE name = 'openssl'\"
  ctl query \"SELECT node, name FROM services WHERE active = 'failed'\" --fresh
  ctl query --csv \"SELECT * FROM listening\" > listening.csv

`ctl query --help` lists the views and their columns.";

/// The short help fits a screen; this one has all views.
fn long_help() -> String {
    let mut text = String::from(
        EXAMPLES.trim_end_matches("\n\n`ctl query --help` lists the views and their columns."),
    );
    text.push_str(
        "\n  ctl query \"SELECT node, version FROM packages WHERE name = 'openssl' AND version < :v \\\
         \n             COLLATE version\" --set v=3.0.17\
         \n\nViews, each with their columns:\n",
    );
    for view in VIEWS {
        describe(&mut text, view.name, view.doc, view.columns.iter());
    }
    let node = Column {
        name: "node",
        doc: "whose",
    };
    for table in TABLES {
        let columns = std::iter::once(&node).chain(table.columns);
        describe(&mut text, table.name, table.doc, columns);
    }
    text.push_str(
        "\nVersions compare as Debian's do with `COLLATE version`, or version_compare(a, b).\n\
         A query reads, for ten seconds at most; its answer says how old what it tells is.",
    );
    text
}

fn describe<'a>(
    text: &mut String,
    name: &str,
    doc: &str,
    columns: impl Iterator<Item = &'a Column>,
) {
    let _ = writeln!(text, "\n  {name}: {doc}");
    for column in columns {
        let _ = writeln!(text, "    {:<14} {}", column.name, column.doc);
    }
}

/// Between two looks at how many have reported.
const TICK: Duration = Duration::from_secs(1);

/// # Errors
/// The query makes no sense, or the server cannot be asked.
pub async fn run<S: Server>(args: QueryArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let query = Query {
        sql: args.sql,
        target: "all".to_owned(),
        parameters: BTreeMap::from_iter(args.set),
        limit: args.asking.limit,
    };
    let answer = answer(query, &args.asking, context).await?;
    print(&answer, &args.asking, context)?;
    Ok(Exit::Ok)
}

/// # Errors
/// The query makes no sense, or the server cannot be asked.
pub async fn answer<S: Server>(
    query: Query,
    asking: &Asking,
    context: &Context<'_, S>,
) -> Result<Answer, CtlError> {
    if asking.fresh {
        freshen(&query.target, context).await?;
    }
    let request = OperatorRequest::Query(query);
    let answer = ask!(context.server, request, OperatorReply::Answer(answer) => answer)?;
    Ok(*answer)
}

/// Has the nodes look at themselves; says how many have, while that goes on.
async fn freshen<S: Server>(target: &str, context: &Context<'_, S>) -> Result<(), CtlError> {
    context.output.say("having the nodes look at themselves…");
    let began = context.output.now();
    let refreshing = async {
        let request = OperatorRequest::Refresh {
            target: target.to_owned(),
        };
        ask!(context.server, request, OperatorReply::Refreshed { .. } => ())
    };
    let mut refreshing = pin!(refreshing);
    let mut told = None;
    loop {
        tokio::select! {
            done = &mut refreshing => return done,
            () = tokio::time::sleep(TICK) => {}
        }
        let counted = tokio::select! {
            done = &mut refreshing => return done,
            counted = reported(target, began, context) => counted?,
        };
        if told != Some(counted) {
            let (reported, all) = counted;
            context
                .output
                .say(&format!("{reported} of {all} nodes have reported…"));
            told = Some(counted);
        }
    }
}

/// How many nodes of the target have reported since then, and how many there are.
async fn reported<S: Server>(
    target: &str,
    since: Timestamp,
    context: &Context<'_, S>,
) -> Result<(i64, i64), CtlError> {
    let query = Query {
        sql: "SELECT coalesce(sum(reported_at >= :since), 0), count(*) \
              FROM nodes JOIN target USING (node)"
            .to_owned(),
        target: target.to_owned(),
        parameters: BTreeMap::from([("since".to_owned(), rfc3339(since))]),
        limit: 1,
    };
    let request = OperatorRequest::Query(query);
    let answer = ask!(context.server, request, OperatorReply::Answer(answer) => answer)?;
    match answer.rows.first().map(Vec::as_slice) {
        Some([Cell::Integer(reported), Cell::Integer(all)]) => Ok((*reported, *all)),
        _ => Ok((0, 0)),
    }
}

/// The table, and then how old it is.
///
/// # Errors
/// Standard output is full or gone.
pub fn print<S: Server>(
    answer: &Answer,
    asking: &Asking,
    context: &Context<'_, S>,
) -> Result<(), CtlError> {
    if asking.csv {
        context.output.data(&csv::text(answer))?;
    } else {
        let text = |style| show::answer::table(answer, style);
        context.output.show(text, || json::answer(answer))?;
    }
    context
        .output
        .note(|style| show::answer::rows(answer, style) + &show::answer::ages(answer, style));
    Ok(())
}
