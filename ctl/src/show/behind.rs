//! Whom an apply has left behind.

use brine_model::name::{NodeName, RoleName};
use brine_wire::operator::NodeInfo;

use super::apply::quoted;
use super::names::names;
use super::page::Page;
use super::style::{Style, Tone};

/// More roles than this are no target that anybody would read.
const ROLES: usize = 3;

/// Nodes outside a run whose newest catalogs are not what they last applied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behind {
    /// Since the run.
    pub now: Vec<NodeInfo>,
    /// Since before it.
    pub still: Vec<NodeInfo>,
}

#[must_use]
pub fn behind(behind: &Behind, style: Style) -> String {
    let mut page = Page::new(style);
    for (tone, what, nodes) in [
        (
            Tone::Warn,
            "now behind, because their catalogs changed",
            &behind.now,
        ),
        (Tone::Dim, "still behind", &behind.still),
    ] {
        if nodes.is_empty() {
            continue;
        }
        let listed: Vec<&NodeName> = nodes.iter().map(|node| &node.name).collect();
        page.put(tone, what).plain(": ").plain(&names(&listed));
        let target = quoted(&target(nodes));
        page.plain(&format!(": `ctl apply {target}`")).end();
    }
    page.finish()
}

/// By role, as one would write it.
fn target(nodes: &[NodeInfo]) -> String {
    let mut roles: Vec<&RoleName> = Vec::new();
    for node in nodes {
        match node.roles.first() {
            Some(role) if !roles.contains(&role) => roles.push(role),
            Some(_) => {}
            None => return "all".to_owned(),
        }
    }
    if roles.len() > ROLES {
        return "all".to_owned();
    }
    let terms: Vec<_> = roles.iter().map(|role| format!("role={role}")).collect();
    terms.join(" or ")
}
