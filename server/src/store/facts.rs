//! The last facts of each node.

use std::collections::BTreeMap;

use brine_model::facts::Facts;
use brine_model::inventory::{Cell, Row, Section};
use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_model::value::Value;
use rusqlite::{OptionalExtension, params};

use super::decode::{collect, from_bytes, parsed, to_bytes};
use super::inventory::{FACTS, replace};
use super::nodes::{bump, version};
use super::{Store, StoreError};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredFacts {
    pub facts: Facts,
    pub at: Timestamp,
}

/// A row for each fact, lists by number.
fn flattened(facts: &Facts) -> Section {
    fn walk(path: &str, value: &Value, rows: &mut Vec<Row>) {
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let cell = match value {
            Value::Map(map) => {
                return map
                    .iter()
                    .for_each(|(name, value)| walk(&below(name), value, rows));
            }
            Value::List(items) => {
                return items
                    .iter()
                    .enumerate()
                    .for_each(|(at, value)| walk(&below(&at.to_string()), value, rows));
            }
            Value::Integer(number) => Cell::Integer(*number),
            Value::String(text) => Cell::Text(text.clone()),
            Value::Null => Cell::Null,
            Value::Bool(yes) => Cell::Text(yes.to_string()),
            Value::Float(number) => Cell::Text(number.to_string()),
            // No fact is one.
            Value::Blob(_) | Value::Secret(_) => return,
        };
        rows.push(vec![Cell::Text(path.to_owned()), cell]);
    }
    let mut rows = Vec::new();
    walk("", &facts.to_value(), &mut rows);
    rows.sort_unstable();
    Section {
        table: FACTS.name.to_owned(),
        rows,
    }
}

impl Store {
    /// Keeps a node's facts. The version rises only when they differ, so that a fleet that reports
    /// what is known costs no compilation.
    pub(crate) async fn set_facts(
        &self,
        node: NodeName,
        facts: Facts,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let bytes = to_bytes("facts", &facts)?;
            let before: Option<Vec<u8>> = db
                .query_row(
                    "SELECT facts FROM facts WHERE node = ?",
                    [node.as_str()],
                    |r| r.get(0),
                )
                .optional()?;
            // A machine that was removed or replaced a moment ago has no key here any more: nothing
            // of it is kept for its successor.
            db.execute(
                "INSERT INTO facts (node, facts, at)
                 SELECT name, ?2, ?3 FROM nodes WHERE name = ?1 AND fingerprint IS NOT NULL
                 ON CONFLICT (node) DO UPDATE SET facts = excluded.facts, at = excluded.at",
                params![node.as_str(), bytes, at.0],
            )?;
            if before.as_deref() != Some(&bytes) {
                bump(db, "facts")?;
                replace(db, FACTS, &node, &flattened(&facts), at)?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn facts(&self, node: NodeName) -> Result<Option<StoredFacts>, StoreError> {
        self.read(move |db| {
            let found: Option<(Vec<u8>, i64)> = db
                .query_row(
                    "SELECT facts, at FROM facts WHERE node = ?",
                    [node.as_str()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            found
                .map(|(bytes, at)| {
                    Ok(StoredFacts {
                        facts: from_bytes("facts", &bytes)?,
                        at: Timestamp(at),
                    })
                })
                .transpose()
        })
        .await
    }

    /// Everybody's, with the version that this is. Facts that another version of the server wrote
    /// and this one cannot read are left out: the agent reports again.
    pub(crate) async fn all_facts(&self) -> Result<(BTreeMap<NodeName, Facts>, u64), StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT node, facts FROM facts")?;
            let rows = collect(&mut statement.query([])?, |row| {
                let bytes: Vec<u8> = row.get("facts")?;
                Ok((
                    parsed::<NodeName>(row, "node")?,
                    from_bytes("facts", &bytes).ok(),
                ))
            })?;
            let known = rows
                .into_iter()
                .filter_map(|(node, facts)| Some((node, facts?)));
            Ok((known.collect(), version(db, "facts")?))
        })
        .await
    }
}
