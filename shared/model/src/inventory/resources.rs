//! What the last applied catalog has.

use super::{Column, Machine, Row, Table};

pub(super) const TABLE: Table = Table {
    name: "resources",
    doc: "A resource of the last applied catalog; what is not so is in `drift`.",
    columns: &[
        Column {
            name: "resource",
            doc: "file:/etc/hosts",
        },
        Column {
            name: "kind",
            doc: "file, package, service, …",
        },
        Column {
            name: "formula",
            doc: "whose it is",
        },
        Column {
            name: "enforced",
            doc: "1: a role brings it back between applies",
        },
    ],
    key: 1,
    asked: &[],
    times: &[],
    history: true,
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let Some(catalog) = machine.applied()? else {
        return Ok(Vec::new());
    };
    let rows = catalog.resources.iter().map(|entry| {
        vec![
            entry.id.to_string().into(),
            entry.id.kind().into(),
            entry.formula.as_str().into(),
            i64::from(catalog.enforced.contains(&entry.formula)).into(),
        ]
    });
    Ok(rows.collect())
}
