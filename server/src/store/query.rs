//! `ctl query`: one SELECT over views, on a connection that can do nothing else.
//!
//! Four fences, each enough for most of what could go wrong: the file is opened for reading only;
//! what a statement may touch is decided by SQLite's authorizer before it runs (views and plain
//! functions, and never the tables under them, where tokens and plans are); it is interrupted after a
//! time; and rows, bytes and the length of any value have limits.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use brine_model::expression::compare_versions;
use brine_model::inventory::Cell;
use brine_model::name::NodeName;
use brine_wire::operator::Query;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, params};

use super::inventory::{cell, quoted, shapes};

/// How long a query may take.
const TIME: Duration = Duration::from_secs(10);

/// The most that an answer holds, in bytes and in rows.
const BYTES: usize = 8 << 20;
const ROWS: u32 = 100_000;

/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 20_000;

/// Columns and rows of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) truncated: bool,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// SQLite's words about the statement.
    #[error("{0}")]
    Invalid(String),
    #[error("a query reads: one SELECT over the views")]
    Forbidden,
    #[error("it was ended after {} s", TIME.as_secs())]
    TooLong,
    #[error("there is no value for `:{0}`")]
    Parameter(String),
    #[error("cannot open the database for a query")]
    Open(#[source] rusqlite::Error),
}

/// A node as a query may see it, beside what the database has.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) node: NodeName,
    /// How its catalog stands to the newest, in words; none where the states do not say.
    pub(crate) catalog: Option<&'static str>,
    /// Whether the question is about it.
    pub(crate) in_target: bool,
}

/// Views that are not tables of the inventory, with what they are of. Within a view, a table's own name
/// would be the view's.
fn views() -> [(&'static str, String); 5] {
    let nodes = format!(
        "SELECT name AS node, (SELECT group_concat(value, ' ') FROM json_each(roles)) AS roles, labels,
            coalesce(address, seen_address) AS address, agent_version, generation,
            {last_seen} AS last_seen, {applied_at} AS applied_at,
            (SELECT {reported_at} FROM reports WHERE reports.node = nodes.name) AS reported_at,
            (SELECT catalog FROM temp.fleet WHERE fleet.node = nodes.name) AS catalog
         FROM main.nodes",
        last_seen = readable("last_seen"),
        applied_at = readable("applied_at"),
        reported_at = readable("at"),
    );
    let runs = format!(
        "SELECT id, kind, target, operator, phase, {} AS started, {} AS ended, reason FROM main.runs",
        readable("started"),
        readable("ended"),
    );
    let changes = format!(
        "SELECT {} AS at, node, name AS \"table\", key, before, after FROM main.changes",
        readable("at"),
    );
    let run_nodes = "SELECT run, node, state, reason, changed, failed FROM main.run_nodes";
    [
        ("nodes", nodes),
        ("runs", runs),
        ("run_nodes", run_nodes.to_owned()),
        ("changes", changes),
        (
            "target",
            "SELECT node FROM temp.fleet WHERE in_target".to_owned(),
        ),
    ]
}

/// Nanoseconds as RFC 3339 has them.
fn readable(column: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%SZ', {column} / 1000000000, 'unixepoch')")
}

/// Answers. Blocks, for no longer than [`TIME`].
///
/// # Errors
/// The statement is none that may be asked, or takes too long.
pub(crate) fn query(path: &Path, query: &Query, fleet: &[Asked]) -> Result<Table, QueryError> {
    let connection = open(path, fleet).map_err(QueryError::Open)?;
    let began = Instant::now();
    connection
        .progress_handler(STEPS, Some(move || began.elapsed() > TIME))
        .map_err(QueryError::Open)?;
    let limit = query.limit.min(ROWS) as usize;
    let explain = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => QueryError::Forbidden,
        Some(rusqlite::ErrorCode::OperationInterrupted) => QueryError::TooLong,
        _ => QueryError::Invalid(words(&error)),
    };
    let mut statement = connection.prepare(&query.sql).map_err(explain)?;
    if !statement.readonly() {
        return Err(QueryError::Forbidden);
    }
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).unwrap_or("?");
        let name = name.trim_start_matches([':', '@', '$']).to_owned();
        let value = query.parameters.get(&name);
        let value = value.ok_or(QueryError::Parameter(name))?;
        statement
            .raw_bind_parameter(index, value)
            .map_err(explain)?;
    }
    let columns: Vec<String> = statement.column_names().iter().map(|&n| n.into()).collect();
    let mut rows = statement.raw_query();
    let (mut found, mut bytes, mut truncated) = (Vec::new(), 0, false);
    while let Some(row) = rows.next().map_err(explain)? {
        if found.len() == limit || bytes > BYTES {
            truncated = true;
            break;
        }
        let cells = (0..columns.len()).map(|column| Ok(cell(row.get_ref(column)?)));
        let cells: Vec<Cell> = cells.collect::<rusqlite::Result<_>>().map_err(explain)?;
        bytes += cells.iter().map(size).sum::<usize>();
        found.push(cells);
    }
    Ok(Table {
        columns,
        rows: found,
        truncated,
    })
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Text(text) => text.len() + 8,
        Cell::Null | Cell::Integer(_) => 8,
    }
}

/// Without what rusqlite puts around it.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::MultipleStatement => "one statement at a time".to_owned(),
        other => other.to_string(),
    }
}

fn open(path: &Path, fleet: &[Asked]) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(TIME)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // What has to be sorted and does not fit goes to a file, not to memory.
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.create_collation("version", compare_versions)?;
    connection.create_scalar_function(
        "version_compare",
        2,
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
        |context| {
            let (a, b): (String, String) = (context.get(0)?, context.get(1)?);
            Ok(compare_versions(&a, &b) as i64)
        },
    )?;
    for shape in shapes() {
        let columns = shape.columns.iter().map(|column| {
            let name = quoted(column.name);
            if shape.times.contains(&column.name) {
                format!("strftime('%Y-%m-%dT%H:%M:%SZ', {name}, 'unixepoch') AS {name}")
            } else {
                name
            }
        });
        let names = columns.collect::<Vec<_>>().join(", ");
        connection.execute_batch(&format!(
            "CREATE TEMP VIEW {} AS SELECT node, {names} FROM main.{}",
            shape.name,
            shape.table()
        ))?;
    }
    connection.execute_batch(
        "CREATE TEMP TABLE fleet (node TEXT PRIMARY KEY, catalog TEXT, in_target INTEGER) WITHOUT ROWID;
         BEGIN",
    )?;
    let mut insert = connection.prepare("INSERT INTO fleet VALUES (?, ?, ?)")?;
    for asked in fleet {
        insert.execute(params![asked.node.as_str(), asked.catalog, asked.in_target])?;
    }
    drop(insert);
    connection.execute_batch("COMMIT")?;
    for (name, sql) in views() {
        connection.execute_batch(&format!("CREATE TEMP VIEW {name} AS {sql}"))?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, 1 << 20),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    connection.pragma_update(None, "query_only", true)?;
    let mut names = connection.prepare("SELECT name FROM main.sqlite_master")?;
    let tables = names.query_map([], |row| row.get(0))?;
    let tables: BTreeSet<String> = tables.collect::<rusqlite::Result<_>>()?;
    drop(names);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        authorize(&context, &tables)
    }))?;
    Ok(connection)
}

/// Reading what the views show, and functions that only compute. By which way a column is reached does
/// not matter: a statement may name parts of its own as it likes, those of views included.
fn authorize(context: &AuthContext<'_>, tables: &BTreeSet<String>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            // A view, or the fleet; or a part of the statement.
            let of_its_own = match context.database_name {
                Some("temp") => true,
                Some(_) => false,
                // As it was typed: SQLite does not tell case, nor what its own tables are called.
                None => {
                    let name = table_name.to_ascii_lowercase();
                    !tables.contains(&name)
                        && !name.starts_with("sqlite_")
                        && !name.starts_with("pragma_")
                }
            };
            of_its_own || is_public(table_name, column_name)
        }
        AuthAction::Function { function_name } => !matches!(
            function_name,
            "load_extension" | "readfile" | "writefile" | "edit"
        ),
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// Columns of the database's own tables that views are made of. None of them is a secret, a key or a
/// plan.
fn is_public(table: &str, column: &str) -> bool {
    let columns: &[&str] = match table {
        "nodes" => &[
            "name",
            "roles",
            "labels",
            "address",
            "seen_address",
            "agent_version",
            "generation",
            "last_seen",
            "applied_at",
        ],
        "runs" => &[
            "id", "kind", "target", "operator", "phase", "started", "ended", "reason",
        ],
        "run_nodes" => &["run", "node", "state", "reason", "changed", "failed"],
        "json_each" | "json_tree" | "reports" | "changes" => return true,
        other => return shapes().any(|shape| shape.table() == other),
    };
    // Where rows are only counted, no column is named.
    column.is_empty() || columns.contains(&column)
}
