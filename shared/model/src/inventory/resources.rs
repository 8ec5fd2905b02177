//! What the last applied catalog has.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "resources",
    doc: "A resource of the last applied catalog; what is not so is in `drift`.",
    columns: &[
        column("resource", "file:/etc/hosts"),
        column("kind", "file, package, service, …"),
        column("formula", "whose it is"),
        column("enforced", "1: a role brings it back between applies"),
    ],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &[],
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
