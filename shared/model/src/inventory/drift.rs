//! What is otherwise than the last applied catalog says.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "drift",
    doc: "A resource that is not as the last applied catalog says.",
    columns: &[
        column(
            "resource",
            "file:/etc/hosts; `catalog` where nothing of it can be compared",
        ),
        column("formula", "whose it is"),
        column(
            "state",
            "drifted, healing, paused, needs a run, given up (others insist), unknown",
        ),
        column("since", "when it was first seen so"),
        column(
            "how",
            "what an apply would do about it, or why it cannot be looked at",
        ),
        column("diff", "of a text that may be shown"),
    ],
    key: 1,
    asked: &[],
    times: &["since"],
    fleeting: &["diff"],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let ledger = machine.drift()?;
    let blind = ledger.blind.map(|blind| {
        vec![
            "catalog".into(),
            None::<String>.into(),
            "unknown".into(),
            blind.since.into(),
            blind.why.into(),
            None::<String>.into(),
        ]
    });
    let drifted = ledger.drifted.into_iter().map(|(id, drifted)| {
        vec![
            id.to_string().into(),
            drifted.formula.to_string().into(),
            drifted.state.word().into(),
            drifted.since.into(),
            drifted.how.into(),
            drifted.diff.into(),
        ]
    });
    Ok(blind.into_iter().chain(drifted).collect())
}
