//! All findings of a compilation: each once, with the nodes that it concerns.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::diagnostic::{Diagnostic, Severity};
use brine_model::name::NodeName;

use crate::issue::Issue;
use crate::source::Sources;

/// A diagnostic and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub diagnostic: Diagnostic,
    /// The nodes that an error leaves without a catalog; none means all of them.
    pub nodes: Option<BTreeSet<NodeName>>,
}

impl Finding {
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.diagnostic.severity == Severity::Error
    }

    /// Whether it leaves `node` without a catalog.
    #[must_use]
    pub fn rejects(&self, node: &NodeName) -> bool {
        self.is_error() && self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    found: BTreeMap<Issue, Option<BTreeSet<NodeName>>>,
}

impl Report {
    pub(crate) fn add(&mut self, issue: Issue, nodes: Option<BTreeSet<NodeName>>) {
        match self.found.get_mut(&issue) {
            None => {
                self.found.insert(issue, nodes);
            }
            Some(known) => match (known.as_mut(), nodes) {
                (Some(known), Some(nodes)) => known.extend(nodes),
                _ => *known = None,
            },
        }
    }

    pub(crate) fn add_all(&mut self, issues: Vec<Issue>, nodes: &BTreeSet<NodeName>) {
        issues
            .into_iter()
            .for_each(|issue| self.add(issue, Some(nodes.clone())));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other
            .found
            .into_iter()
            .for_each(|(issue, nodes)| self.add(issue, nodes));
    }

    pub(crate) fn rejects(&self, node: &NodeName) -> bool {
        self.found.iter().any(|(issue, nodes)| {
            issue.is_error() && nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
        })
    }

    /// By place.
    pub(crate) fn into_findings(self, sources: &Sources) -> Vec<Finding> {
        let findings = self.found.into_iter().map(|(issue, nodes)| Finding {
            diagnostic: issue.into_diagnostic(sources),
            nodes,
        });
        let mut findings = findings.collect::<Vec<_>>();
        findings.sort_by(|one, two| place(one).cmp(&place(two)));
        findings
    }
}

fn place(finding: &Finding) -> (&str, u32) {
    let label = finding.diagnostic.labels.first();
    label.map_or(("", 0), |label| (&*label.file, label.start))
}
