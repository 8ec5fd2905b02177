//! What nodes have: a table of SQLite for each table of the inventory, and what changed in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::PoisonError;
use std::time::Duration;

use brine_lang::target::Installed;
use brine_model::digest::Digest;
use brine_model::inventory::{Cell, Column, Row, Section, TABLES};
use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

use super::decode::{DigestColumn, collect, parsed};
use super::{Store, StoreError};

/// The most that is remembered of a node within a day: an upgrade of everything has some thousands.
const MOST_CHANGES: u32 = 20_000;

/// A table as the store has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) key: usize,
    pub(super) asked: &'static [&'static str],
    pub(super) times: &'static [&'static str],
    pub(super) fleeting: &'static [&'static str],
}

/// Static facts, flattened: made here, from what the agent reports typed.
pub(super) const FACTS: Shape = Shape {
    name: "facts",
    columns: &[
        Column {
            name: "path",
            doc: "os.version, network.interfaces.0.addresses.1",
        },
        Column {
            name: "value",
            doc: "as text or a number",
        },
    ],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &[],
};

pub(super) fn shapes() -> impl Iterator<Item = Shape> {
    let tables = TABLES.iter().map(|table| Shape {
        name: table.name,
        columns: table.columns,
        key: table.key,
        asked: table.asked,
        times: table.times,
        fleeting: table.fleeting,
    });
    std::iter::once(FACTS).chain(tables)
}

impl Shape {
    pub(super) fn table(self) -> String {
        format!("inventory_{}", self.name)
    }

    /// No types: a cell is what it is.
    fn definition(self) -> String {
        let mut sql = format!(
            "CREATE TABLE {} (row INTEGER PRIMARY KEY, node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE",
            self.table()
        );
        for column in self.columns {
            let _ = write!(sql, ", {}", quoted(column.name));
        }
        sql + ")"
    }

    fn names(self) -> String {
        let names = self.columns.iter().map(|column| quoted(column.name));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A column may have the name of a word of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// Makes the tables, and makes those anew that another version of the server had otherwise: agents
/// are asked for them again.
pub(super) fn prepare(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    for shape in shapes() {
        let (table, definition) = (shape.table(), shape.definition());
        let found: Option<String> = transaction
            .query_row(
                "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?",
                [&table],
                |row| row.get(0),
            )
            .optional()?;
        if found.as_ref() != Some(&definition) {
            transaction.execute_batch(&format!(
                "DROP TABLE IF EXISTS {table};
                 DELETE FROM sections WHERE name = '{}';
                 {definition};
                 CREATE INDEX {table}_by_node ON {table} (node);",
                shape.name
            ))?;
        }
        let first = shape.columns.first().map(|column| column.name);
        for column in first.iter().chain(shape.asked) {
            transaction.execute_batch(&format!(
                "CREATE INDEX IF NOT EXISTS {table}_by_{column} ON {table} ({}, node)",
                quoted(column)
            ))?;
        }
    }
    transaction.commit()
}

impl Store {
    /// Notes that a node has reported, to be kept by [`Store::keep_reports`]; gives the tables that are
    /// not here as it has them.
    pub(crate) async fn compare_inventory(
        &self,
        node: NodeName,
        told: BTreeMap<String, Digest>,
        at: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.reported().insert(node.clone(), at);
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT name, digest FROM sections WHERE node = ?")?;
            let known = collect(&mut statement.query([node.as_str()])?, |row| {
                Ok((
                    row.get::<_, String>("name")?,
                    row.get::<_, Vec<u8>>("digest")?,
                ))
            })?;
            let known: BTreeMap<String, Vec<u8>> = known.into_iter().collect();
            let wanted = TABLES.iter().filter(|table| {
                told.get(table.name).is_some_and(|digest| {
                    known.get(table.name).map(Vec::as_slice) != Some(digest.as_bytes().as_slice())
                })
            });
            Ok(wanted.map(|table| table.name.to_owned()).collect())
        })
        .await
    }

    /// Keeps a table of a node, and what became different in it. It must have been checked.
    pub(crate) async fn set_section(
        &self,
        node: NodeName,
        section: Section,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let shape = shapes().find(|shape| shape.name == section.table);
            let shape = shape.ok_or_else(|| StoreError::Damaged {
                what: "section",
                cause: format!("there is no table {}", section.table),
            })?;
            replace(db, shape, &node, &section, at)
        })
        .await
    }

    /// Writes who has reported by now. Not with each report: ten thousand nodes would have the disk
    /// written thirty times a second to note that nothing is new. A crash loses what is newer than the
    /// last call, which the next report makes good.
    pub(crate) async fn keep_reports(&self) -> Result<(), StoreError> {
        let reported = std::mem::take(&mut *self.reported());
        if reported.is_empty() {
            return Ok(());
        }
        let due = reported.clone();
        let kept = self.write(move |db| {
            let mut statement = db.prepare_cached(
                "INSERT INTO reports (node, at)
                 SELECT name, ?2 FROM nodes WHERE name = ?1 AND fingerprint IS NOT NULL
                 ON CONFLICT (node) DO UPDATE SET at = excluded.at",
            )?;
            for (node, at) in &due {
                statement.execute(params![node.as_str(), at.0])?;
            }
            Ok(())
        });
        let kept = kept.await;
        if kept.is_err() {
            let mut newer = self.reported();
            for (node, at) in reported {
                newer.entry(node).or_insert(at);
            }
        }
        kept
    }

    fn reported(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeName, Timestamp>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When each enrolled node last reported.
    pub(crate) async fn reports(&self) -> Result<Vec<(NodeName, Option<Timestamp>)>, StoreError> {
        self.keep_reports().await?;
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT nodes.name AS name, reports.at AS at FROM nodes
                 LEFT JOIN reports ON reports.node = nodes.name
                 WHERE nodes.fingerprint IS NOT NULL ORDER BY nodes.name",
            )?;
            collect(&mut statement.query([])?, |row| {
                let at: Option<i64> = row.get("at")?;
                Ok((parsed(row, "name")?, at.map(Timestamp)))
            })
        })
        .await
    }

    /// Which version of these packages each node has, as far as it told.
    pub(crate) async fn installed(&self, names: BTreeSet<String>) -> Result<Installed, StoreError> {
        if names.is_empty() {
            return Ok(Installed::new());
        }
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT node, version FROM inventory_packages WHERE name = ? AND status = 'installed'",
            )?;
            let mut installed = Installed::new();
            for name in &names {
                for (node, version) in collect(&mut statement.query([name])?, |row| {
                    Ok((parsed(row, "node")?, row.get::<_, String>("version")?))
                })? {
                    let of_node: &mut BTreeMap<_, _> = installed.entry(node).or_default();
                    of_node.insert(name.clone(), version);
                }
            }
            Ok(installed)
        })
        .await
    }

    /// How many resources of each node are not as they should be; who has none is not named.
    pub(crate) async fn drifted(&self) -> Result<BTreeMap<NodeName, u32>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT node, count(*) AS count FROM inventory_drift GROUP BY node",
            )?;
            let counts = collect(&mut statement.query([])?, |row| {
                Ok((parsed(row, "node")?, row.get::<_, u32>("count")?))
            })?;
            Ok(counts.into_iter().collect())
        })
        .await
    }

    /// Forgets changes from before `before`; gives how many.
    pub(crate) async fn forget_changes(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(move |db| Ok(db.execute("DELETE FROM changes WHERE at < ?", [before.0])?))
            .await
    }
}

/// Brings a node's rows to those of `section`, touching only what differs.
pub(super) fn replace(
    db: &Connection,
    shape: Shape,
    node: &NodeName,
    section: &Section,
    at: Timestamp,
) -> Result<(), StoreError> {
    // A machine that was removed or replaced a moment ago has no key here any more.
    let enrolled: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM nodes WHERE name = ? AND fingerprint IS NOT NULL)",
        [node.as_str()],
        |row| row.get(0),
    )?;
    if !enrolled {
        return Ok(());
    }
    let first: bool = db.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM sections WHERE node = ? AND name = ?)",
        [node.as_str(), shape.name],
        |row| row.get(0),
    )?;
    let (table, names) = (shape.table(), shape.names());
    let mut before = BTreeMap::new();
    let mut statement =
        db.prepare_cached(&format!("SELECT row, {names} FROM {table} WHERE node = ?"))?;
    for found in collect(&mut statement.query([node.as_str()])?, |row| {
        let cells = (1..=shape.columns.len()).map(|column| Ok(cell(row.get_ref(column)?)));
        let cells: Row = cells.collect::<rusqlite::Result<_>>()?;
        Ok((row.get::<_, i64>(0)?, cells))
    })? {
        let (id, row) = found;
        let key = row.iter().take(shape.key).cloned().collect::<Vec<_>>();
        before.insert(key, (id, row));
    }
    let marks = vec!["?"; shape.columns.len() + 1].join(", ");
    let mut insert = db.prepare_cached(&format!(
        "INSERT INTO {table} (node, {names}) VALUES ({marks})"
    ))?;
    let mut delete = db.prepare_cached(&format!("DELETE FROM {table} WHERE row = ?"))?;
    let mut note = db.prepare_cached(
        "INSERT INTO changes (at, node, name, key, before, after) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let day = at.minus(Duration::from_secs(24 * 60 * 60));
    let noted: u32 = db.query_row(
        "SELECT count(*) FROM changes WHERE node = ? AND at > ?",
        params![node.as_str(), day.0],
        |row| row.get(0),
    )?;
    let mut left = MOST_CHANGES.saturating_sub(noted);
    let mut change = |key: &[Cell], old: Option<&Row>, new: Option<&Row>| {
        let rest = |row: Option<&Row>| row.map(|row| as_json(shape, row));
        let (old, new) = (rest(old), rest(new));
        if first || old == new || left == 0 {
            return Ok(());
        }
        left -= 1;
        let key = key.iter().map(as_text).collect::<Vec<_>>().join(" ");
        let written = params![at.0, node.as_str(), shape.name, key, old, new];
        note.execute(written).map(drop)
    };
    for row in &section.rows {
        let key = row.get(..shape.key).unwrap_or_default();
        let old = before.remove(key);
        if old.as_ref().is_some_and(|(_, old)| old == row) {
            continue;
        }
        if let Some((id, _)) = &old {
            delete.execute([id])?;
        }
        let cells = row.iter().map(Bound);
        let name = Cell::Text(node.as_str().to_owned());
        insert.execute(params_from_iter(std::iter::once(Bound(&name)).chain(cells)))?;
        change(key, old.as_ref().map(|(_, old)| old), Some(row))?;
    }
    for (key, (id, row)) in &before {
        delete.execute([id])?;
        change(key, Some(row), None)?;
    }
    db.execute(
        "INSERT INTO sections (node, name, digest) VALUES (?, ?, ?)
         ON CONFLICT (node, name) DO UPDATE SET digest = excluded.digest",
        params![node.as_str(), shape.name, DigestColumn(section.digest())],
    )?;
    Ok(())
}

/// What is behind the key and worth to be remembered, by column.
fn as_json(shape: Shape, row: &Row) -> String {
    let cells = shape.columns.iter().zip(row).skip(shape.key);
    let kept = cells.filter(|(column, _)| !shape.fleeting.contains(&column.name));
    let map: serde_json::Map<String, serde_json::Value> = kept
        .map(|(column, cell)| (column.name.to_owned(), cell.into()))
        .collect();
    serde_json::Value::Object(map).to_string()
}

fn as_text(cell: &Cell) -> String {
    match cell {
        Cell::Null => "-".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    }
}

/// What SQLite has, as a cell; a real number and a blob as text.
pub(super) fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Text(number.to_string()),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Text(bytes.iter().map(|b| format!("{b:02x}")).collect()),
    }
}

struct Bound<'a>(&'a Cell);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
