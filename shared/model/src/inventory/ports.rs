//! Ports that formulas declare.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "ports",
    doc: "A port that a formula of the last applied catalog declares, as a parameter of type `port`.",
    columns: &[
        column("port", "its number"),
        column("formula", "whose"),
        column("parameter", "which of its parameters"),
    ],
    key: 3,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let Some(catalog) = machine.applied()? else {
        return Ok(Vec::new());
    };
    let mut rows = Vec::new();
    for (formula, ports) in &catalog.ports {
        for (name, port) in ports {
            let row = [i64::from(*port).into(), formula.as_str().into()];
            rows.push(row.into_iter().chain([name.as_str().into()]).collect());
        }
    }
    Ok(rows)
}
