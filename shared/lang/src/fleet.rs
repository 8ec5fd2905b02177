//! What compiling needs to know about the nodes and the secrets.

use std::collections::BTreeMap;

use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::name::{NodeName, RoleName};
use brine_model::value::SecretRef;

/// All registered nodes, targeted or not: the members of roles are drawn from them.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub nodes: Vec<NodeInput>,
}

/// One node as the registry has it.
#[derive(Debug, Clone)]
pub struct NodeInput {
    pub name: NodeName,
    /// Where its peers reach it; none until it first connected.
    pub address: Option<String>,
    /// In the order in which their formulas apply.
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    /// Static facts; none until it first reported.
    pub facts: Option<Facts>,
    /// How often another machine took its place; 0 for the first.
    pub generation: u32,
}

/// Where secret parameters come from; the texts stay with whoever implements this.
pub trait SecretStore {
    /// The reference for the secret parameter `name` (`formula.parameter`) on `node`.
    fn get(&self, name: &str, node: &NodeInput) -> Option<SecretRef>;
}

/// Answers every secret with a reference to nothing, for checks without a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct DummySecrets;

impl SecretStore for DummySecrets {
    fn get(&self, name: &str, _: &NodeInput) -> Option<SecretRef> {
        Some(SecretRef {
            name: name.to_owned(),
            version: Digest::of(b"dummy"),
        })
    }
}
