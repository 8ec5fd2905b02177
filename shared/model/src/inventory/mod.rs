//! What is on a node, as tables: for audits, never for decisions of a run.
//!
//! A collector is one file with its columns and how they are filled, and one line in [`TABLES`]:
//! agent, store, `ctl query` and its help follow from that. It looks by way of a [`Machine`] and
//! forks nothing. What a machine says is data; nothing of it is ever evaluated.

mod authorized_keys;
mod certificates;
mod drift;
mod groups;
mod healed;
mod listening;
mod live;
mod machine;
mod modules;
mod mounts;
mod packages;
mod passwd;
mod ports;
mod resources;
mod services;
#[cfg(test)]
mod tests;
mod users;
mod views;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::time::Timestamp;

pub use machine::{Certificate, Kind, Machine, Unit};
pub use views::{VIEWS, View};

/// Every table, in the order in which help shows them.
pub const TABLES: &[&Table] = &[
    &packages::TABLE,
    &services::TABLE,
    &listening::TABLE,
    &users::TABLE,
    &groups::TABLE,
    &authorized_keys::TABLE,
    &mounts::TABLE,
    &modules::TABLE,
    &certificates::TABLE,
    &resources::TABLE,
    &ports::TABLE,
    &live::TABLE,
    &drift::TABLE,
    &healed::TABLE,
];

/// More rows than any honest machine has of anything; a table with more is not reported.
pub const MOST_ROWS: usize = 50_000;

/// The longest text of a cell, in bytes; what is longer is cut.
pub const LONGEST_TEXT: usize = 4096;

/// A table: its name is that of the view in `ctl query`, where it begins with a column `node`.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// What a row is.
    pub doc: &'static str,
    pub columns: &'static [Column],
    /// So many of the first columns tell rows apart.
    pub key: usize,
    /// What is looked for beside the first column: these are indexed, too.
    pub asked: &'static [&'static str],
    /// Columns that are times: seconds since 1970 in a cell, RFC 3339 in an answer.
    pub times: &'static [&'static str],
    /// Columns that may become different all the time: of those no history is kept.
    pub fleeting: &'static [&'static str],
    pub collect: fn(&dyn Machine) -> Result<Vec<Row>, String>,
}

#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub doc: &'static str,
}

const fn column(name: &'static str, doc: &'static str) -> Column {
    Column { name, doc }
}

/// One cell for each column.
pub type Row = Vec<Cell>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

/// A table as a node has it, sorted by its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub table: String,
    pub rows: Vec<Row>,
}

impl Table {
    /// The table of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        TABLES.iter().copied().find(|table| table.name == name)
    }

    /// What the machine has of it.
    ///
    /// # Errors
    /// It cannot be looked at, or there is more than [`MOST_ROWS`].
    pub fn section(&self, machine: &dyn Machine) -> Result<Section, String> {
        let mut rows = (self.collect)(machine)?;
        for cell in rows.iter_mut().flatten() {
            cell.shorten();
        }
        rows.sort_unstable();
        // Of several with one key, which no honest machine has, the first stands.
        rows.dedup_by(|b, a| a.get(..self.key) == b.get(..self.key));
        if rows.len() > MOST_ROWS {
            return Err(format!("{} rows: at most {MOST_ROWS} are kept", rows.len()));
        }
        Ok(Section {
            table: self.name.to_owned(),
            rows,
        })
    }
}

impl Section {
    /// The same for the same rows: what has not changed is not sent again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = Vec::new();
        for cell in self.rows.iter().flatten() {
            match cell {
                Cell::Null => text.push(b'-'),
                Cell::Integer(number) => text.extend_from_slice(&number.to_le_bytes()),
                Cell::Text(words) => {
                    text.extend_from_slice(&(words.len() as u64).to_le_bytes());
                    text.extend_from_slice(words.as_bytes());
                }
            }
            text.push(b'\n');
        }
        Digest::of(&text)
    }

    /// The table that this is of, where it has its shape: as many cells in each row as there are
    /// columns, no key twice, and no more than a server keeps. A node may send anything.
    #[must_use]
    pub fn checked(&self) -> Option<&'static Table> {
        let table = Table::find(&self.table)?;
        let fits = |row: &Row| {
            let short = row.iter().all(|cell| match cell {
                Cell::Text(text) => text.len() <= LONGEST_TEXT,
                Cell::Null | Cell::Integer(_) => true,
            });
            row.len() == table.columns.len() && short
        };
        let mut pairs = self.rows.iter().zip(self.rows.iter().skip(1));
        let sorted = pairs.all(|(a, b)| a.get(..table.key) < b.get(..table.key));
        let good = self.rows.len() <= MOST_ROWS && sorted && self.rows.iter().all(fits);
        good.then_some(table)
    }
}

/// As much of a text as a cell holds.
pub(crate) fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl Cell {
    fn shorten(&mut self) {
        if let Self::Text(text) = self {
            text.truncate(shortened(text).len());
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// As a column of a table's `times` has it.
impl From<Timestamp> for Cell {
    fn from(at: Timestamp) -> Self {
        Self::Integer(at.as_secs())
    }
}

impl From<&Cell> for serde_json::Value {
    fn from(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(number) => (*number).into(),
            Cell::Text(text) => text.as_str().into(),
        }
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
