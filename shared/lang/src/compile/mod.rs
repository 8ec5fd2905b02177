//! (library, fleet, secrets) → a catalog for each node.

mod actions;
mod context;
mod expand;
mod members;
mod merge;
mod once;
mod order;
mod parameters;
mod paths;
mod policy;
mod scope;
mod templates;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brine_model::catalog::{Catalog, Policy};
use brine_model::digest::Digest;
use brine_model::name::{FormulaName, NodeName, RoleName};
use brine_model::span::Span;
use brine_model::value::{Map, Value};

pub use actions::{Deed, NodeAction};
pub use once::Once;

use crate::data::ENV;
use crate::fleet::{Fleet, NodeInput, SecretStore};
use crate::formula::{Formula, ParameterType};
use crate::issue::{Issue, Reach};
use crate::library::Library;
use crate::report::{Finding, Report};
use crate::role::{Role, RoleInfo};
use crate::tree::StateTree;

/// What [`compile`] gives.
#[derive(Debug, Default)]
pub struct Compilation {
    /// Of every node that no error concerns.
    pub catalogs: BTreeMap<NodeName, Compiled>,
    /// The content behind every digest in the catalogs.
    pub blobs: BTreeMap<Digest, Arc<[u8]>>,
    /// By file and place.
    pub findings: Vec<Finding>,
    pub roles: BTreeMap<RoleName, RoleInfo>,
}

/// One node's catalog, and how a change may reach it: one policy for each of its roles.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    pub catalog: Catalog,
    pub policies: Vec<Policy>,
    /// In the order of their places in the catalog.
    pub once: Vec<Once>,
    pub actions: Vec<NodeAction>,
}

impl Compiled {
    /// All blobs that the catalog and what is done once name.
    #[must_use]
    pub fn blobs(&self) -> Vec<Digest> {
        let mut found = self.catalog.blobs();
        for once in &self.once {
            found.extend(self.catalog_of(once).blobs());
        }
        found
    }

    /// A catalog of its own for something that is done once.
    #[must_use]
    pub fn catalog_of(&self, once: &Once) -> Catalog {
        let context = once.context.clone();
        Catalog {
            node: self.catalog.node.clone(),
            resources: vec![once.entry.clone()],
            contexts: context
                .map(|context| (once.entry.formula.clone(), context))
                .into_iter()
                .collect(),
            enforced: BTreeSet::new(),
            ports: BTreeMap::new(),
        }
    }
}

/// Compiles a catalog for every node of the fleet. Equal inputs give equal bytes.
///
/// A mistake costs the nodes that it concerns and no others; every finding tells which.
#[must_use]
pub fn compile(tree: &StateTree, fleet: &Fleet, secrets: &dyn SecretStore) -> Compilation {
    let library = Library::load(tree);
    let nodes = fleet.nodes.iter().map(|input| {
        let formulas = library.formulas_of(&input.roles);
        (input.clone(), formulas)
    });
    let strictness = Strictness {
        artifacts: true,
        values: BTreeSet::new(),
    };
    let mut compiler = Compiler::new(&library, nodes.collect(), secrets, strictness);
    let catalogs = compiler.run();
    let Compiler { report, blobs, .. } = compiler;
    Compilation {
        catalogs,
        blobs: blobs.into_inner(),
        findings: report.into_findings(&library.sources),
        roles: library
            .roles
            .iter()
            .map(|(name, role)| (name.clone(), role.info()))
            .collect(),
    }
}

/// What a check without a server lets pass.
#[derive(Debug)]
pub(crate) struct Strictness {
    /// Missing artifacts are errors.
    pub(crate) artifacts: bool,
    /// Formulas that need no values for their required parameters: no role has them.
    pub(crate) values: BTreeSet<FormulaName>,
}

/// One node with what is known of it before its resources are looked at.
pub(crate) struct NodeState {
    input: NodeInput,
    formulas: Vec<FormulaName>,
    /// `node.…`
    node: Value,
    /// `facts.…`
    facts: Option<Value>,
    parameters: BTreeMap<FormulaName, Map>,
}

pub(crate) struct Compiler<'a> {
    library: &'a Library<'a>,
    nodes: BTreeMap<NodeName, NodeState>,
    secrets: &'a dyn SecretStore,
    strictness: Strictness,
    pub(crate) report: Report,
    /// Where reading the tree found errors: evaluating the same place finds them again.
    settled: BTreeSet<Span>,
    /// Kept while compiling: hashing an artifact once per node would be slow.
    digests: RefCell<BTreeMap<String, Digest>>,
    blobs: RefCell<BTreeMap<Digest, Arc<[u8]>>>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        library: &'a Library<'a>,
        nodes: Vec<(NodeInput, Vec<FormulaName>)>,
        secrets: &'a dyn SecretStore,
        strictness: Strictness,
    ) -> Self {
        let nodes = nodes.into_iter().map(|(input, formulas)| {
            let node = context::node_value(&input);
            let facts = input
                .facts
                .as_ref()
                .map(brine_model::facts::Facts::to_value);
            let parameters = BTreeMap::new();
            (
                input.name.clone(),
                NodeState {
                    input,
                    formulas,
                    node,
                    facts,
                    parameters,
                },
            )
        });
        Self {
            library,
            nodes: nodes.collect(),
            secrets,
            strictness,
            report: Report::default(),
            settled: library
                .issues
                .iter()
                .filter(|(issue, _)| issue.is_error())
                .filter_map(|(issue, _)| issue.places.first().map(|(span, _)| *span))
                .collect(),
            digests: RefCell::default(),
            blobs: RefCell::default(),
        }
    }

    pub(crate) fn run(&mut self) -> BTreeMap<NodeName, Compiled> {
        for (issue, reach) in &self.library.issues {
            self.report.add(issue.clone(), self.nodes_within(reach));
        }
        self.check_roles();
        self.fill_parameters();
        let roles = self.read_members();
        let mut catalogs = BTreeMap::new();
        for name in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let mut issues = Vec::new();
            let compiled = self
                .nodes
                .get(&name)
                .map(|node| self.node(node, &roles, &mut issues));
            self.add_new(issues, &BTreeSet::from([name.clone()]));
            if let Some(compiled) = compiled.flatten()
                && !self.report.rejects(&name)
            {
                catalogs.insert(name, compiled);
            }
        }
        let needed = catalogs.values().flat_map(Compiled::blobs);
        let needed = needed.collect::<BTreeSet<_>>();
        self.blobs
            .borrow_mut()
            .retain(|digest, _| needed.contains(digest));
        catalogs
    }

    /// Reports what is not the consequence of something found already.
    fn add_new(&mut self, issues: Vec<Issue>, nodes: &BTreeSet<NodeName>) {
        let new = issues.into_iter().filter(|issue| {
            issue
                .places
                .first()
                .is_none_or(|(span, _)| !self.settled.contains(span))
        });
        self.report.add_all(new.collect(), nodes);
    }

    fn node(
        &self,
        node: &NodeState,
        roles: &members::Members,
        issues: &mut Vec<Issue>,
    ) -> Option<Compiled> {
        let mut planned = Vec::new();
        let mut skipped = BTreeSet::new();
        let mut contexts = BTreeMap::new();
        let mut seen = Vec::new();
        let mut whole = true;
        for formula in node
            .formulas
            .iter()
            .filter_map(|name| self.library.formulas.get(name))
        {
            let context = self.context(node, formula, roles);
            let mut expansion = expand::Expansion::default();
            let before = issues.len();
            self.expand(node, formula, &context, &mut expansion, issues);
            whole &= !formula.broken && issues.len() == before;
            if let Some(pruned) =
                self.check_templates(node, formula, &context, &expansion.templates, issues)
            {
                contexts.insert(formula.name.clone(), pruned);
            }
            seen.push((formula, context));
            planned.extend(expansion.planned);
            skipped.extend(expansion.skipped);
        }
        let planned = merge::merge(planned, issues);
        // Where something is missing already, what refers to it is no finding of its own.
        let known = whole.then_some(&skipped);
        let ordered = order::order(planned, known, &self.library.sources, issues)?;
        let (resources, once) = once::part(ordered, &contexts);
        let (mut demands, mut actions) = (BTreeMap::new(), Vec::new());
        for (formula, context) in &seen {
            let demanded = self.demands(node, formula, context, &resources, issues);
            demands.insert(formula.name.clone(), demanded);
            // What refers to a resource that is missing already is no finding of its own.
            if whole {
                actions.extend(self.actions(node, formula, context, &resources, issues));
            }
        }
        let policies = policy::policies(self.library, &node.input.roles, &demands);
        let catalog = Catalog {
            node: node.input.name.clone(),
            resources,
            contexts,
            enforced: self.enforced(node),
            ports: self.ports(node),
        };
        Some(Compiled {
            catalog,
            policies,
            once,
            actions,
        })
    }

    /// The formulas of those of a node's roles that are to be kept between applies.
    fn enforced(&self, node: &NodeState) -> BTreeSet<FormulaName> {
        let roles = self.roles_of(node).filter(|role| role.enforce);
        let formulas = roles.flat_map(|role| role.info().formulas);
        formulas
            .filter(|name| node.formulas.contains(name))
            .collect()
    }

    /// The ports that a node's formulas declare.
    fn ports(&self, node: &NodeState) -> BTreeMap<FormulaName, BTreeMap<String, u16>> {
        let mut found: BTreeMap<FormulaName, BTreeMap<String, u16>> = BTreeMap::new();
        for (name, values) in &node.parameters {
            let Some(formula) = self.library.formulas.get(name) else {
                continue;
            };
            for (parameter, value) in values {
                let declared = formula.parameters.get(parameter);
                if declared.is_some_and(|declared| declared.kind == ParameterType::Port)
                    && let Value::Integer(port) = value
                    && let Ok(port) = u16::try_from(*port)
                {
                    let ports = found.entry(name.clone()).or_default();
                    ports.insert(parameter.clone(), port);
                }
            }
        }
        found
    }

    fn nodes_within(&self, reach: &Reach) -> Option<BTreeSet<NodeName>> {
        let with = |test: &dyn Fn(&NodeState) -> bool| {
            let found = self.nodes.values().filter(|node| test(node));
            Some(found.map(|node| node.input.name.clone()).collect())
        };
        match reach {
            Reach::All => None,
            Reach::Node(name) => with(&|node| node.input.name.as_str() == name),
            Reach::Env(env) => with(&|node| node.input.labels.get(ENV) == Some(env)),
            Reach::Role(role) => {
                with(&|node| node.input.roles.iter().any(|own| own.as_str() == role))
            }
            Reach::Formula(formula) => with(&|node| {
                node.formulas.iter().any(|own| self.depends(own, formula))
                    || self
                        .roles_of(node)
                        .any(|role| role.formulas.iter().any(|listed| listed.value == *formula))
            }),
        }
    }

    fn roles_of(&self, node: &NodeState) -> impl Iterator<Item = &'a Role> {
        let library = self.library;
        node.input
            .roles
            .iter()
            .filter_map(move |role| library.roles.get(role))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Whether `formula` is `other`, or reads what `other` exports.
    fn depends(&self, formula: &FormulaName, other: &str) -> bool {
        let uses = |formula: &Formula| formula.uses.iter().any(|used| used.value == other);
        formula.as_str() == other || self.library.formulas.get(formula).is_some_and(uses)
    }
}
