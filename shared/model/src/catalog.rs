//! Everything that one node must be, compiled by the server: a blob, named by its digest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::host::Probe;
use crate::name::{FormulaName, NodeName, RoleName};
use crate::resource::ResourceId;
use crate::span::Origin;
use crate::value::{Map, Value};

/// One node's catalog. Equal catalogs have equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    pub node: NodeName,
    /// In the order to apply them.
    pub resources: Vec<Entry>,
    /// What each formula's templates see.
    pub contexts: BTreeMap<FormulaName, Value>,
    /// Formulas of a role that keeps its nodes so also between applies (`enforce: true`).
    pub enforced: BTreeSet<FormulaName>,
    /// Parameters of type `port`, by formula: what may listen.
    pub ports: BTreeMap<FormulaName, BTreeMap<String, u16>>,
}

/// One resource: decoded by the same code that checked it on the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: ResourceId,
    pub formula: FormulaName,
    /// The fields as written, with expressions evaluated; templates and sources are
    /// [`Value::Blob`], secrets [`Value::Secret`].
    pub fields: Map,
    /// Failing these skips this one (a transitive closure is not needed).
    pub require: Vec<ResourceId>,
    pub origin: Origin,
}

/// How a change may move over the members of a role, from the `cluster:` of its formulas; compiled
/// for one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub role: RoleName,
    /// Registered members that may be unavailable at once; the smallest of the formulas'.
    pub max_unavailable: u32,
    /// All must hold on a member for it to count as available.
    pub healthy: Vec<Health>,
    /// Whether the cluster exists already: three-valued conditions over live facts.
    pub formed: Vec<Condition>,
    /// Which member comes first or last; the first rule that holds of a member decides.
    pub order: Vec<Order>,
    /// Asked one after the other before a step that somebody would feel, and after it.
    pub drain: Vec<Health>,
    pub undrain: Vec<Health>,
    pub on_failure: OnFailure,
    /// The resources of the role's formulas that tell live facts.
    pub sources: Vec<Entry>,
}

/// One health condition of a member, asked on the member itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub formula: FormulaName,
    pub probe: Probe,
    /// How long after a step it may take to hold, in seconds.
    pub within: u32,
}

/// A condition over live facts, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub formula: FormulaName,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub end: End,
    pub condition: Condition,
}

/// Where in a rollout a member comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    First,
    Last,
}

/// What becomes of the nodes that a rollout has stepped over when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnFailure {
    /// They keep what they have.
    #[default]
    Stop,
    /// They get their previous catalog back.
    Revert,
}

impl Catalog {
    /// All blobs that a node needs to plan this catalog.
    #[must_use]
    pub fn blobs(&self) -> Vec<Digest> {
        let mut found = Vec::new();
        for entry in &self.resources {
            entry
                .fields
                .values()
                .for_each(|value| value.blobs(&mut |digest| found.push(digest)));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The names of all secrets that a node needs to apply this catalog.
    #[must_use]
    pub fn secrets(&self) -> Vec<crate::value::SecretRef> {
        let mut found = Vec::new();
        for value in self.contexts.values() {
            value.secrets(&mut |secret| found.push(secret.clone()));
        }
        for entry in &self.resources {
            entry
                .fields
                .values()
                .for_each(|v| v.secrets(&mut |secret| found.push(secret.clone())));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
