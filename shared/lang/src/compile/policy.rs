//! How a change may reach a node: from the `cluster:` of its formulas, one policy for each role.

use std::collections::BTreeMap;

use brine_model::catalog::{Condition, End, Entry, Health, OnFailure, Order, Policy};
use brine_model::deserialize::from_spanned;
use brine_model::host::LiveQuestion;
use brine_model::name::{FormulaName, RoleName};
use brine_model::resources;
use brine_model::span::Spanned;
use brine_model::value::Value;

use super::scope::FormulaScope;
use super::{Compiler, NodeState};
use crate::dynamic::Dynamic;
use crate::formula::{Formula, cluster, live};
use crate::issue::Issue;
use crate::library::Library;

/// What one formula asks on one node.
#[derive(Default)]
pub(super) struct Demands {
    max_unavailable: Option<u32>,
    healthy: Vec<Health>,
    formed: Option<Condition>,
    order: Vec<Order>,
    drain: Vec<Health>,
    undrain: Vec<Health>,
    on_failure: OnFailure,
    sources: Vec<Entry>,
}

impl Compiler<'_> {
    /// `entries` are all resources of the node.
    pub(super) fn demands(
        &self,
        node: &NodeState,
        formula: &Formula,
        context: &Value,
        entries: &[Entry],
        issues: &mut Vec<Issue>,
    ) -> Demands {
        let asker = Asker {
            compiler: self,
            formula,
            scope: FormulaScope::new(node, context),
            sources: sources(entries),
        };
        let cluster = &formula.cluster;
        let order = cluster.order.iter().filter_map(|(end, condition)| {
            let condition = asker.condition(condition, issues)?;
            let end = *end;
            Some(Order { end, condition })
        });
        let order = order.collect();
        Demands {
            max_unavailable: cluster
                .max_unavailable
                .as_ref()
                .and_then(|number| asker.number(number, issues)),
            healthy: asker.questions(&cluster.healthy, issues),
            formed: cluster
                .formed
                .as_ref()
                .and_then(|formed| asker.condition(formed, issues)),
            order,
            drain: asker.questions(&cluster.drain, issues),
            undrain: asker.questions(&cluster.undrain, issues),
            on_failure: cluster.on_failure,
            sources: asker
                .sources
                .into_iter()
                .filter(|entry| entry.formula == formula.name)
                .collect(),
        }
    }
}

/// The resources that tell live facts.
fn sources(entries: &[Entry]) -> Vec<Entry> {
    let tells =
        |entry: &&Entry| resources::kind(entry.id.kind()).is_some_and(|kind| !kind.live.is_empty());
    entries.iter().filter(tells).cloned().collect()
}

/// Reads the `cluster:` of one formula on one node.
struct Asker<'a> {
    compiler: &'a Compiler<'a>,
    formula: &'a Formula,
    scope: FormulaScope<'a>,
    sources: Vec<Entry>,
}

impl Asker<'_> {
    fn evaluate(&self, value: &Dynamic, issues: &mut Vec<Issue>) -> Option<Spanned> {
        let sources = &self.compiler.library.sources;
        self.scope.evaluate(issues, |scope, issues| {
            value.evaluate(scope, sources, issues)
        })
    }

    fn condition(&self, value: &Dynamic, issues: &mut Vec<Issue>) -> Option<Condition> {
        let value = self.evaluate(value, issues)?;
        Some(Condition {
            formula: self.formula.name.clone(),
            text: live::condition(&value, self.formula, self.compiler.library, issues)?,
        })
    }

    fn questions(&self, values: &[Dynamic], issues: &mut Vec<Issue>) -> Vec<Health> {
        let mut questions = Vec::new();
        for value in values {
            let Some(value) = self.evaluate(value, issues) else {
                continue;
            };
            let mut found = Vec::new();
            let library = self.compiler.library;
            let mut live = |value: &Spanned| {
                Some(LiveQuestion {
                    condition: live::condition(value, self.formula, library, &mut found)?,
                    sources: self.sources.clone(),
                })
            };
            match cluster::health(&value, &self.formula.name, &mut live) {
                Ok(health) => questions.extend(health),
                Err(error) => issues.extend(Issue::from_misfits(error)),
            }
            issues.extend(found);
        }
        questions
    }

    fn number(&self, value: &Dynamic, issues: &mut Vec<Issue>) -> Option<u32> {
        let number = self.evaluate(value, issues)?;
        match from_spanned::<u32>(&number) {
            Ok(0) => {
                let issue = Issue::error(number.span, "0 would never let a change begin");
                issues.push(issue.with_help("the least is 1: one member at a time"));
                None
            }
            Ok(number) => Some(number),
            Err(error) => {
                issues.extend(Issue::from_misfits(error));
                None
            }
        }
    }
}

/// The policies of a node with these roles.
pub(super) fn policies(
    library: &Library<'_>,
    roles: &[RoleName],
    demands: &BTreeMap<FormulaName, Demands>,
) -> Vec<Policy> {
    roles
        .iter()
        .map(|role| policy(library, role, demands))
        .collect()
}

fn policy(
    library: &Library<'_>,
    role: &RoleName,
    demands: &BTreeMap<FormulaName, Demands>,
) -> Policy {
    let formulas = library.formulas_of([role]);
    let demands: Vec<&Demands> = formulas
        .iter()
        .filter_map(|formula| demands.get(formula))
        .collect();
    let all = |of: fn(&Demands) -> &[Health]| -> Vec<Health> {
        demands
            .iter()
            .flat_map(|demands| of(demands).to_vec())
            .collect()
    };
    let reverts = |demands: &&Demands| demands.on_failure == OnFailure::Revert;
    let mut order: Vec<Order> = demands.iter().flat_map(|d| d.order.clone()).collect();
    // The first rule that holds decides; of two formulas, who must come first is the stronger word.
    order.sort_by_key(|rule| rule.end == End::Last);
    Policy {
        role: role.clone(),
        max_unavailable: demands
            .iter()
            .filter_map(|d| d.max_unavailable)
            .min()
            .unwrap_or(1),
        healthy: all(|demands| &demands.healthy),
        formed: demands.iter().filter_map(|d| d.formed.clone()).collect(),
        order,
        drain: all(|demands| &demands.drain),
        undrain: all(|demands| &demands.undrain),
        on_failure: if demands.iter().any(reverts) {
            OnFailure::Revert
        } else {
            OnFailure::Stop
        },
        sources: demands.iter().flat_map(|d| d.sources.clone()).collect(),
    }
}
