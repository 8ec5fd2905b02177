//! The resources of one formula on one node: conditions, loops and expressions worked out.

use std::collections::BTreeSet;

use brine_model::catalog::Entry;
use brine_model::deserialize::{OneOrMany, from_spanned, settle};
use brine_model::resource::{Resource, ResourceId};
use brine_model::span::{Node, Span, Spanned};
use brine_model::value::{Map, Value};

use super::scope::FormulaScope;
use super::{Compiler, NodeState};
use crate::formula::{Declaration, ForEach, Formula, Once, live};
use crate::issue::Issue;

/// A resource on its way into the catalog.
pub(super) struct Planned {
    pub(super) entry: Entry,
    pub(super) resource: Box<dyn Resource>,
    pub(super) span: Span,
    /// As written, expressions evaluated: for the places of what the fields name.
    pub(super) fields: Spanned,
    pub(super) require: Vec<(ResourceId, Span)>,
    /// Some: done on one member of the role, not on each.
    pub(super) once: Option<OnceOn>,
}

/// Where something that is done once is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnceOn {
    /// A condition over live facts; none takes any member.
    pub(super) condition: Option<String>,
}

#[derive(Default)]
pub(super) struct Expansion {
    pub(super) planned: Vec<Planned>,
    /// Declared, but not here, since their `when` is false.
    pub(super) skipped: BTreeSet<ResourceId>,
    /// Templates that are rendered on this node.
    pub(super) templates: BTreeSet<String>,
}

impl Compiler<'_> {
    pub(super) fn expand(
        &self,
        node: &NodeState,
        formula: &Formula,
        context: &Value,
        expansion: &mut Expansion,
        issues: &mut Vec<Issue>,
    ) {
        let sources = &self.library.sources;
        for declaration in &formula.resources {
            let scope = FormulaScope::new(node, context);
            let Some(each) = &declaration.for_each else {
                self.declare(declaration, formula, &scope, expansion, issues);
                continue;
            };
            let items = scope.evaluate(issues, |scope, issues| {
                elements(each, each.items.evaluate(scope, sources, issues)?, issues)
            });
            for item in items.into_iter().flatten() {
                let item = item.into_value();
                let mut scope = FormulaScope::new(node, context);
                scope.element = Some((&each.alias, &item));
                self.declare(declaration, formula, &scope, expansion, issues);
            }
        }
    }

    /// One pass of a declaration: each of its ids becomes a resource.
    fn declare(
        &self,
        declaration: &Declaration,
        formula: &Formula,
        scope: &FormulaScope<'_>,
        expansion: &mut Expansion,
        issues: &mut Vec<Issue>,
    ) {
        let sources = &self.library.sources;
        let wanted = match &declaration.when {
            None => Some(true),
            Some(when) => {
                scope.evaluate(issues, |scope, issues| when.holds(scope, sources, issues))
            }
        };
        let Some(wanted) = wanted else { return };
        if !wanted {
            // Its expressions may make sense only where the condition holds.
            let mut unheard = Vec::new();
            let id = declaration.id.evaluate(scope, sources, &mut unheard);
            let ids = id
                .and_then(|id| ids(declaration, &id, &mut unheard))
                .unwrap_or_default();
            expansion.skipped.extend(ids.into_iter().map(|(id, _)| id));
            return;
        }
        let ids = scope.evaluate(issues, |scope, issues| {
            ids(
                declaration,
                &declaration.id.evaluate(scope, sources, issues)?,
                issues,
            )
        });
        let mut pairs = Vec::new();
        let mut complete = true;
        for (key, field) in &declaration.fields {
            let value = scope.evaluate(issues, |scope, issues| {
                field.evaluate(scope, sources, issues)
            });
            let field = declaration
                .kind
                .path_fields
                .iter()
                .find(|field| field.name == key.text);
            let value = match (field, value) {
                (Some(field), Some(value)) => {
                    self.content(formula, field, &value, &mut expansion.templates, issues)
                }
                (_, value) => value,
            };
            match value {
                Some(value) => pairs.push((key.clone(), value)),
                None => complete = false,
            }
        }
        let require = match &declaration.require {
            None => Some(Vec::new()),
            Some(require) => scope.evaluate(issues, |scope, issues| {
                required(&require.evaluate(scope, sources, issues)?, issues)
            }),
        };
        let once = match &declaration.once {
            None => Some(None),
            Some(once) => self.once_on(once, formula, scope, issues).map(Some),
        };
        let (Some(ids), Some(require), Some(once), true) = (ids, require, once, complete) else {
            return;
        };
        let fields = Spanned {
            span: declaration.span,
            node: Node::Map(pairs),
        };
        for (id, span) in ids {
            let span = if ids_are_many(declaration) {
                span
            } else {
                declaration.span
            };
            match declaration.kind.decode(&id, &fields, None) {
                Ok(resource) => expansion.planned.push(Planned {
                    entry: Entry {
                        id,
                        formula: formula.name.clone(),
                        fields: match settle(fields.clone()) {
                            Value::Map(fields) => fields,
                            _ => Map::new(),
                        },
                        require: Vec::new(),
                        origin: sources.origin(span),
                    },
                    resource,
                    span,
                    fields: fields.clone(),
                    require: require.clone(),
                    once: once.clone(),
                }),
                Err(error) => issues.extend(Issue::from_misfits(error)),
            }
        }
    }
}

impl Compiler<'_> {
    fn once_on(
        &self,
        once: &Once,
        formula: &Formula,
        scope: &FormulaScope<'_>,
        issues: &mut Vec<Issue>,
    ) -> Option<OnceOn> {
        let Some(on) = &once.on else {
            return Some(OnceOn { condition: None });
        };
        let text = scope.evaluate(issues, |scope, issues| {
            on.evaluate(scope, &self.library.sources, issues)
        })?;
        let condition = live::condition(&text, formula, self.library, issues)?;
        Some(OnceOn {
            condition: Some(condition),
        })
    }
}

fn ids_are_many(declaration: &Declaration) -> bool {
    match &declaration.id {
        crate::dynamic::Dynamic::Fixed(id) => matches!(id.node, Node::List(_)),
        crate::dynamic::Dynamic::List(..) => true,
        _ => false,
    }
}

fn elements(each: &ForEach, value: Spanned, issues: &mut Vec<Issue>) -> Option<Vec<Spanned>> {
    match value.node {
        Node::List(items) => Some(items),
        _ => {
            let kind = value.into_value().kind();
            let issue = Issue::error(each.items.span(), format!("expected a list, found {kind}"));
            issues.push(
                issue.with_help("`for_each` repeats the resource for each element of a list"),
            );
            None
        }
    }
}

fn ids(
    declaration: &Declaration,
    value: &Spanned,
    issues: &mut Vec<Issue>,
) -> Option<Vec<(ResourceId, Span)>> {
    let items = match &value.node {
        Node::List(items) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let mut ids = Vec::new();
    let before = issues.len();
    for item in items {
        match from_spanned::<String>(item) {
            Ok(text) if text.is_empty() => {
                issues.push(Issue::error(item.span, "an id cannot be empty"));
            }
            Ok(text) => ids.push((ResourceId::new(declaration.kind.name, text), item.span)),
            Err(error) => issues.extend(Issue::from_misfits(error)),
        }
    }
    (issues.len() == before).then_some(ids)
}

fn required(value: &Spanned, issues: &mut Vec<Issue>) -> Option<Vec<(ResourceId, Span)>> {
    use brine_model::deserialize::Located;
    match from_spanned::<OneOrMany<Located<ResourceId>>>(value) {
        Ok(OneOrMany(ids)) => Some(ids.into_iter().map(|id| (id.value, id.span)).collect()),
        Err(error) => {
            issues.extend(Issue::from_misfits(error));
            None
        }
    }
}
