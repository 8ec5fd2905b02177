//! The newest catalogs: tree, registry, facts and secrets, compiled once for each combination.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use brine_lang::{Compilation, Compiled, Fleet, NodeInput};
use brine_model::catalog::Catalog;
use brine_model::diagnostic::Diagnostic;
use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::name::NodeName;
use brine_model::resource::ResourceId;
use brine_wire::codec;
use brine_wire::job::Secret;

use crate::secrets::{Secrets, SecretsError, Session};
use crate::states::{self, LoadError, Loaded};
use crate::store::{CatalogBlobs, NodeRecord, Store, StoreError};

/// A catalog's name and bytes.
type Encoded = (Digest, Arc<[u8]>);

/// Everything that a run pins: what was compiled, and out of what.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub states: Loaded,
    /// As they are now: what was applied to them changes without anything being compiled anew.
    pub nodes: Vec<NodeRecord>,
    pub fleet: Arc<Fleet>,
    pub compilation: Arc<Compilation>,
    /// The encoded catalogs by node, each with its name.
    pub catalogs: Arc<BTreeMap<NodeName, Encoded>>,
    /// What each node's catalog needs.
    pub secrets: Arc<BTreeMap<NodeName, Vec<Secret>>>,
    /// What is done once for a role, as each node would do it.
    pub once: Arc<BTreeMap<(NodeName, ResourceId), OnceCatalog>>,
}

/// A catalog of its own, with one resource.
#[derive(Debug, Clone)]
pub(crate) struct OnceCatalog {
    pub digest: Digest,
    bytes: Arc<[u8]>,
    blobs: Vec<Digest>,
    pub secrets: Vec<Secret>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the compiler failed: this is a bug in Brine")]
    Panicked(#[from] tokio::task::JoinError),
}

/// What a snapshot depends on. Secrets are not among it: they are looked up anew, and a changed one
/// changes the catalogs.
type Key = (Digest, u64, u64, Digest);

/// Compiles on demand.
#[derive(Debug)]
pub(crate) struct Compiler {
    states: PathBuf,
    secrets: Arc<Secrets>,
    secrets_path: PathBuf,
    store: Store,
    newest: Mutex<Option<(Key, Snapshot)>>,
}

impl Compiler {
    #[must_use]
    pub(crate) fn new(
        states: PathBuf,
        secrets: Arc<Secrets>,
        secrets_path: PathBuf,
        store: Store,
    ) -> Self {
        Self {
            states,
            secrets,
            secrets_path,
            store,
            newest: Mutex::default(),
        }
    }

    /// What everything is to be, as of now.
    ///
    /// # Errors
    /// The states, the secrets or the store cannot be read. Mistakes *in* the states are no error:
    /// they are the snapshot's findings.
    pub(crate) async fn newest(&self) -> Result<Snapshot, CompileError> {
        let path = self.states.clone();
        let states = tokio::task::spawn_blocking(move || states::load(&path)).await??;
        let (nodes, registry) = self.store.nodes().await?;
        let (facts, facts_version) = self.store.all_facts().await?;
        let key = (
            states.digest,
            registry,
            facts_version,
            self.secrets_digest(),
        );
        if let Some(known) = self.cached(key) {
            // The same content may be another commit by now.
            return Ok(Snapshot {
                states,
                nodes,
                ..known
            });
        }
        let secrets = Arc::clone(&self.secrets);
        let snapshot =
            tokio::task::spawn_blocking(move || compile(states, nodes, facts, &secrets)).await??;
        // Compiling may have made secrets up: the file is what it is now.
        let key = (key.0, key.1, key.2, self.secrets_digest());
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, snapshot.clone()));
        Ok(snapshot)
    }

    fn cached(&self, key: Key) -> Option<Snapshot> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest
            .as_ref()
            .filter(|(known, _)| *known == key)
            .map(|(_, snapshot)| snapshot.clone())
    }

    fn secrets_digest(&self) -> Digest {
        Digest::of(&std::fs::read(&self.secrets_path).unwrap_or_default())
    }
}

fn compile(
    states: Loaded,
    nodes: Vec<NodeRecord>,
    mut facts: BTreeMap<NodeName, Facts>,
    secrets: &Secrets,
) -> Result<Snapshot, CompileError> {
    let input = |node: &NodeRecord| NodeInput {
        name: node.name.clone(),
        address: node.effective_address().map(str::to_owned),
        roles: node.roles.clone(),
        labels: node.labels.clone(),
        facts: facts.remove(&node.name),
        generation: node.generation,
    };
    let fleet = Fleet {
        nodes: nodes.iter().map(input).collect(),
    };
    let (compilation, texts, once) = secrets.with(|session| {
        let compilation = brine_lang::compile(&states.tree, &fleet, session);
        let (mut texts, mut once) = (BTreeMap::new(), BTreeMap::new());
        for node in &fleet.nodes {
            let Some(compiled) = compilation.catalogs.get(&node.name) else {
                continue;
            };
            texts.insert(node.name.clone(), needed(&compiled.catalog, node, session));
            once.extend(once_catalogs(compiled, node, session));
        }
        (compilation, texts, once)
    })?;
    let encoded = compilation.catalogs.iter().filter_map(|(name, compiled)| {
        // Only a value nested deeper than the parser lets through cannot be encoded.
        let bytes = codec::encode(&compiled.catalog).ok()?;
        Some((name.clone(), (Digest::of(&bytes), Arc::from(bytes))))
    });
    let catalogs = Arc::new(encoded.collect());
    Ok(Snapshot {
        states,
        nodes,
        fleet: Arc::new(fleet),
        compilation: Arc::new(compilation),
        catalogs,
        secrets: Arc::new(texts),
        once: Arc::new(once),
    })
}

/// The texts of a catalog's secrets.
fn needed(catalog: &Catalog, node: &NodeInput, session: &Session<'_>) -> Vec<Secret> {
    let secrets = catalog.secrets().into_iter().filter_map(|reference| {
        Some(Secret {
            text: session.text(&reference.name, node)?,
            reference,
        })
    });
    secrets.collect()
}

fn once_catalogs(
    compiled: &Compiled,
    node: &NodeInput,
    session: &Session<'_>,
) -> Vec<((NodeName, ResourceId), OnceCatalog)> {
    let catalogs = compiled.once.iter().filter_map(|once| {
        let catalog = compiled.catalog_of(once);
        let bytes = codec::encode(&catalog).ok()?;
        let secrets = needed(&catalog, node, session);
        let once_catalog = OnceCatalog {
            digest: Digest::of(&bytes),
            bytes: Arc::from(bytes),
            blobs: catalog.blobs(),
            secrets,
        };
        Some(((node.name.clone(), once.entry.id.clone()), once_catalog))
    });
    catalogs.collect()
}

impl Snapshot {
    /// The digest of a node's newest catalog.
    #[must_use]
    pub(crate) fn digest(&self, node: &NodeName) -> Option<Digest> {
        self.catalogs.get(node).map(|(digest, _)| *digest)
    }

    #[must_use]
    pub(crate) fn node(&self, name: &NodeName) -> Option<&NodeRecord> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// What is wrong for any of these nodes; empty where all compile.
    #[must_use]
    pub(crate) fn errors(&self, nodes: &[NodeName]) -> Vec<Diagnostic> {
        let rejects =
            |finding: &&brine_lang::Finding| nodes.iter().any(|node| finding.rejects(node));
        let found = self.compilation.findings.iter().filter(rejects);
        let mut errors: Vec<Diagnostic> = found.map(|finding| finding.diagnostic.clone()).collect();
        if errors.is_empty()
            && let Some(node) = nodes.iter().find(|node| !self.catalogs.contains_key(*node))
        {
            errors.push(Diagnostic::error(format!("{node} has no catalog")));
        }
        errors
    }

    /// What else there is to say about these nodes.
    #[must_use]
    pub(crate) fn warnings(&self, nodes: &[NodeName]) -> Vec<Diagnostic> {
        let concerns = |finding: &&brine_lang::Finding| {
            !finding.is_error()
                && finding
                    .nodes
                    .as_ref()
                    .is_none_or(|set| nodes.iter().any(|node| set.contains(node)))
        };
        let found = self.compilation.findings.iter().filter(concerns);
        found.map(|finding| finding.diagnostic.clone()).collect()
    }

    /// Everything that these nodes may ask for.
    #[must_use]
    pub(crate) fn blobs(&self, nodes: &[NodeName]) -> CatalogBlobs {
        let mut blobs = CatalogBlobs::default();
        for node in nodes {
            let (Some((digest, bytes)), Some(compiled)) =
                (self.catalogs.get(node), self.compilation.catalogs.get(node))
            else {
                continue;
            };
            let mut named = compiled.catalog.blobs();
            for blob in &named {
                if let Some(content) = self.compilation.blobs.get(blob) {
                    blobs.contents.insert(*blob, Arc::clone(content));
                }
            }
            blobs.contents.insert(*digest, Arc::clone(bytes));
            named.push(*digest);
            blobs.catalogs.insert(*digest, named);
        }
        for ((_, _), once) in self
            .once
            .iter()
            .filter(|((node, _), _)| nodes.contains(node))
        {
            let mut named = once.blobs.clone();
            for blob in &named {
                if let Some(content) = self.compilation.blobs.get(blob) {
                    blobs.contents.insert(*blob, Arc::clone(content));
                }
            }
            blobs.contents.insert(once.digest, Arc::clone(&once.bytes));
            named.push(once.digest);
            blobs.catalogs.insert(once.digest, named);
        }
        blobs
    }
}
