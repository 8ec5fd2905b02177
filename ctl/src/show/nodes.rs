//! Nodes in a table.

use std::collections::BTreeMap;

use brine_model::time::Timestamp;
use brine_wire::operator::{Enrollment, NodeInfo};

use super::page::Page;
use super::style::{Style, Tone};
use super::table::{Cell, Table, cell};
use super::time::{ago, span};

/// One line per node; columns in which nothing stands are left out.
#[must_use]
pub fn nodes(nodes: &[NodeInfo], style: Style) -> String {
    let mut page = Page::new(style);
    if nodes.is_empty() {
        page.line(
            Tone::Dim,
            "no nodes yet: add one with `ctl nodes add NAME --role ROLE`",
        );
        return page.finish();
    }
    let mut table = Table::new(&[
        "NODE", "ROLES", "STATE", "PAUSED", "CATALOG", "GEN", "ADDRESS", "LABELS", "SEEN", "AGENT",
    ]);
    for node in nodes {
        let seen = node
            .last_seen
            .filter(|_| !node.connected)
            .map(|seen| ago(style.now, seen));
        table.row(vec![
            (Tone::Strong, node.name.to_string()),
            cell(joined(&node.roles)),
            state(node),
            (Tone::Warn, paused(node, style.now).unwrap_or_default()),
            catalog(node),
            cell(generation(node).unwrap_or_default()),
            cell(node.address.clone().unwrap_or_default()),
            cell(labels(&node.labels)),
            cell(seen.unwrap_or_default()),
            cell(node.agent_version.clone().unwrap_or_default()),
        ]);
    }
    table.draw(&mut page);
    page.finish()
}

/// Whether we can speak with it.
#[must_use]
pub fn state(node: &NodeInfo) -> Cell {
    match &node.enrollment {
        _ if node.connected => (Tone::Good, "connected".to_owned()),
        Enrollment::Expected => (Tone::Dim, "not enrolled".to_owned()),
        Enrollment::Waiting { .. } => (Tone::Warn, "waits to be accepted".to_owned()),
        Enrollment::Enrolled { .. } => (Tone::Bad, "silent".to_owned()),
    }
}

/// `1h: disk is replaced`: how long runs keep away from it, and why; none where they do not.
#[must_use]
pub fn paused(node: &NodeInfo, now: Timestamp) -> Option<String> {
    let paused = node.paused.as_ref().filter(|paused| paused.until > now)?;
    let left = span(paused.until.since(now));
    Some(match &paused.reason {
        Some(reason) => format!("{left}: {reason}"),
        None => left,
    })
}

/// How often another machine took its place; none where none did.
#[must_use]
pub fn generation(node: &NodeInfo) -> Option<String> {
    (node.generation > 0).then(|| node.generation.to_string())
}

/// How its last applied catalog stands to its newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    UpToDate,
    Behind,
    NeverApplied,
    /// Its newest catalog does not compile, or waits for its facts.
    NoCatalog,
}

#[must_use]
pub fn standing(node: &NodeInfo) -> Standing {
    match (node.applied, node.newest) {
        (_, None) => Standing::NoCatalog,
        (None, Some(_)) => Standing::NeverApplied,
        (Some(applied), Some(newest)) if applied == newest => Standing::UpToDate,
        (Some(_), Some(_)) => Standing::Behind,
    }
}

#[must_use]
pub fn catalog(node: &NodeInfo) -> Cell {
    let (tone, text) = match standing(node) {
        Standing::UpToDate => (Tone::Good, "up to date"),
        Standing::Behind => (Tone::Warn, "behind"),
        Standing::NeverApplied => (Tone::Dim, "never applied"),
        Standing::NoCatalog => (Tone::Bad, "none"),
    };
    (tone, text.to_owned())
}

/// `a, b`.
#[must_use]
pub fn joined(items: &[impl ToString]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// `env=prod, zone=a`.
#[must_use]
pub fn labels(labels: &BTreeMap<String, String>) -> String {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `12m ago`, or nothing where it never was.
#[must_use]
pub fn since(now: Timestamp, then: Option<Timestamp>) -> String {
    then.map(|then| ago(now, then)).unwrap_or_default()
}
