//! `roles/NAME.yaml`

use std::collections::BTreeSet;

use brine_model::deserialize::{Located, Shape, from_spanned};
use brine_model::name::{FormulaName, RoleName};
use brine_model::span::{Span, Spanned};
use serde::Deserialize;

use crate::issue::Issue;

/// What the server and `ctl` tell about a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleInfo {
    pub description: String,
    pub formulas: Vec<FormulaName>,
    /// Compiling with fewer registered is an error.
    pub members: u32,
    /// Roles that go before this one when one run covers several.
    pub after: Vec<RoleName>,
}

#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) span: Span,
    pub(crate) description: String,
    pub(crate) formulas: Vec<Located<String>>,
    pub(crate) members: u32,
    pub(crate) after: Vec<Located<String>>,
    pub(crate) enforce: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    role: Located<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    formulas: Vec<Located<String>>,
    #[serde(default = "one")]
    members: u32,
    #[serde(default)]
    after: Vec<Located<String>>,
    /// Nodes mend what is changed by others at once, as far as that interrupts nobody.
    #[serde(default)]
    enforce: bool,
}

const fn one() -> u32 {
    1
}

impl Role {
    /// What its file holds.
    pub(crate) fn shape() -> Shape {
        Shape::of::<Written>()
    }

    pub(crate) fn parse(name: &RoleName, file: &Spanned, issues: &mut Vec<Issue>) -> Option<Self> {
        let written = match from_spanned::<Written>(file) {
            Ok(written) => written,
            Err(error) => {
                issues.extend(Issue::from_misfits(error));
                return None;
            }
        };
        let span = written.role.span;
        if written.role.value != name.as_str() {
            let called = &written.role.value;
            issues.push(
                Issue::error(
                    span,
                    format!("the role calls itself `{called}`, but its file is `{name}.yaml`"),
                )
                .with_help("rename the file or the role"),
            );
        }
        for list in [&written.formulas, &written.after] {
            let mut seen = BTreeSet::new();
            for item in list.iter().filter(|item| !seen.insert(&item.value)) {
                issues.push(Issue::error(
                    item.span,
                    format!("`{}` is listed twice", item.value),
                ));
            }
        }
        Some(Self {
            span,
            description: written.description,
            formulas: written.formulas,
            members: written.members,
            after: written.after,
            enforce: written.enforce,
        })
    }

    pub(crate) fn info(&self) -> RoleInfo {
        RoleInfo {
            description: self.description.clone(),
            formulas: self
                .formulas
                .iter()
                .filter_map(|name| name.value.parse().ok())
                .collect(),
            members: self.members,
            after: self
                .after
                .iter()
                .filter_map(|name| name.value.parse().ok())
                .collect(),
        }
    }
}
