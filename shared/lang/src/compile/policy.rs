//! How a change may reach a node: from the `cluster:` of its formulas, one policy for each role.

use std::collections::BTreeMap;

use brine_model::catalog::{Health, Policy};
use brine_model::deserialize::from_spanned;
use brine_model::name::{FormulaName, RoleName};
use brine_model::value::Value;

use super::scope::FormulaScope;
use super::{Compiler, NodeState};
use crate::formula::{Formula, cluster};
use crate::issue::Issue;
use crate::library::Library;

/// What one formula asks on one node.
#[derive(Default)]
pub(super) struct Demands {
    max_unavailable: Option<u32>,
    healthy: Vec<Health>,
}

impl Compiler<'_> {
    pub(super) fn health(
        &self,
        node: &NodeState,
        formula: &Formula,
        context: &Value,
        issues: &mut Vec<Issue>,
    ) -> Demands {
        let scope = FormulaScope::new(node, context);
        let sources = &self.library.sources;
        let mut demands = Demands::default();
        for condition in &formula.cluster.healthy {
            demands
                .healthy
                .extend(scope.evaluate(issues, |scope, issues| {
                    let condition = condition.evaluate(scope, sources, issues)?;
                    let health = cluster::health(&condition, &formula.name);
                    health
                        .map_err(|error| issues.extend(Issue::from_misfits(error)))
                        .ok()
                }));
        }
        if let Some(number) = &formula.cluster.max_unavailable {
            demands.max_unavailable = scope.evaluate(issues, |scope, issues| {
                let number = number.evaluate(scope, sources, issues)?;
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
            });
        }
        demands
    }
}

/// The policies of a node with these roles.
pub(super) fn policies(
    library: &Library<'_>,
    roles: &[RoleName],
    demands: &BTreeMap<&FormulaName, Demands>,
) -> Vec<Policy> {
    let policy = |role: &RoleName| {
        let formulas = library.formulas_of([role]);
        let demands = formulas.iter().filter_map(|formula| demands.get(formula));
        Policy {
            role: role.clone(),
            max_unavailable: demands
                .clone()
                .filter_map(|d| d.max_unavailable)
                .min()
                .unwrap_or(1),
            healthy: demands
                .flat_map(|demands| demands.healthy.iter().cloned())
                .collect(),
        }
    };
    roles.iter().map(policy).collect()
}
