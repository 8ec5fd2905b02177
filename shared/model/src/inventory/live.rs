//! What services tell of themselves.

use super::{Cell, Machine, Row, Table, column};
use crate::catalog::Entry;
use crate::resources;
use crate::value::Value;

pub(super) const TABLE: Table = Table {
    name: "live",
    doc: "A live fact of a formula: how a service stood when the node last reported.",
    columns: &[
        column("fact", "patroni.role"),
        column("value", "a text or a number"),
    ],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &["value"],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let Some(catalog) = machine.applied()? else {
        return Ok(Vec::new());
    };
    let tells =
        |entry: &&Entry| resources::kind(entry.id.kind()).is_some_and(|kind| !kind.live.is_empty());
    let sources: Vec<Entry> = catalog.resources.iter().filter(tells).cloned().collect();
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let told = machine.live(&sources);
    let mut rows = Vec::new();
    for (formula, facts) in &told.facts {
        for (name, value) in facts {
            let cell = match value {
                Value::Integer(number) => Cell::Integer(*number),
                other => other.to_text().into(),
            };
            rows.push(vec![format!("{formula}.{name}").into(), cell]);
        }
    }
    Ok(rows)
}
