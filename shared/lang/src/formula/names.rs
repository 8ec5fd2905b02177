//! Whether what an expression names can exist on any node at all.
//!
//! Evaluation alone would find a misspelt name only where it is reached: behind `when` and `and`
//! it may not be on any node of today.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::diagnostic::did_you_mean;
use brine_model::facts::Facts;
use brine_model::name::{FormulaName, RoleName};
use brine_model::value::Value;

use super::Formula;
use crate::dynamic::Mention;
use crate::issue::Issue;

const NODE: &[&str] = &["name", "address", "roles", "labels", "generation"];

/// Reports the mentions of `formula` that no node can have.
pub(crate) fn check_mentions(
    formula: &Formula,
    mentions: &[Mention],
    formulas: &BTreeMap<FormulaName, Formula>,
    roles: &BTreeSet<RoleName>,
    issues: &mut Vec<Issue>,
) {
    let facts = Facts::default().to_value();
    let aliases = formula.resources.iter().filter_map(|r| r.for_each.as_ref());
    let aliases = aliases
        .map(|each| each.alias.as_str())
        .collect::<BTreeSet<_>>();
    let used = formula
        .uses
        .iter()
        .filter_map(|name| formulas.get(name.value.as_str()));
    let used = used
        .map(|used| (used.name.as_str(), used))
        .collect::<BTreeMap<_, _>>();
    for mention in mentions {
        let path = mention.path.iter().map(String::as_str).collect::<Vec<_>>();
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        let next = rest.first().copied();
        let unknown = |what: &str, found: &str| {
            Issue::error(mention.span, format!("unknown {what} `{found}`"))
        };
        let issue = match *first {
            alias if aliases.contains(alias) => None,
            "node" => next.filter(|name| !NODE.contains(name)).map(|name| {
                near(
                    unknown("property of a node", name),
                    name,
                    NODE.iter().copied(),
                )
            }),
            "facts" => unknown_fact(&facts, rest).map(|(name, known)| {
                near(
                    unknown("fact", &path.join(".")),
                    name,
                    known.iter().map(String::as_str),
                )
            }),
            "roles" => next.filter(|name| !roles.contains(*name)).map(|name| {
                near(
                    unknown("role", name),
                    name,
                    roles.iter().map(RoleName::as_str),
                )
            }),
            own if own == formula.name.as_str() => next
                .filter(|name| !formula.parameters.contains_key(*name))
                .map(|name| {
                    let known = formula.parameters.keys().map(String::as_str);
                    near(unknown("parameter", &format!("{own}.{name}")), name, known)
                }),
            other => match (used.get(other), next) {
                (Some(used), Some(name)) => unexported(used, name, mention),
                (Some(_), None) => None,
                (None, _) if formulas.contains_key(other) => Some(
                    Issue::error(mention.span, format!("`{other}` is not under `uses`")).with_help(
                        format!("add it: `uses: [{other}]`; then what it exports can be read"),
                    ),
                ),
                (None, _) => {
                    let own = formula.name.as_str();
                    let known = ["node", "facts", "roles", own];
                    let known = known
                        .into_iter()
                        .chain(used.keys().copied())
                        .chain(aliases.iter().copied());
                    let issue = near(unknown("name", other), other, known);
                    Some(match formula.parameters.contains_key(other) {
                        true => issue.with_help(format!("write `{own}.{other}`")),
                        false => issue,
                    })
                }
            },
        };
        issues.extend(issue);
    }
}

fn unexported(used: &Formula, name: &str, mention: &Mention) -> Option<Issue> {
    let full = format!("{}.{name}", used.name);
    match used.parameters.get(name) {
        Some(parameter) if parameter.export => None,
        Some(parameter) => Some(
            Issue::error(mention.span, format!("`{full}` is not exported"))
                .with_place(parameter.span, "declared here")
                .with_help("add `export: true` to it"),
        ),
        None => {
            let known = used
                .parameters
                .iter()
                .filter(|(_, parameter)| parameter.export);
            let issue = Issue::error(mention.span, format!("unknown parameter `{full}`"));
            Some(near(issue, name, known.map(|(name, _)| name.as_str())))
        }
    }
}

/// The first component that facts do not have, with those that they have in its place.
fn unknown_fact<'p>(facts: &Value, path: &[&'p str]) -> Option<(&'p str, Vec<String>)> {
    let mut here = facts;
    for name in path {
        let Value::Map(map) = here else { return None };
        match map.get(*name) {
            Some(next) => here = next,
            None => return Some((name, map.keys().cloned().collect())),
        }
    }
    None
}

fn near<'a>(issue: Issue, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Issue {
    let known = known.into_iter().collect::<Vec<_>>();
    match did_you_mean(wrong, known.iter().copied()) {
        Some(near) => issue.with_help(format!("did you mean `{near}`?")),
        None if known.is_empty() => issue,
        None => {
            let known = known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>();
            issue.with_help(format!("known here: {}", known.join(", ")))
        }
    }
}
