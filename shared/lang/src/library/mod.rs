//! A state tree read and checked as far as that goes without nodes.

mod check;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brine_model::name::{FormulaName, RoleName};

use crate::data::Data;
use crate::formula::Formula;
use crate::issue::{Issue, Reach};
use crate::role::Role;
use crate::source::Sources;
use crate::tree::StateTree;

#[derive(Debug)]
pub(crate) struct Library<'t> {
    pub(crate) files: &'t BTreeMap<String, Arc<[u8]>>,
    pub(crate) sources: Sources,
    pub(crate) roles: BTreeMap<RoleName, Role>,
    pub(crate) formulas: BTreeMap<FormulaName, Formula>,
    /// Roles and formulas whose files could not be read: nobody is told that they do not exist.
    pub(crate) unreadable_roles: BTreeSet<String>,
    pub(crate) unreadable_formulas: BTreeSet<String>,
    pub(crate) data: Data,
    pub(crate) issues: Vec<(Issue, Reach)>,
}

impl<'t> Library<'t> {
    pub(crate) fn load(tree: &'t StateTree) -> Self {
        let mut library = Self {
            files: &tree.files,
            sources: Sources::default(),
            roles: BTreeMap::new(),
            formulas: BTreeMap::new(),
            unreadable_roles: BTreeSet::new(),
            unreadable_formulas: BTreeSet::new(),
            data: Data::default(),
            issues: Vec::new(),
        };
        library.read_all();
        library.check_all();
        library
    }

    pub(crate) fn role_names(&self) -> BTreeSet<RoleName> {
        let unreadable = self
            .unreadable_roles
            .iter()
            .filter_map(|name| name.parse().ok());
        self.roles.keys().cloned().chain(unreadable).collect()
    }

    /// The formulas of these roles in order, each once; unknown ones are reported elsewhere.
    pub(crate) fn formulas_of<'a>(
        &self,
        roles: impl IntoIterator<Item = &'a RoleName>,
    ) -> Vec<FormulaName> {
        let mut found: Vec<FormulaName> = Vec::new();
        for name in roles
            .into_iter()
            .filter_map(|role| self.roles.get(role))
            .flat_map(|r| &r.formulas)
        {
            if let Some((name, _)) = self.formulas.get_key_value(name.value.as_str())
                && !found.contains(name)
            {
                found.push(name.clone());
            }
        }
        found
    }
}
