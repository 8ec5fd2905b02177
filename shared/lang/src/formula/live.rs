//! Conditions over live facts: `patroni.role = "leader"`. They are read by the agents and the server
//! while a run goes on; here it is found out whether such facts can be.

use std::collections::BTreeSet;

use brine_model::diagnostic::did_you_mean;
use brine_model::expression::{Dialect, Expression};
use brine_model::span::{Node, Spanned};
use brine_model::value::Value;

use super::Formula;
use crate::issue::Issue;
use crate::library::Library;

/// The text of a condition whose parameters are filled in; what cannot be is reported.
pub(crate) fn condition(
    value: &Spanned,
    formula: &Formula,
    library: &Library<'_>,
    issues: &mut Vec<Issue>,
) -> Option<String> {
    let text = match &value.node {
        Node::Plain(text) | Node::Leaf(Value::String(text)) => text.clone(),
        _ => {
            issues.push(
                Issue::error(value.span, "expected a condition over live facts")
                    .with_help("as in `patroni.role = \"leader\"`"),
            );
            return None;
        }
    };
    let expression = match Expression::parse(&text, Dialect::Formula) {
        Ok(expression) => expression,
        Err(error) => {
            let span = library
                .sources
                .within(value.span, &text, error.range.clone());
            issues.push(Issue::error(span, error.message).with_optional_help(error.help));
            return None;
        }
    };
    let before = issues.len();
    for used in expression.paths() {
        let span = library
            .sources
            .within(value.span, &text, used.range.clone());
        if let Some(issue) = unknown(&used.path, formula, library) {
            issues.push(Issue::error(span, issue.0).with_optional_help(issue.1));
        }
    }
    (issues.len() == before).then_some(text)
}

/// What is wrong with a path, and what may have been meant.
fn unknown(
    path: &[String],
    formula: &Formula,
    library: &Library<'_>,
) -> Option<(String, Option<String>)> {
    let name = path.join(".");
    let (first, rest) = path.split_first()?;
    let used = formula.uses.iter().any(|used| used.value == *first);
    let Some(teller) = library
        .formulas
        .get(first.as_str())
        .filter(|_| used || first == formula.name.as_str())
    else {
        let help = if library.formulas.contains_key(first.as_str()) {
            format!("add `{first}` to `uses`")
        } else {
            format!(
                "live facts are named `FORMULA.fact`, as in `{}.…`",
                formula.name
            )
        };
        return Some((format!("there is no live fact `{name}`"), Some(help)));
    };
    let known = facts(teller);
    match rest.first() {
        Some(fact) if known.contains(fact.as_str()) => None,
        Some(fact) => {
            let help = match did_you_mean(fact, known.iter().copied()) {
                Some(near) => format!("did you mean `{first}.{near}`?"),
                None if known.is_empty() => {
                    format!("no resource of `{first}` tells live facts")
                }
                None => format!(
                    "`{first}` tells {}",
                    known.into_iter().collect::<Vec<_>>().join(", ")
                ),
            };
            Some((format!("there is no live fact `{name}`"), Some(help)))
        }
        None => Some((format!("`{name}` is a formula, not a live fact"), None)),
    }
}

/// The live facts that the resources of a formula tell.
fn facts(formula: &Formula) -> BTreeSet<&'static str> {
    let kinds = formula.resources.iter().map(|resource| resource.kind);
    kinds.flat_map(|kind| kind.live.iter().copied()).collect()
}
