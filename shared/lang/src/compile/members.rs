//! `roles.…`: the registered members of each role, and what they export.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::name::{FormulaName, NodeName, RoleName};
use brine_model::value::{Map, Value};

use super::{Compiler, NodeState, context};
use crate::dynamic::Mention;
use crate::formula::Formula;
use crate::issue::Issue;
use crate::library::Library;

/// By formula, and only those roles that it reads: a formula sees of its peers what it uses.
#[derive(Default)]
pub(super) struct Members {
    by_formula: BTreeMap<FormulaName, BTreeMap<RoleName, Value>>,
}

impl Members {
    /// All roles, so that a misspelt one is told from those that exist; unread ones are empty.
    pub(super) fn roles(&self, library: &Library<'_>, formula: &Formula) -> Value {
        let read = self.by_formula.get(&formula.name);
        let roles = library.role_names().into_iter().map(|role| {
            let members = read.and_then(|read| read.get(&role)).cloned();
            (
                role.into(),
                members.unwrap_or_else(|| Value::List(Vec::new())),
            )
        });
        Value::Map(roles.collect())
    }
}

impl Compiler<'_> {
    /// Nodes must have roles that exist, and roles enough nodes.
    pub(super) fn check_roles(&mut self) {
        let mut found = Vec::new();
        for node in self.nodes.values() {
            for role in &node.input.roles {
                let name = &node.input.name;
                if !self.library.role_names().contains(role) {
                    let issue = Issue::unplaced(format!(
                        "{name} has the role `{role}`, which the state tree does not define"
                    ));
                    let help = format!("write `roles/{role}.yaml`, or give {name} another role");
                    found.push((issue.with_help(help), BTreeSet::from([name.clone()])));
                }
            }
        }
        for (name, role) in &self.library.roles {
            let registered = self.members(name).count();
            if registered >= role.members as usize {
                continue;
            }
            let mut concerned: BTreeSet<_> = self
                .members(name)
                .map(|node| node.input.name.clone())
                .collect();
            concerned.extend(self.readers(name));
            if concerned.is_empty() {
                continue;
            }
            let (wanted, are) = (role.members, if registered == 1 { "is" } else { "are" });
            let members = if wanted == 1 { "member" } else { "members" };
            let issue = Issue::error(
                role.span,
                format!(
                    "the role `{name}` needs {wanted} {members}, {registered} {are} registered"
                ),
            );
            let help = format!("register nodes with the role `{name}`, or lower its `members`");
            found.push((issue.with_help(help), concerned));
        }
        found
            .into_iter()
            .for_each(|(issue, nodes)| self.report.add(issue, Some(nodes)));
    }

    pub(super) fn read_members(&mut self) -> Members {
        let mut found = Vec::new();
        let mut members = Members::default();
        for formula in self.library.formulas.values() {
            let mut roles = BTreeMap::new();
            for role in self
                .library
                .roles
                .keys()
                .filter(|role| reads_role(formula, role))
            {
                let values = self.members(role).map(|node| self.member(node, formula));
                roles.insert(role.clone(), Value::List(values.collect()));
                self.check_addresses(formula, role, &mut found);
            }
            members.by_formula.insert(formula.name.clone(), roles);
        }
        found
            .into_iter()
            .for_each(|(issue, nodes)| self.report.add(issue, Some(nodes)));
        members
    }

    /// A peer without an address would leave a hole in somebody's configuration.
    fn check_addresses(
        &self,
        formula: &Formula,
        role: &RoleName,
        found: &mut Vec<(Issue, BTreeSet<NodeName>)>,
    ) {
        let Some(mention) = address_mention(formula) else {
            return;
        };
        let readers: BTreeSet<_> = self
            .nodes_with(&formula.name)
            .map(|node| node.input.name.clone())
            .collect();
        for member in self
            .members(role)
            .filter(|member| member.input.address.is_none())
        {
            let name = &member.input.name;
            let issue = Issue::error(
                mention.span,
                format!("{name} of the role `{role}` has no address yet"),
            );
            let help = format!("an address is known once the agent of {name} has connected");
            found.push((issue.with_help(help), readers.clone()));
        }
    }

    fn member(&self, node: &NodeState, formula: &Formula) -> Value {
        let mut member = Map::new();
        let address = match &node.input.address {
            Some(address) => Value::from(address.as_str()),
            // Reported: its readers get no catalog, and no second error.
            None if address_mention(formula).is_some() => Value::from("0.0.0.0"),
            None => Value::Null,
        };
        member.insert("name".to_owned(), node.input.name.as_str().into());
        member.insert("address".to_owned(), address);
        member.insert("labels".to_owned(), context::labels(&node.input.labels));
        let uses = formula.uses.iter().map(|used| used.value.as_str());
        for name in uses.chain([formula.name.as_str()]) {
            if let Some(exported) = self.exported(node, name) {
                member.insert(name.to_owned(), exported);
            }
        }
        Value::Map(member)
    }

    /// Sorted by name.
    fn members<'n>(&'n self, role: &'n RoleName) -> impl Iterator<Item = &'n NodeState> {
        self.nodes
            .values()
            .filter(|node| node.input.roles.contains(role))
    }

    pub(super) fn nodes_with<'n>(
        &'n self,
        formula: &'n FormulaName,
    ) -> impl Iterator<Item = &'n NodeState> {
        self.nodes
            .values()
            .filter(|node| node.formulas.contains(formula))
    }

    /// The nodes with a formula that reads the members of `role`.
    fn readers(&self, role: &RoleName) -> BTreeSet<NodeName> {
        let reading = self
            .library
            .formulas
            .values()
            .filter(|formula| reads_role(formula, role));
        let nodes = reading.flat_map(|formula| self.nodes_with(&formula.name));
        nodes.map(|node| node.input.name.clone()).collect()
    }

    /// The nodes whose catalogs have in them what `formula` exports on `node`.
    pub(super) fn readers_of(&self, node: &NodeState, formula: &FormulaName) -> BTreeSet<NodeName> {
        let mut readers = BTreeSet::from([node.input.name.clone()]);
        for reading in self.library.formulas.values() {
            let depends = self.depends(&reading.name, formula.as_str());
            if depends
                && node
                    .input
                    .roles
                    .iter()
                    .any(|role| reads_role(reading, role))
            {
                let nodes = self.nodes_with(&reading.name);
                readers.extend(nodes.map(|node| node.input.name.clone()));
            }
        }
        readers
    }
}

/// Where the formula reads an address, of whomever.
fn address_mention(formula: &Formula) -> Option<&Mention> {
    formula
        .all_mentions()
        .find(|mention| mention.path.iter().any(|part| part == "address"))
}

/// Whether the formula names the role, or all roles at once.
fn reads_role(formula: &Formula, role: &RoleName) -> bool {
    formula
        .all_mentions()
        .any(|mention| match mention.path.as_slice() {
            [first] => first == "roles",
            [first, second, ..] => first == "roles" && second == role.as_str(),
            [] => false,
        })
}
