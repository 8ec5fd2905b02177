//! `data/…`: the layered values that fill the parameters of formulas.

use std::collections::BTreeMap;

use brine_model::span::{Key, Node, Span, Spanned};

use crate::dynamic::Dynamic;
use crate::fleet::NodeInput;
use crate::issue::{Issue, Reach};
use crate::source::Sources;

/// The label that chooses the `env` layer.
pub(crate) const ENV: &str = "env";

/// Which layer a data file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LayerName {
    Common,
    Env(String),
    Role(String),
    Node(String),
}

/// `formula: {parameter: value}`
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) formulas: BTreeMap<String, Section>,
}

#[derive(Debug)]
pub(crate) struct Section {
    /// The formula's name.
    pub(crate) span: Span,
    pub(crate) values: BTreeMap<String, Given>,
}

/// A parameter's value in one layer.
#[derive(Debug)]
pub(crate) struct Given {
    /// The parameter's name.
    pub(crate) key: Span,
    pub(crate) value: Dynamic,
}

#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) layers: BTreeMap<LayerName, Layer>,
}

impl LayerName {
    /// The layer that lies at `path` below `data/`.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let stem = path.strip_suffix(".yaml")?;
        match stem.split_once('/') {
            None if stem == "common" => Some(Self::Common),
            Some(("env", name)) if !name.contains('/') => Some(Self::Env(name.to_owned())),
            Some(("roles", name)) if !name.contains('/') => Some(Self::Role(name.to_owned())),
            Some(("nodes", name)) if !name.contains('/') => Some(Self::Node(name.to_owned())),
            _ => None,
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Common => Reach::All,
            Self::Env(name) => Reach::Env(name.clone()),
            Self::Role(name) => Reach::Role(name.clone()),
            Self::Node(name) => Reach::Node(name.clone()),
        }
    }
}

impl Layer {
    pub(crate) fn parse(file: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) -> Self {
        let mut layer = Self::default();
        let Some(formulas) = pairs(file, issues) else {
            return layer;
        };
        for (formula, section) in formulas {
            let Some(values) = pairs(section, issues) else {
                continue;
            };
            let values = values.iter().map(|(key, value)| {
                let value = Dynamic::parse(value, sources, issues);
                (
                    key.text.clone(),
                    Given {
                        key: key.span,
                        value,
                    },
                )
            });
            let values = values.collect();
            layer.formulas.insert(
                formula.text.clone(),
                Section {
                    span: formula.span,
                    values,
                },
            );
        }
        layer
    }
}

fn pairs<'a>(value: &'a Spanned, issues: &mut Vec<Issue>) -> Option<&'a [(Key, Spanned)]> {
    match &value.node {
        Node::Map(pairs) => Some(pairs),
        // A file or section whose values are all commented out.
        Node::Plain(text) if text.is_empty() => Some(&[]),
        _ => {
            issues.push(
                Issue::error(value.span, "expected a map")
                    .with_help("data files hold `formula: { parameter: value }`"),
            );
            None
        }
    }
}

/// Two roles of one node give a parameter different values.
pub(crate) struct Ambiguous<'a> {
    pub(crate) parameter: String,
    pub(crate) first: &'a Given,
    pub(crate) second: &'a Given,
}

impl Data {
    /// The most specific value of each of the formula's parameters that is given for `node`.
    pub(crate) fn values<'a>(
        &'a self,
        formula: &str,
        node: &NodeInput,
        ambiguous: &mut Vec<Ambiguous<'a>>,
    ) -> BTreeMap<&'a str, &'a Given> {
        let mut values = BTreeMap::new();
        values.extend(self.layer(&LayerName::Common, formula));
        if let Some(env) = node.labels.get(ENV) {
            values.extend(self.layer(&LayerName::Env(env.clone()), formula));
        }
        let by_node: BTreeMap<_, _> = self
            .layer(&LayerName::Node(node.name.to_string()), formula)
            .collect();
        let mut by_role: BTreeMap<&str, &Given> = BTreeMap::new();
        for role in &node.roles {
            for (name, given) in self.layer(&LayerName::Role(role.to_string()), formula) {
                match by_role.get(name) {
                    Some(first) if !first.is_same(given) && !by_node.contains_key(name) => {
                        let parameter = format!("{formula}.{name}");
                        ambiguous.push(Ambiguous {
                            parameter,
                            first,
                            second: given,
                        });
                    }
                    Some(_) => {}
                    None => {
                        by_role.insert(name, given);
                    }
                }
            }
        }
        values.extend(by_role);
        values.extend(by_node);
        values
    }

    fn layer<'a>(
        &'a self,
        name: &LayerName,
        formula: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Given)> + use<'a> {
        let section = self
            .layers
            .get(name)
            .and_then(|layer| layer.formulas.get(formula));
        section
            .into_iter()
            .flat_map(|section| &section.values)
            .map(|(name, given)| (name.as_str(), given))
    }
}

impl Given {
    fn is_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Dynamic::Fixed(one), Dynamic::Fixed(two)) => {
                one.clone().into_value() == two.clone().into_value()
            }
            _ => false,
        }
    }
}
