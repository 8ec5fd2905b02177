//! A run while it goes on: one line per node.

use std::collections::BTreeMap;

use brine_model::name::NodeName;
use brine_wire::job::Progress;
use brine_wire::run::{Happening, NodeState};

use super::count::parts;
use super::page::Page;
use super::style::{Style, Tone};
use super::words;

/// Where every node stands, fed by events.
#[derive(Debug, Default)]
pub struct Board {
    nodes: BTreeMap<NodeName, Standing>,
}

#[derive(Debug)]
struct Standing {
    state: NodeState,
    reason: Option<String>,
    progress: Option<Progress>,
}

impl Board {
    /// Takes an event in; the node that it concerns.
    pub fn take(&mut self, happening: &Happening) -> Option<NodeName> {
        match happening {
            Happening::Node {
                node,
                state,
                reason,
            } => {
                let standing = Standing {
                    state: *state,
                    reason: reason.clone(),
                    progress: None,
                };
                self.nodes.insert(node.clone(), standing);
                Some(node.clone())
            }
            Happening::Progress { node, progress } => {
                let standing = self.nodes.get_mut(node)?;
                standing.progress = Some(progress.clone());
                Some(node.clone())
            }
            Happening::Phase { .. } | Happening::Note(_) => None,
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    #[must_use]
    pub fn is_busy(&self, node: &NodeName) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|standing| words::is_busy(standing.state))
    }

    /// `backend01  applying  3/12  package:haproxy`.
    #[must_use]
    pub fn line(&self, node: &NodeName, style: Style) -> String {
        let mut page = Page::new(style);
        let width = self
            .nodes
            .keys()
            .map(|name| name.as_str().len())
            .max()
            .unwrap_or_default();
        page.put(Tone::Strong, node.as_str())
            .pad(width - node.as_str().len().min(width) + 2);
        if let Some(standing) = self.nodes.get(node) {
            let (tone, state) = words::node(standing.state);
            page.put(tone, state);
            if let Some(progress) = standing.progress.as_ref().filter(|p| p.total > 0) {
                page.pad(2)
                    .plain(&format!("{}/{}", progress.done, progress.total));
                page.pad(2).put(Tone::Dim, &progress.doing);
            }
            if let Some(reason) = standing.reason.as_deref().and_then(|r| r.lines().next()) {
                page.pad(2).put(Tone::Dim, reason);
            }
        }
        page.finish()
    }

    /// `12 nodes: 3 changed, 2 applying, 7 pending`.
    #[must_use]
    pub fn sum(&self) -> String {
        let mut numbers: Vec<(usize, &str)> = Vec::new();
        for standing in self.nodes.values() {
            let word = words::short(standing.state);
            match numbers.iter_mut().find(|(_, known)| *known == word) {
                Some((number, _)) => *number += 1,
                None => numbers.push((1, word)),
            }
        }
        numbers.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        format!(
            "{}: {}",
            super::count::count(self.nodes.len(), "node"),
            parts(&numbers)
        )
    }
}

/// An event as a line of its own, for a log or a pipe. Progress is none: it may be lost anyway.
#[must_use]
pub fn event(happening: &Happening, style: Style) -> Option<String> {
    let mut page = Page::new(style);
    match happening {
        Happening::Node {
            node,
            state,
            reason,
        } => {
            let (tone, word) = words::node(*state);
            page.put(Tone::Strong, node.as_str())
                .plain(": ")
                .put(tone, word);
            suffix(reason.as_deref(), &mut page);
        }
        Happening::Phase { phase, reason } => {
            let (tone, word) = words::phase(*phase);
            page.plain("run: ").put(tone, word);
            suffix(reason.as_deref(), &mut page);
        }
        Happening::Note(text) => {
            page.put(Tone::Dim, text);
        }
        Happening::Progress { .. } => return None,
    }
    page.end();
    Some(page.finish())
}

fn suffix(reason: Option<&str>, page: &mut Page) {
    if let Some(reason) = reason {
        page.plain(" (").put(Tone::Dim, reason).plain(")");
    }
}
