//! What nodes have mended by themselves.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "healed",
    doc: "A resource that its node brought back by itself (`enforce: true`).",
    columns: &[
        column("resource", "file:/etc/hosts"),
        column("formula", "whose it is"),
        column("at", "when, the last time"),
        column("since", "since when it was otherwise then"),
        column("times", "how often by now"),
        column("how", "what was done the last time"),
    ],
    key: 1,
    asked: &[],
    times: &["at", "since"],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let healed = machine.drift()?.healed.into_iter().map(|(id, healed)| {
        vec![
            id.to_string().into(),
            healed.formula.to_string().into(),
            healed.at.into(),
            healed.since.into(),
            i64::from(healed.times).into(),
            healed.how.into(),
        ]
    });
    Ok(healed.collect())
}
