//! `ctl audit`: questions that come up again and again, by name.

use brine_model::inventory::Cell;
use brine_wire::operator::{Answer, Query};
use clap::Args;

use super::Context;
use super::query::{self, Asking};
use crate::audits::{AUDITS, Audit};
use crate::client::Server;
use crate::error::{CtlError, UsageError};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  ctl audit                                # which there are
  ctl audit openssl-older-than 3.0.17
  ctl audit users-with-shell --csv > users.csv

Each is a query: `ctl audit --sql NAME` shows it, to be changed for `ctl query`.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct AuditArgs {
    /// Which; left out: list them
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// What it asks for
    #[arg(value_name = "VALUE")]
    pub values: Vec<String>,
    /// Show the query instead of asking it
    #[arg(long)]
    pub sql: bool,
    #[command(flatten)]
    pub asking: Asking,
}

/// # Errors
/// There is no such audit, or the server cannot be asked.
pub async fn run<S: Server>(args: AuditArgs, context: &Context<'_, S>) -> Result<Exit, CtlError> {
    let Some(name) = &args.name else {
        list(&args.asking, context)?;
        return Ok(Exit::Ok);
    };
    let audit = AUDITS.iter().find(|audit| audit.name == name);
    let audit = audit.ok_or_else(|| UsageError::NoAudit(name.clone()))?;
    if args.sql {
        context.output.data(&format!("{}\n", audit.sql))?;
        return Ok(Exit::Ok);
    }
    if args.values.len() != audit.values.len() {
        return Err(UsageError::AuditValues(audit.usage()).into());
    }
    let values = audit.values.iter().map(|&name| name.to_owned());
    let query = Query {
        sql: audit.sql.to_owned(),
        target: "all".to_owned(),
        parameters: values.zip(args.values).collect(),
        limit: args.asking.limit,
    };
    let answer = query::answer(query, &args.asking, context).await?;
    query::print(&answer, &args.asking, context)?;
    Ok(Exit::Ok)
}

fn list<S: Server>(asking: &Asking, context: &Context<'_, S>) -> Result<(), CtlError> {
    let row = |audit: &Audit| vec![Cell::Text(audit.usage()), audit.doc.into()];
    let answer = Answer {
        columns: vec!["audit".to_owned(), "finds".to_owned()],
        rows: AUDITS.iter().map(row).collect(),
        truncated: false,
        reports: Vec::new(),
    };
    query::print(&answer, asking, context)
}
