//! Which nodes a target on the command line means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brine_model::diagnostic::{Diagnostic, Label, did_you_mean};
use brine_model::expression::{Dialect, Expression, ExpressionError, Lookup, Scope};
use brine_model::name::NodeName;
use brine_model::value::Value;

use crate::data::ENV;
use crate::fleet::{Fleet, NodeInput};

/// The nodes that `target` is true of, sorted by name.
///
/// | name | what it is |
/// | --- | --- |
/// | `all` | true of every node |
/// | `node` | the node's name; `node.name`, `node.address`, … as in the state language |
/// | `role`, `roles` | its roles; `role=db` is true if `db` is one of them |
/// | `label.KEY` | a label; unknown where the node has none, so that comparisons are false |
/// | `env` | short for `label.env` |
/// | `facts.…`, `os.…`, `kernel.…`, … | its static facts; unknown until it reports them |
/// | `package.NAME` | the version that is installed, as it was last reported; unknown where none is |
///
/// # Errors
/// The target is empty, is no expression, names what no node has, or is true of no node: a
/// misspelt target must not look like a successful run over nothing.
pub fn select(target: &str, fleet: &Fleet) -> Result<Vec<NodeName>, Box<Diagnostic>> {
    select_by(target, fleet, &Installed::new())
}

/// Versions by node and package, of the packages that a target names.
pub type Installed = BTreeMap<NodeName, BTreeMap<String, String>>;

/// The packages that a target asks for; none where it makes no sense: [`select_by`] says why.
#[must_use]
pub fn packages(target: &str) -> BTreeSet<String> {
    let Ok(expression) = Expression::parse(target, Dialect::Target) else {
        return BTreeSet::new();
    };
    let paths = expression.paths().into_iter();
    let names = paths.filter_map(|used| match used.path.as_slice() {
        [first, name @ ..] if first == PACKAGE && !name.is_empty() => Some(name.join(".")),
        _ => None,
    });
    names.collect()
}

/// As [`select`], with what [`packages`] asks for.
///
/// # Errors
/// As [`select`].
pub fn select_by(
    target: &str,
    fleet: &Fleet,
    installed: &Installed,
) -> Result<Vec<NodeName>, Box<Diagnostic>> {
    let fail = |error: ExpressionError| Box::new(explain(target, error));
    if target.trim().is_empty() {
        return Err(Box::new(
            Diagnostic::error("the target is empty")
                .with_help("name nodes, as in `role=db` or `node=db01`; `all` means every node"),
        ));
    }
    let expression = Expression::parse(target, Dialect::Target).map_err(fail)?;
    for path in expression.paths() {
        if let Some(help) = unknown_name(&path.path, fleet) {
            let message = format!("no node has `{}`", path.path.join("."));
            return Err(fail(ExpressionError {
                range: path.range,
                message,
                help: Some(help),
            }));
        }
    }
    let mut selected = Vec::new();
    for node in &fleet.nodes {
        if expression
            .evaluate_bool(&TargetScope::new(node, installed.get(&node.name)))
            .map_err(fail)?
        {
            selected.push(node.name.clone());
        }
    }
    if selected.is_empty() {
        let error = Diagnostic::error(format!("no node matches `{target}`"));
        return Err(Box::new(error.with_help(near_miss(target, fleet))));
    }
    selected.sort();
    Ok(selected)
}

const NODE: &[&str] = &["name", "address", "roles", "labels", "generation"];
const FACTS: &[&str] = &[
    "os",
    "kernel",
    "cpu",
    "memory",
    "network",
    "disks",
    "machine",
    "time_zone",
    "agent",
    "custom",
];
const NAMES: &[&str] = &[
    "all", "node", "role", "roles", "label", "labels", "env", "facts", PACKAGE,
];
const PACKAGE: &str = "package";

/// Why there can be no such name, if there cannot.
fn unknown_name(path: &[String], fleet: &Fleet) -> Option<String> {
    let suggest = |wrong: &str, known: &mut dyn Iterator<Item = &'static str>| {
        let known = known.collect::<Vec<_>>();
        Some(match did_you_mean(wrong, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known = known
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>();
                format!("there is {}", known.join(", "))
            }
        })
    };
    let words = path.iter().map(String::as_str).collect::<Vec<_>>();
    match words.as_slice() {
        ["node"] | ["role" | "roles" | "env", ..] => None,
        ["label" | "labels", _] => None,
        ["label" | "labels", ..] => Some("write `label.KEY=VALUE`".to_owned()),
        ["node", name, ..] => {
            if NODE.contains(name) {
                None
            } else {
                suggest(name, &mut NODE.iter().copied())
            }
        }
        // What a node's own files say; another may not have it.
        ["facts", "custom", ..] | ["custom", ..] => None,
        [PACKAGE] => Some("name one, as in `package.libssl3<3.0.17`".to_owned()),
        [PACKAGE, ..] => None,
        ["facts"] => Some("name one of them, as in `facts.os.version<12`".to_owned()),
        ["facts", fact, rest @ ..] | [fact, rest @ ..] if FACTS.contains(fact) => {
            unknown_fact(fact, rest)
        }
        ["facts", fact, ..] => suggest(fact, &mut FACTS.iter().copied()),
        [label]
            if fleet
                .nodes
                .iter()
                .any(|node| node.labels.contains_key(*label)) =>
        {
            Some(format!("labels are written `label.{label}`"))
        }
        [first, ..] => suggest(first, &mut NAMES.iter().chain(FACTS).copied()),
        [] => None,
    }
}

fn unknown_fact(fact: &str, rest: &[&str]) -> Option<String> {
    let all = brine_model::facts::Facts::default().to_value();
    let mut here = all.get(fact)?;
    for name in rest {
        let Value::Map(map) = here else { return None };
        let Some(next) = map.get(*name) else {
            let known = map.keys().map(String::as_str);
            return Some(match did_you_mean(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is {}", known.collect::<Vec<_>>().join(", ")),
            });
        };
        here = next;
    }
    None
}

struct TargetScope<'a> {
    node: &'a NodeInput,
    facts: Option<Value>,
    installed: Option<&'a BTreeMap<String, String>>,
}

impl<'a> TargetScope<'a> {
    fn new(node: &'a NodeInput, installed: Option<&'a BTreeMap<String, String>>) -> Self {
        Self {
            node,
            installed,
            facts: node.facts.as_ref().map(brine_model::facts::Facts::to_value),
        }
    }

    fn label(&self, key: &str) -> Lookup {
        let label = self.node.labels.get(key);
        label.map_or(Lookup::Unknown, |text| Lookup::Found(text.as_str().into()))
    }

    fn roles(&self) -> Value {
        Value::List(
            self.node
                .roles
                .iter()
                .map(|role| role.as_str().into())
                .collect(),
        )
    }
}

impl Scope for TargetScope<'_> {
    fn lookup(&self, path: &[&str]) -> Lookup {
        match path {
            ["node"] | ["node", "name"] => Lookup::Found(self.node.name.as_str().into()),
            ["node", "address"] => match &self.node.address {
                Some(address) => Lookup::Found(address.as_str().into()),
                None => Lookup::Unknown,
            },
            ["node", "generation"] => Lookup::Found(Value::Integer(self.node.generation.into())),
            ["role" | "roles"] | ["node", "roles"] => Lookup::Found(self.roles()),
            ["env"] => self.label(ENV),
            ["label" | "labels", key] | ["node", "labels", key] => self.label(key),
            [PACKAGE, name @ ..] => {
                let version = self.installed.and_then(|all| all.get(&name.join(".")));
                version.map_or(Lookup::Unknown, |text| Lookup::Found(text.as_str().into()))
            }
            ["facts", rest @ ..] | rest => match &self.facts {
                // A list shorter on this node than on another.
                Some(facts) => match facts.lookup(rest) {
                    Lookup::Missing { .. } => Lookup::Unknown,
                    found => found,
                },
                None => Lookup::Unknown,
            },
        }
    }
}

/// A word of the target that is nearly the name of a role or node.
fn near_miss(target: &str, fleet: &Fleet) -> String {
    if fleet.nodes.is_empty() {
        return "no node is registered yet".to_owned();
    }
    let roles = fleet
        .nodes
        .iter()
        .flat_map(|node| &node.roles)
        .map(|role| role.as_str());
    let names = fleet.nodes.iter().map(|node| node.name.as_str());
    let known: BTreeSet<&str> = roles.chain(names).collect();
    let words = target.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    let words = words.filter(|word| !word.is_empty() && !NAMES.contains(word));
    for word in words.filter(|word| !known.contains(word)) {
        if let Some(near) = did_you_mean(word, known.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
    }
    "`ctl nodes` lists the nodes with their roles and labels".to_owned()
}

fn explain(target: &str, error: ExpressionError) -> Diagnostic {
    let offset = |n: usize| u32::try_from(n.min(target.len())).unwrap_or(u32::MAX);
    let label = Label {
        file: Arc::from("target"),
        start: offset(error.range.start),
        end: offset(error.range.end),
        text: Arc::from(target),
        message: String::new(),
    };
    let diagnostic = Diagnostic::error(error.message).with_label(label);
    Diagnostic {
        help: error.help,
        ..diagnostic
    }
}
