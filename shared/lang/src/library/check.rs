//! What can be wrong between the files of a tree, whatever the fleet.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::diagnostic::did_you_mean;
use brine_model::name::{FormulaName, RoleName};

use super::Library;
use crate::data::LayerName;
use crate::dynamic::{Dynamic, Mention};
use crate::formula::{Formula, ParameterType, check_mentions};
use crate::issue::{Issue, Reach};

impl Library<'_> {
    pub(super) fn check_all(&mut self) {
        let mut found = Vec::new();
        self.check_roles(&mut found);
        self.check_role_order(&mut found);
        let roles = self.role_names();
        for formula in self.formulas.values() {
            let mut issues = Vec::new();
            self.check_uses(formula, &mut issues);
            check_mentions(
                formula,
                &formula.mentions,
                &self.formulas,
                &roles,
                &mut issues,
            );
            check_templates(formula, &mut issues);
            let reach = Reach::Formula(formula.name.to_string());
            found.extend(issues.into_iter().map(|issue| (issue, reach.clone())));
        }
        self.check_data(&roles, &mut found);
        let broken = found.iter().filter(|(issue, _)| issue.is_error());
        let broken = broken.filter_map(|(_, reach)| match reach {
            Reach::Formula(name) => Some(name.as_str()),
            _ => None,
        });
        for name in broken {
            if let Some(formula) = self.formulas.get_mut(name) {
                formula.broken = true;
            }
        }
        self.issues.extend(found);
    }

    fn check_roles(&self, found: &mut Vec<(Issue, Reach)>) {
        for (name, role) in &self.roles {
            let reach = Reach::Role(name.to_string());
            for formula in &role.formulas {
                if !self.has_formula(&formula.value) {
                    let message = format!("there is no formula `{}`", formula.value);
                    let issue = Issue::error(formula.span, message);
                    let help = self.formula_help(&formula.value);
                    found.push((issue.with_help(help), reach.clone()));
                }
            }
            for other in &role.after {
                if !self.has_role(&other.value) {
                    let known = self.roles.keys().map(RoleName::as_str);
                    let help = did_you_mean(&other.value, known)
                        .map_or("roles lie in `roles/NAME.yaml`".to_owned(), |near| {
                            format!("did you mean `{near}`?")
                        });
                    let issue =
                        Issue::error(other.span, format!("there is no role `{}`", other.value));
                    found.push((issue.with_help(help), reach.clone()));
                }
            }
        }
    }

    /// Roles that come after each other in a circle.
    fn check_role_order(&self, found: &mut Vec<(Issue, Reach)>) {
        let mut settled: BTreeSet<&str> = BTreeSet::new();
        for start in self.roles.keys() {
            let mut path: Vec<&str> = Vec::new();
            self.walk_after(start.as_str(), &mut path, &mut settled, found);
        }
    }

    fn walk_after<'a>(
        &'a self,
        name: &'a str,
        path: &mut Vec<&'a str>,
        settled: &mut BTreeSet<&'a str>,
        found: &mut Vec<(Issue, Reach)>,
    ) {
        let Some(role) = self.roles.get(name).filter(|_| !settled.contains(name)) else {
            return;
        };
        path.push(name);
        for next in &role.after {
            if let Some(from) = path.iter().position(|earlier| *earlier == next.value) {
                let mut circle = path[from..].to_vec();
                circle.push(&next.value);
                let circle = circle
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>();
                let message = format!("roles wait for each other: {}", circle.join(" after "));
                let issue = Issue::error(next.span, message)
                    .with_help("take one of them out of an `after`");
                found.push((issue, Reach::Role(name.to_owned())));
            } else {
                self.walk_after(&next.value, path, settled, found);
            }
        }
        path.pop();
        settled.insert(name);
    }

    fn check_uses(&self, formula: &Formula, issues: &mut Vec<Issue>) {
        for used in &formula.uses {
            let name = used.value.as_str();
            if name == formula.name.as_str() {
                issues.push(Issue::warning(used.span, "a formula need not list itself"));
            } else if !self.has_formula(name) {
                issues.push(
                    Issue::error(used.span, format!("there is no formula `{name}`"))
                        .with_help(self.formula_help(name)),
                );
            } else if !formula.broken
                && !formula
                    .all_mentions()
                    .any(|mention| mention.path.iter().any(|part| part == name))
            {
                issues.push(
                    Issue::warning(used.span, format!("nothing reads a parameter of `{name}`"))
                        .with_help("take it out of `uses`"),
                );
            }
        }
    }

    fn check_data(&self, roles: &BTreeSet<RoleName>, found: &mut Vec<(Issue, Reach)>) {
        for (name, layer) in &self.data.layers {
            let reach = name.reach();
            if let LayerName::Role(role) = name
                && !self.has_role(role)
                && let Some(section) = layer.formulas.values().next()
            {
                let known = self.roles.keys().map(RoleName::as_str);
                let near = did_you_mean(role, known);
                let issue = Issue::warning(section.span, format!("there is no role `{role}`"));
                let help = near.map(|near| format!("did you mean `data/roles/{near}.yaml`?"));
                found.push((issue.with_optional_help(help), reach.clone()));
            }
            for (formula, section) in &layer.formulas {
                let Some(formula) = self.formulas.get(formula.as_str()) else {
                    if !self.has_formula(formula) {
                        let issue =
                            Issue::error(section.span, format!("there is no formula `{formula}`"));
                        let issue = issue.with_help(self.formula_help(formula));
                        found.push((issue, reach.clone()));
                    }
                    continue;
                };
                let mut issues = Vec::new();
                for (parameter, given) in &section.values {
                    self.check_given(formula, parameter, given, roles, &mut issues);
                }
                found.extend(issues.into_iter().map(|issue| {
                    // What common.yaml says of one formula concerns only who has it.
                    let reach = match name {
                        LayerName::Common => Reach::Formula(formula.name.to_string()),
                        _ => reach.clone(),
                    };
                    (issue, reach)
                }));
            }
        }
    }

    fn check_given(
        &self,
        formula: &Formula,
        name: &str,
        given: &crate::data::Given,
        roles: &BTreeSet<RoleName>,
        issues: &mut Vec<Issue>,
    ) {
        let Some(parameter) = formula.parameters.get(name) else {
            let known = formula.parameters.keys().map(String::as_str);
            let help = match did_you_mean(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if formula.parameters.is_empty() => "it has no parameters".to_owned(),
                None => {
                    let known = known.map(|name| format!("`{name}`")).collect::<Vec<_>>();
                    format!("it has {}", known.join(", "))
                }
            };
            let message = format!("the formula `{}` has no parameter `{name}`", formula.name);
            issues.push(Issue::error(given.key, message).with_help(help));
            return;
        };
        if parameter.kind == ParameterType::Secret {
            let message = "the text of a secret does not belong into the state tree";
            issues.push(Issue::error(given.value.span(), message).with_help(format!(
                "put it into the server's `secrets.yaml`, as `{}: {{ {name}: … }}`, and change it: \
                 whoever reads the tree knows this one",
                formula.name
            )));
            return;
        }
        match &given.value {
            Dynamic::Fixed(value) => {
                if let Err(error) = parameter.convert(value) {
                    issues.extend(Issue::from_misfits(error).map(|issue| {
                        issue.with_place(parameter.span, "the parameter is declared here")
                    }));
                }
            }
            dynamic => {
                let mut mentions: Vec<Mention> = Vec::new();
                dynamic.mentions(&self.sources, &mut mentions);
                check_mentions(formula, &mentions, &self.formulas, roles, issues);
            }
        }
    }

    fn has_formula(&self, name: &str) -> bool {
        self.formulas.contains_key(name) || self.unreadable_formulas.contains(name)
    }

    fn has_role(&self, name: &str) -> bool {
        self.roles.contains_key(name) || self.unreadable_roles.contains(name)
    }

    fn formula_help(&self, name: &str) -> String {
        match did_you_mean(name, self.formulas.keys().map(FormulaName::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "formulas lie in `formulas/NAME/formula.yaml`".to_owned(),
        }
    }
}

/// Template files that no resource can mean.
fn check_templates(formula: &Formula, issues: &mut Vec<Issue>) {
    if formula.broken {
        return;
    }
    let mut unused: BTreeMap<_, _> = formula.templates.iter().collect();
    for declaration in &formula.resources {
        for (key, value) in &declaration.fields {
            let names = declaration
                .kind
                .path_fields
                .iter()
                .any(|field| field.name == key.text);
            match value {
                Dynamic::Fixed(value) if names => {
                    let name = value.clone().into_value();
                    let name = name.as_str().unwrap_or_default();
                    // A misspelt name is reported; what it meant is not unused.
                    if key.text == "template" && !formula.templates.contains_key(name) {
                        return;
                    }
                    unused.remove(&name.to_owned());
                }
                _ if names => return,
                _ => {}
            }
        }
    }
    for (name, template) in unused {
        let span = brine_model::span::Span::new(template.source, 0, 0);
        issues.push(
            Issue::warning(span, format!("no resource uses the template `{name}`"))
                .with_help("name it in a `template:`, or remove the file"),
        );
    }
}
