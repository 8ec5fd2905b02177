//! Templates are rendered on the agent; whether they can be is found out here.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::value::{Map, SecretText, Value};

use super::{Compiler, NodeState};
use crate::formula::{Formula, TemplateFile};
use crate::issue::Issue;

impl Compiler<'_> {
    /// Checks the templates that are used on this node, and gives what they read: a catalog holds
    /// no more, so that it changes only when a file may, and holds no secret that nothing shows.
    pub(super) fn check_templates(
        &self,
        node: &NodeState,
        formula: &Formula,
        context: &Value,
        used: &BTreeSet<String>,
        issues: &mut Vec<Issue>,
    ) -> Option<Value> {
        let used = used
            .iter()
            .filter_map(|name| formula.templates.get(name))
            .collect::<Vec<_>>();
        if used.is_empty() {
            return None;
        }
        let before = issues.len();
        for file in &used {
            check(node, file, context, issues);
        }
        let pruned = prune(context, &used);
        let complete = issues.len() == before
            && used
                .iter()
                .filter_map(|file| file.parsed.as_ref())
                .all(|template| template.check(&pruned).is_empty());
        Some(if complete { pruned } else { context.clone() })
    }
}

fn check(node: &NodeState, file: &TemplateFile, context: &Value, issues: &mut Vec<Issue>) {
    let Some(template) = &file.parsed else { return };
    let name = &node.input.name;
    let reads = |start: &[&str]| {
        file.mentions.iter().find(|mention| {
            mention
                .path
                .iter()
                .zip(start)
                .filter(|(part, wanted)| part == wanted)
                .count()
                == start.len()
        })
    };
    if let (Some(mention), None) = (reads(&["facts"]), &node.facts) {
        issues.push(
            Issue::error(mention.span, format!("{name} has not reported facts yet"))
                .with_help(format!("they come when the agent of {name} first connects")),
        );
        return;
    }
    if let (Some(mention), None) = (reads(&["node", "address"]), &node.input.address) {
        issues.push(
            Issue::error(mention.span, format!("{name} has no address yet")).with_help(format!(
                "it is known once the agent of {name} has connected"
            )),
        );
        return;
    }
    let errors = template.check(context);
    if errors.is_empty() {
        // The text does not matter here: whether there is one does.
        let secret = |_: &_| Some(SecretText::new("secret"));
        issues.extend(
            template
                .render(context, &secret)
                .err()
                .map(|error| file.issue(error)),
        );
    } else {
        issues.extend(errors.into_iter().map(|error| file.issue(error)));
    }
}

/// Keeps of each top-level map the members that are named, of other values all.
fn prune(context: &Value, used: &[&TemplateFile]) -> Value {
    let mut named: BTreeMap<&str, Option<BTreeSet<&str>>> = BTreeMap::new();
    for mention in used.iter().flat_map(|file| &file.mentions) {
        match mention.path.as_slice() {
            [] => {}
            [whole] => {
                named.insert(whole, None);
            }
            [first, second, ..] => {
                let members = named.entry(first).or_insert_with(|| Some(BTreeSet::new()));
                if let Some(members) = members {
                    members.insert(second);
                }
            }
        }
    }
    let Value::Map(context) = context else {
        return context.clone();
    };
    let kept = context.iter().filter_map(|(key, value)| {
        let value = match (named.get(key.as_str())?, value) {
            (Some(members), Value::Map(map)) => {
                let map = map
                    .iter()
                    .filter(|(name, _)| members.contains(name.as_str()));
                Value::Map(
                    map.map(|(name, value)| (name.clone(), value.clone()))
                        .collect(),
                )
            }
            (_, value) => value.clone(),
        };
        Some((key.clone(), value))
    });
    Value::Map(kept.collect::<Map>())
}
