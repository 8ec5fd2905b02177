//! `formulas/NAME/formula.yaml` with its templates.

pub(crate) mod action;
pub(crate) mod cluster;
mod declaration;
mod kind;
pub(crate) mod live;
mod names;
mod parameter;
mod template;

use std::collections::BTreeMap;

use brine_model::deserialize::{Located, Shape, from_spanned};
use brine_model::name::FormulaName;
use brine_model::span::{Node, Span, Spanned};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dynamic::Mention;
use crate::issue::Issue;
use crate::source::Sources;

pub(crate) use action::Action;
pub(crate) use cluster::Cluster;
pub(crate) use declaration::{Declaration, ForEach, Once};
pub(crate) use kind::ParameterType;
pub(crate) use names::check_mentions;
pub(crate) use parameter::Parameter;
pub(crate) use template::TemplateFile;

#[derive(Debug)]
pub(crate) struct Formula {
    pub(crate) name: FormulaName,
    /// Where it names itself.
    pub(crate) span: Span,
    pub(crate) uses: Vec<Located<String>>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) resources: Vec<Declaration>,
    pub(crate) cluster: Cluster,
    pub(crate) actions: BTreeMap<String, Action>,
    /// By the path below `templates/`.
    pub(crate) templates: BTreeMap<String, TemplateFile>,
    /// What its expressions read; templates have their own.
    pub(crate) mentions: Vec<Mention>,
    /// Something in it is wrong, and reported: what follows from that is not.
    pub(crate) broken: bool,
}

/// As written; the big parts are read one by one, so that one mistake hides no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    formula: Located<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    uses: Vec<Located<String>>,
    #[serde(default, rename = "parameters")]
    _parameters: IgnoredAny,
    #[serde(default, rename = "resources")]
    _resources: IgnoredAny,
    #[serde(default, rename = "cluster")]
    _cluster: IgnoredAny,
    #[serde(default, rename = "actions")]
    _actions: IgnoredAny,
}

impl Formula {
    /// What its file holds.
    pub(crate) fn shape() -> Shape {
        Shape::of::<Written>()
    }

    /// Reads a formula file that lies in the folder `name`.
    pub(crate) fn parse(
        name: &FormulaName,
        file: &Spanned,
        templates: BTreeMap<String, TemplateFile>,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Self {
        let before = issues.len();
        let head = Span {
            end: file.span.start,
            ..file.span
        };
        let mut formula = Self {
            name: name.clone(),
            span: head,
            uses: Vec::new(),
            parameters: BTreeMap::new(),
            resources: Vec::new(),
            cluster: Cluster::default(),
            actions: BTreeMap::new(),
            templates,
            mentions: Vec::new(),
            broken: false,
        };
        formula.read_head(file, issues);
        formula.read_parameters(file, sources, issues);
        formula.read_resources(file, sources, issues);
        if let Some(cluster) = file.get("cluster") {
            formula.cluster = Cluster::parse(cluster, sources, issues);
        }
        formula.read_actions(file, sources, issues);
        formula.collect_mentions(sources);
        formula.broken = issues[before..].iter().any(Issue::is_error);
        formula
    }

    fn read_head(&mut self, file: &Spanned, issues: &mut Vec<Issue>) {
        let written = match from_spanned::<Written>(file) {
            Ok(written) => written,
            Err(error) => {
                issues.extend(Issue::from_misfits(error));
                return;
            }
        };
        self.span = written.formula.span;
        if written.formula.value != self.name.as_str() {
            let message = format!(
                "the formula calls itself `{}`, but lies in `formulas/{}`",
                written.formula.value, self.name
            );
            issues.push(
                Issue::error(self.span, message).with_help("rename the folder or the formula"),
            );
        }
        self.uses = written.uses;
    }

    fn read_parameters(&mut self, file: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) {
        let Some(parameters) = file.get("parameters") else {
            return;
        };
        let Node::Map(pairs) = &parameters.node else {
            issues.push(
                Issue::error(parameters.span, "expected a map of parameters")
                    .with_help("`port: { type: port, default: 80 }`, or leave `parameters` out"),
            );
            return;
        };
        for (key, value) in pairs {
            let parameter = Parameter::parse(key, value, sources, issues);
            self.parameters.insert(key.text.clone(), parameter);
        }
    }

    fn read_resources(&mut self, file: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) {
        let Some(resources) = file.get("resources") else {
            return;
        };
        let Node::List(items) = &resources.node else {
            issues.push(
                Issue::error(resources.span, "expected a list of resources")
                    .with_help("each starts with `- `: `- package: curl`"),
            );
            return;
        };
        self.resources = items
            .iter()
            .filter_map(|item| Declaration::parse(item, sources, issues))
            .collect();
    }

    fn read_actions(&mut self, file: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) {
        let Some(actions) = file.get("actions") else {
            return;
        };
        let Node::Map(pairs) = &actions.node else {
            issues.push(
                Issue::error(actions.span, "expected a map of actions")
                    .with_help("`restart: { description: …, do: KIND:ID, verb: restart }`"),
            );
            return;
        };
        for (key, value) in pairs {
            if let Some(action) = Action::parse(key, value, sources, issues) {
                self.actions.insert(key.text.clone(), action);
            }
        }
    }

    fn collect_mentions(&mut self, sources: &Sources) {
        let found = &mut self.mentions;
        for parameter in self.parameters.values() {
            if let Some(default) = &parameter.default {
                default.mentions(sources, found);
            }
        }
        self.resources
            .iter()
            .for_each(|resource| resource.mentions(sources, found));
        self.cluster.mentions(sources, found);
        self.actions
            .values()
            .for_each(|action| action.mentions(sources, found));
    }

    /// Everything that it reads, in YAML and in templates.
    pub(crate) fn all_mentions(&self) -> impl Iterator<Item = &Mention> {
        let templates = self
            .templates
            .values()
            .flat_map(|template| &template.mentions);
        self.mentions.iter().chain(templates)
    }
}
