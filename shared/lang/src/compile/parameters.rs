//! The value of each parameter on each node.

use std::collections::BTreeSet;

use brine_model::value::{Map, Value};

use super::scope::FormulaScope;
use super::{Compiler, NodeState};
use crate::dynamic::Dynamic;
use crate::formula::{Formula, Parameter, ParameterType};
use crate::issue::Issue;
use crate::source::Sources;

impl Compiler<'_> {
    pub(super) fn fill_parameters(&mut self) {
        let mut filled = Vec::new();
        let mut found = Vec::new();
        for (name, node) in &self.nodes {
            for formula in &node.formulas {
                let Some(formula) = self.library.formulas.get(formula) else {
                    continue;
                };
                let mut issues = Vec::new();
                let values = self.parameters(node, formula, &mut issues);
                filled.push((name.clone(), formula.name.clone(), values));
                if !issues.is_empty() {
                    found.push((issues, self.readers_of(node, &formula.name)));
                }
            }
        }
        for (node, formula, values) in filled {
            if let Some(node) = self.nodes.get_mut(&node) {
                node.parameters.insert(formula, values);
            }
        }
        for (issues, nodes) in found {
            self.add_new(issues, &nodes);
        }
    }

    /// All parameters; those that fail are reported and have something else of their type.
    fn parameters(&self, node: &NodeState, formula: &Formula, issues: &mut Vec<Issue>) -> Map {
        let mut ambiguous = Vec::new();
        let given = self
            .library
            .data
            .values(formula.name.as_str(), &node.input, &mut ambiguous);
        for case in ambiguous {
            let message = format!("two roles of one node disagree about `{}`", case.parameter);
            issues.push(
                Issue::error(case.second.key, message)
                    .with_place(case.first.key, "the other value")
                    .with_help(format!(
                        "decide it in `data/nodes/{}.yaml`",
                        node.input.name
                    )),
            );
        }
        let mut values = Map::new();
        let mut computed = Vec::new();
        for (name, parameter) in &formula.parameters {
            let source = given.get(name.as_str()).map(|given| &given.value);
            let value = match source.or(parameter.default.as_ref()) {
                _ if parameter.kind == ParameterType::Secret => {
                    self.secret(node, formula, name, parameter, issues)
                }
                // What does not fit was reported when it was read.
                Some(Dynamic::Fixed(value)) => parameter.convert(value).ok(),
                Some(dynamic) => {
                    computed.push(Computed {
                        name,
                        parameter,
                        dynamic,
                    });
                    continue;
                }
                None => {
                    if !self.strictness.values.contains(&formula.name) {
                        issues.push(required(formula, name, parameter));
                    }
                    None
                }
            };
            values.insert(
                name.clone(),
                value.unwrap_or_else(|| parameter.kind.placeholder()),
            );
        }
        self.compute(node, formula, computed, &mut values, issues);
        values
    }

    /// Works out the parameters that are expressions, each after those that it reads.
    fn compute(
        &self,
        node: &NodeState,
        formula: &Formula,
        mut waiting: Vec<Computed<'_>>,
        values: &mut Map,
        issues: &mut Vec<Issue>,
    ) {
        let sources = &self.library.sources;
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|candidate| {
                let read = candidate.reads(formula, sources);
                !waiting.iter().any(|other| read.contains(other.name))
            });
            let Some(ready) = ready else {
                let names = waiting
                    .iter()
                    .map(|one| format!("`{}.{}`", formula.name, one.name));
                let names = names.collect::<Vec<_>>().join(" and ");
                let place = waiting
                    .first()
                    .map(|one| one.dynamic.span())
                    .unwrap_or_default();
                let depend = if waiting.len() == 1 {
                    "depends on itself"
                } else {
                    "depend on each other"
                };
                let message = format!("{names} {depend}");
                issues.push(Issue::error(place, message).with_help("give one a plain value"));
                for Computed {
                    name, parameter, ..
                } in waiting
                {
                    values.insert(name.to_owned(), parameter.kind.placeholder());
                }
                return;
            };
            let Computed {
                name,
                parameter,
                dynamic,
            } = waiting.remove(ready);
            let context = self.own_context(node, formula, values.clone());
            let mut scope = FormulaScope::new(node, &context);
            scope.parameter = true;
            let value = scope.evaluate(issues, |scope, issues| {
                let value = dynamic.evaluate(scope, sources, issues)?;
                let converted = parameter.convert(&value).map_err(|mut error| {
                    // There are no quotes to take away.
                    error.help = None;
                    issues.extend(Issue::from_misfits(error));
                });
                converted.ok()
            });
            values.insert(
                name.to_owned(),
                value.unwrap_or_else(|| parameter.kind.placeholder()),
            );
        }
    }

    /// What a parameter may depend on: the node, its facts, and the plain ones beside it. Never
    /// roles, whose members' parameters may in turn depend on this node's.
    fn own_context(&self, node: &NodeState, formula: &Formula, plain: Map) -> Value {
        let mut context = Map::new();
        context.insert("node".to_owned(), node.node.clone());
        if let Some(facts) = &node.facts {
            context.insert("facts".to_owned(), facts.clone());
        }
        context.insert(formula.name.to_string(), Value::Map(plain));
        Value::Map(context)
    }

    fn secret(
        &self,
        node: &NodeState,
        formula: &Formula,
        name: &str,
        parameter: &Parameter,
        issues: &mut Vec<Issue>,
    ) -> Option<Value> {
        let full = format!("{}.{name}", formula.name);
        let secret = self.secrets.get(&full, &node.input).map(Value::Secret);
        if secret.is_none() {
            let issue = Issue::error(parameter.span, format!("the server has no secret `{full}`"));
            issues.push(issue.with_help("give it in the server's `secrets.yaml`"));
        }
        secret
    }
}

/// A parameter whose value is an expression.
struct Computed<'a> {
    name: &'a str,
    parameter: &'a Parameter,
    dynamic: &'a Dynamic,
}

impl Computed<'_> {
    /// The parameters of its own formula that it reads.
    fn reads(&self, formula: &Formula, sources: &Sources) -> BTreeSet<String> {
        let mut mentions = Vec::new();
        self.dynamic.mentions(sources, &mut mentions);
        let own = mentions
            .into_iter()
            .filter_map(|mention| match mention.path.as_slice() {
                [first, name, ..] if first == formula.name.as_str() => Some(name.clone()),
                _ => None,
            });
        own.collect()
    }
}

fn required(formula: &Formula, name: &str, parameter: &Parameter) -> Issue {
    let message = format!("the parameter `{}.{name}` has no value", formula.name);
    Issue::error(parameter.span, message).with_help(format!(
        "give it one in `data/common.yaml` or a more specific layer: `{}: {{ {name}: … }}`",
        formula.name
    ))
}
