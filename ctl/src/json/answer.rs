//! Answers about what nodes have.

use brine_wire::operator::Answer;
use serde_json::{Map, Value, json};

use crate::show::time::rfc3339;

#[must_use]
pub fn answer(answer: &Answer) -> Value {
    let rows = answer.rows.iter().map(|row| {
        let cells = answer.columns.iter().zip(row);
        let map: Map<String, Value> = cells
            .map(|(name, cell)| (name.clone(), cell.into()))
            .collect();
        Value::Object(map)
    });
    let reports = answer.reports.iter().map(|report| {
        json!({
            "node": report.node,
            "reported_at": report.at.map(rfc3339),
            "connected": report.connected,
        })
    });
    json!({
        "rows": rows.collect::<Vec<_>>(),
        "truncated": answer.truncated,
        "reports": reports.collect::<Vec<_>>(),
    })
}
