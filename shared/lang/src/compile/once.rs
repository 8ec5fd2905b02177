//! What is done on one member of a role: taken out of the catalogs, with its place in them.

use std::collections::BTreeMap;

use brine_model::catalog::Entry;
use brine_model::name::FormulaName;
use brine_model::value::Value;

use super::order::Ordered;

/// Something that is done once for a role, as this node would do it.
#[derive(Debug, Clone, PartialEq)]
pub struct Once {
    pub entry: Entry,
    /// How many resources of the catalog come before it.
    pub place: u32,
    /// A condition over live facts: the one member of whom it holds does it; none: any member.
    pub on: Option<String>,
    /// What its template sees, if it has one.
    pub context: Option<Value>,
}

/// Parts what each member does from what one of them does.
pub(super) fn part(
    ordered: Vec<Ordered>,
    contexts: &BTreeMap<FormulaName, Value>,
) -> (Vec<Entry>, Vec<Once>) {
    let (mut entries, mut once) = (Vec::new(), Vec::new());
    for one in ordered {
        let Some(on) = one.once else {
            entries.push(one.entry);
            continue;
        };
        once.push(Once {
            place: u32::try_from(entries.len()).unwrap_or(u32::MAX),
            on: on.condition,
            context: contexts.get(&one.entry.formula).cloned(),
            entry: one.entry,
        });
    }
    (entries, once)
}
