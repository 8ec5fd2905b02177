//! What can be done to a node: the `actions:` of its formulas, worked out for it.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::catalog::Entry;
use brine_model::deserialize::from_spanned;
use brine_model::diagnostic::did_you_mean;
use brine_model::host::Program;
use brine_model::name::FormulaName;
use brine_model::resource::ResourceId;
use brine_model::resources;
use brine_model::value::Value;

use super::scope::FormulaScope;
use super::{Compiler, NodeState};
use crate::formula::action::What;
use crate::formula::{Action, Formula};
use crate::issue::Issue;

/// How long a program of an action may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// One thing that can be done to a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeAction {
    pub formula: FormulaName,
    pub name: String,
    pub description: String,
    pub what: Deed,
    /// Its health is not asked after it: it is not meant to serve any more.
    pub leaves: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    Act { resource: Box<Entry>, verb: String },
    Run(Program),
}

impl Compiler<'_> {
    pub(super) fn actions(
        &self,
        node: &NodeState,
        formula: &Formula,
        context: &Value,
        entries: &[Entry],
        issues: &mut Vec<Issue>,
    ) -> Vec<NodeAction> {
        let scope = FormulaScope::new(node, context);
        let actions = formula.actions.iter().filter_map(|(name, action)| {
            Some(NodeAction {
                formula: formula.name.clone(),
                name: name.clone(),
                description: action.description.clone(),
                what: self.deed(action, &scope, entries, issues)?,
                leaves: action.leaves,
            })
        });
        actions.collect()
    }

    fn deed(
        &self,
        action: &Action,
        scope: &FormulaScope<'_>,
        entries: &[Entry],
        issues: &mut Vec<Issue>,
    ) -> Option<Deed> {
        let sources = &self.library.sources;
        match &action.what {
            What::Act { resource, verb } => {
                let id = scope.evaluate(issues, |scope, issues| {
                    let id = resource.evaluate(scope, sources, issues)?;
                    let read = from_spanned::<ResourceId>(&id);
                    read.map_err(|error| issues.extend(Issue::from_misfits(error)))
                        .ok()
                })?;
                let Some(entry) = entries.iter().find(|entry| entry.id == id) else {
                    issues.push(Issue::error(
                        resource.span(),
                        format!("nothing declares `{id}`"),
                    ));
                    return None;
                };
                let known = resources::kind(id.kind()).map_or(&[] as &[&str], |kind| kind.actions);
                if !known.contains(&verb.value.as_str()) {
                    let message = format!("a `{}` cannot `{}`", id.kind(), verb.value);
                    let help = match did_you_mean(&verb.value, known.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it can: {}", known.join(", ")),
                    };
                    issues.push(Issue::error(verb.span, message).with_help(help));
                    return None;
                }
                Some(Deed::Act {
                    resource: Box::new(entry.clone()),
                    verb: verb.value.clone(),
                })
            }
            What::Run(run) => scope.evaluate(issues, |scope, issues| {
                let argv = run.evaluate(scope, sources, issues)?;
                match from_spanned::<Vec<String>>(&argv) {
                    Ok(argv) if argv.is_empty() => {
                        issues.push(Issue::error(action.span, "the program is missing"));
                        None
                    }
                    Ok(argv) => Some(Deed::Run(Program {
                        argv,
                        environment: BTreeMap::new(),
                        directory: None,
                        user: None,
                        timeout: TIMEOUT,
                    })),
                    Err(error) => {
                        issues.extend(Issue::from_misfits(error));
                        None
                    }
                }
            }),
        }
    }
}
