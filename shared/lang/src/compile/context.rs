//! What the expressions and templates of one formula can read on one node.

use std::collections::BTreeMap;

use brine_model::value::{Map, Value};

use super::members::Members;
use super::{Compiler, NodeState};
use crate::fleet::NodeInput;
use crate::formula::Formula;

/// `node.…`
pub(super) fn node_value(input: &NodeInput) -> Value {
    let address = input.address.as_deref().map_or(Value::Null, Value::from);
    let roles = input
        .roles
        .iter()
        .map(|role| Value::from(role.as_str()))
        .collect::<Vec<_>>();
    Value::from([
        ("name", Value::from(input.name.as_str())),
        ("address", address),
        ("roles", Value::List(roles)),
        ("labels", labels(&input.labels)),
        ("generation", Value::Integer(input.generation.into())),
    ])
}

pub(super) fn labels(labels: &BTreeMap<String, String>) -> Value {
    let labels = labels
        .iter()
        .map(|(key, text)| (key.clone(), Value::from(text.as_str())));
    Value::Map(labels.collect())
}

impl Compiler<'_> {
    /// Everything, also what this formula never reads: misspelt names are told from what there is.
    pub(super) fn context(&self, node: &NodeState, formula: &Formula, members: &Members) -> Value {
        let mut context = Map::new();
        context.insert("node".to_owned(), node.node.clone());
        if let Some(facts) = &node.facts {
            context.insert("facts".to_owned(), facts.clone());
        }
        context.insert("roles".to_owned(), members.roles(self.library, formula));
        for used in &formula.uses {
            if let Some(exported) = self.exported(node, &used.value) {
                context.insert(used.value.clone(), exported);
            }
        }
        let own = node
            .parameters
            .get(&formula.name)
            .cloned()
            .unwrap_or_default();
        context.insert(formula.name.to_string(), Value::Map(own));
        Value::Map(context)
    }

    /// The exported parameters of `formula` on `node`; none where the node does not have it.
    pub(super) fn exported(&self, node: &NodeState, formula: &str) -> Option<Value> {
        let declared = self.library.formulas.get(formula)?;
        let values = node.parameters.get(formula)?;
        let exported = values.iter().filter(|(name, _)| {
            declared
                .parameters
                .get(*name)
                .is_some_and(|parameter| parameter.export)
        });
        Some(Value::Map(
            exported
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ))
    }
}
