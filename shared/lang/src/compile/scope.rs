//! The names of one formula on one node, with reasons for those that are not there.

use std::cell::RefCell;

use brine_model::expression::{Lookup, Scope};
use brine_model::value::Value;

use super::NodeState;
use crate::issue::Issue;

pub(super) struct FormulaScope<'a> {
    pub(super) node: &'a NodeState,
    pub(super) context: &'a Value,
    /// Whether it is a parameter that is worked out.
    pub(super) parameter: bool,
    /// The element of a `for_each`, under its name.
    pub(super) element: Option<(&'a str, &'a Value)>,
    /// Why a lookup failed, where that says more than "there is no such name".
    pub(super) reason: RefCell<Option<(String, String)>>,
}

impl<'a> FormulaScope<'a> {
    pub(super) fn new(node: &'a NodeState, context: &'a Value) -> Self {
        Self {
            node,
            context,
            parameter: false,
            element: None,
            reason: RefCell::default(),
        }
    }

    /// Evaluates something; an error that has a better reason says that instead.
    pub(super) fn evaluate<T>(
        &self,
        issues: &mut Vec<Issue>,
        evaluate: impl FnOnce(&Self, &mut Vec<Issue>) -> Option<T>,
    ) -> Option<T> {
        self.reason.take();
        let before = issues.len();
        let value = evaluate(self, issues);
        if let (Some((message, help)), Some(issue)) = (
            self.reason.take(),
            issues.get_mut(before..).and_then(<[_]>::last_mut),
        ) {
            issue.message = message;
            issue.help = Some(help);
        }
        value
    }

    fn missing(&self, message: String, help: String) -> Lookup {
        self.reason.replace(Some((message, help.clone())));
        Lookup::Missing { help: Some(help) }
    }
}

impl Scope for FormulaScope<'_> {
    fn lookup(&self, path: &[&str]) -> Lookup {
        let name = &self.node.input.name;
        match (path, self.element) {
            ([first, rest @ ..], Some((alias, element))) if *first == alias => element.lookup(rest),
            (["facts", ..], _) if self.node.facts.is_none() => self.missing(
                format!("{name} has not reported facts yet"),
                format!("they come when the agent of {name} first connects"),
            ),
            (["node", "address"], _) if self.node.input.address.is_none() => self.missing(
                format!("{name} has no address yet"),
                format!("it is known once the agent of {name} has connected"),
            ),
            (["node", "labels", label], _) if !self.node.input.labels.contains_key(*label) => {
                Lookup::Unknown
            }
            ([first, ..], _) if self.parameter && self.context.get(first).is_none() => self
                .missing(
                    format!("a parameter cannot read `{first}`"),
                    "it may read `node`, `facts` and the parameters beside it; what depends on \
                     other nodes or formulas belongs into a resource or template"
                        .to_owned(),
                ),
            ([first, ..], _) if self.context.get(first).is_none() => self.missing(
                format!("{name} does not have `{first}`"),
                format!(
                    "what other nodes export is read through a role: `roles.NAME[0].{first}.…`"
                ),
            ),
            _ => self.context.lookup(path),
        }
    }
}
