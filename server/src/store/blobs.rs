//! Blobs on disk, named by digest, each kept as long as a catalog that names it is needed.
//!
//! A catalog is needed while it is a node's last applied one, or a run with it is not over. All of
//! this happens on the store's thread, so no sweep can overtake a run that begins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brine_model::digest::Digest;
use brine_model::name::NodeName;
use rusqlite::{Connection, OptionalExtension, params};

use super::decode::{DigestColumn, collect};
use super::{Store, StoreError};
use crate::files::{self, FileError};

/// What the nodes of a run will ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct CatalogBlobs {
    /// For each catalog the blobs that it names, itself included.
    pub catalogs: BTreeMap<Digest, Vec<Digest>>,
    pub contents: BTreeMap<Digest, Arc<[u8]>>,
}

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("cannot keep a blob")]
    Keep(#[source] FileError),
    #[error("cannot look through the blobs in {path}", path = path.display())]
    Sweep {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Store {
    /// Where the blob lies, if `node` may have it: named by the catalog of one of its open jobs or
    /// of its last applied one.
    pub(crate) async fn blob_for(
        &self,
        node: NodeName,
        digest: Digest,
    ) -> Result<Option<PathBuf>, StoreError> {
        let root = self.blobs.clone();
        self.read(move |db| {
            let allowed = db
                .prepare_cached(
                    "SELECT 1 FROM catalog_blobs WHERE blob = ?2 AND catalog IN (
                         SELECT jobs.catalog FROM jobs JOIN runs ON runs.id = jobs.run
                         WHERE node = ?1 AND result IS NULL AND ended IS NULL
                         UNION SELECT applied FROM nodes WHERE name = ?1)",
                )?
                .query_row(params![node.as_str(), DigestColumn(digest)], |_| Ok(()))
                .optional()?;
            Ok(allowed.map(|()| path_of(&root, digest)))
        })
        .await
    }
}

pub(super) fn keep(db: &Connection, root: &Path, needed: &CatalogBlobs) -> Result<(), StoreError> {
    for (digest, bytes) in &needed.contents {
        let path = path_of(root, *digest);
        if !path.exists() {
            let folder = path.parent().unwrap_or(root);
            files::private_directory(folder).map_err(BlobError::Keep)?;
            files::replace(&path, bytes, 0o600).map_err(BlobError::Keep)?;
        }
    }
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO catalog_blobs VALUES (?, ?)")?;
    for (catalog, blobs) in &needed.catalogs {
        for blob in blobs {
            insert.execute(params![DigestColumn(*catalog), DigestColumn(*blob)])?;
        }
    }
    Ok(())
}

/// Forgets catalogs that nobody needs, and deletes the blobs that only they named.
pub(super) fn sweep(db: &Connection, root: &Path) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM catalog_blobs WHERE catalog NOT IN (
             SELECT applied FROM nodes WHERE applied IS NOT NULL
             UNION SELECT catalog FROM run_nodes JOIN runs ON runs.id = run_nodes.run
             WHERE runs.ended IS NULL
             UNION SELECT catalog FROM run_catalogs JOIN runs ON runs.id = run_catalogs.run
             WHERE runs.ended IS NULL)",
        [],
    )?;
    let mut statement = db.prepare_cached("SELECT DISTINCT blob FROM catalog_blobs")?;
    let kept = collect(&mut statement.query([])?, |row| {
        Ok(row.get::<_, DigestColumn>(0)?.0)
    })?;
    let kept: std::collections::BTreeSet<Digest> = kept.into_iter().collect();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BlobError::Sweep { path, source }
    };
    if !root.exists() {
        return Ok(());
    }
    for folder in fs::read_dir(root).map_err(failed(root))? {
        let folder = folder.map_err(failed(root))?.path();
        for file in fs::read_dir(&folder).map_err(failed(&folder))? {
            let path = file.map_err(failed(&folder))?.path();
            let digest = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            // What is no digest is what a crash left of a write.
            if !digest.is_some_and(|digest| kept.contains(&digest)) {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
    }
    Ok(())
}

pub(super) fn path_of(root: &Path, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    root.join(&name[..2]).join(name)
}
