//! What nodes have mended by themselves.

use super::drift::seconds;
use super::{Column, Machine, Row, Table};

pub(super) const TABLE: Table = Table {
    name: "healed",
    doc: "A resource that its node brought back by itself (`enforce: true`).",
    columns: &[
        Column {
            name: "resource",
            doc: "file:/etc/hosts",
        },
        Column {
            name: "formula",
            doc: "whose it is",
        },
        Column {
            name: "at",
            doc: "when, the last time",
        },
        Column {
            name: "since",
            doc: "since when it was otherwise then",
        },
        Column {
            name: "times",
            doc: "how often by now",
        },
        Column {
            name: "how",
            doc: "what was done the last time",
        },
    ],
    key: 1,
    asked: &[],
    times: &["at", "since"],
    history: true,
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let healed = machine.drift()?.healed.into_iter().map(|(id, healed)| {
        vec![
            id.to_string().into(),
            healed.formula.to_string().into(),
            seconds(healed.at).into(),
            seconds(healed.since).into(),
            i64::from(healed.times).into(),
            healed.how.into(),
        ]
    });
    Ok(healed.collect())
}
