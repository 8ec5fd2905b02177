//! Registered nodes.

use std::collections::BTreeMap;

use brine_model::catalog::Policy;
use brine_model::digest::Digest;
use brine_model::name::{NodeName, RoleName};
use brine_model::time::Timestamp;
use brine_wire::operator::Paused;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::decode::{DigestColumn, collect, from_bytes, from_json, parsed, to_bytes, to_json};
use super::{Store, StoreError};

/// A node as the registry has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeRecord {
    pub name: NodeName,
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    /// Given by an operator.
    pub address: Option<String>,
    /// Where it last connected from.
    pub seen_address: Option<String>,
    pub enrolled: Option<Registered>,
    pub last_seen: Option<Timestamp>,
    pub agent_version: Option<String>,
    /// The catalog that it applied last, as its results say.
    pub applied: Option<Digest>,
    /// The policies that came with that catalog.
    pub policies: Vec<Policy>,
    /// How often another machine took its place.
    pub generation: u32,
    pub paused: Option<Paused>,
}

/// The key that a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub fingerprint: String,
    pub machine_id: String,
    /// DER; none until it was first asked for after an operator accepted the node.
    pub certificate: Option<Vec<u8>>,
    pub expires: Timestamp,
}

impl NodeRecord {
    /// Where its peers reach it.
    #[must_use]
    pub(crate) fn effective_address(&self) -> Option<&str> {
        self.address.as_deref().or(self.seen_address.as_deref())
    }

    /// Nothing was ever applied to it.
    #[must_use]
    pub(crate) const fn is_bare(&self) -> bool {
        self.applied.is_none()
    }
}

impl Store {
    /// All nodes by name, with the version of the registry that this is.
    pub(crate) async fn nodes(&self) -> Result<(Vec<NodeRecord>, u64), StoreError> {
        self.read(|db| Ok((all(db)?, version(db, "registry")?)))
            .await
    }

    pub(crate) async fn node(&self, name: NodeName) -> Result<Option<NodeRecord>, StoreError> {
        self.read(move |db| find(db, &name)).await
    }

    /// Changes what an operator says of a node; false where there is no such node.
    pub(crate) async fn set_node(
        &self,
        name: NodeName,
        roles: Option<Vec<RoleName>>,
        labels: BTreeMap<String, Option<String>>,
        address: Option<String>,
    ) -> Result<bool, StoreError> {
        self.write(move |db| {
            let Some(mut node) = find(db, &name)? else {
                return Ok(false);
            };
            if let Some(roles) = roles {
                node.roles = roles;
            }
            for (key, value) in labels {
                match value {
                    Some(value) => node.labels.insert(key, value),
                    None => node.labels.remove(&key),
                };
            }
            if let Some(address) = address {
                node.address = Some(address).filter(|address| !address.is_empty());
            }
            describe(
                db,
                &node.name,
                &node.roles,
                &node.labels,
                node.address.as_deref(),
            )?;
            Ok(true)
        })
        .await
    }

    /// Keeps runs away from a node, or lets them at it again; false where there is no such node.
    pub(crate) async fn pause_node(
        &self,
        name: NodeName,
        paused: Option<Paused>,
    ) -> Result<bool, StoreError> {
        self.write(move |db| {
            let until = paused.as_ref().map(|paused| paused.until.0);
            let reason = paused.and_then(|paused| paused.reason);
            let known = db.execute(
                "UPDATE nodes SET paused_until = ?, pause_reason = ? WHERE name = ?",
                params![until, reason, name.as_str()],
            )?;
            Ok(known > 0)
        })
        .await
    }

    /// Takes a node out: its key stays revoked and its name is never given away by a pool token.
    /// False where there is no such node.
    pub(crate) async fn remove_node(
        &self,
        name: NodeName,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |db| {
            let Some(node) = find(db, &name)? else {
                return Ok(false);
            };
            let name = name.as_str();
            if let Some(key) = node.enrolled {
                db.execute(
                    "INSERT OR REPLACE INTO revoked_keys VALUES (?, ?, ?)",
                    params![key.fingerprint, name, at.0],
                )?;
            }
            db.execute("DELETE FROM tokens WHERE node = ?", [name])?;
            db.execute("DELETE FROM facts WHERE node = ?", [name])?;
            db.execute("DELETE FROM nodes WHERE name = ?", [name])?;
            db.execute(
                "INSERT OR REPLACE INTO former_nodes VALUES (?, ?)",
                params![name, at.0],
            )?;
            bump(db, "registry")?;
            bump(db, "facts")?;
            Ok(true)
        })
        .await
    }

    /// Notes a connection of a node.
    pub(crate) async fn node_seen(
        &self,
        name: NodeName,
        address: String,
        agent_version: Option<String>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |db| {
            let moved = db.execute(
                "UPDATE nodes SET seen_address = ?2 WHERE name = ?1 AND seen_address IS NOT ?2",
                params![name.as_str(), address],
            )?;
            if moved > 0 {
                bump(db, "registry")?;
            }
            db.execute(
                "UPDATE nodes SET last_seen = ?2, agent_version = coalesce(?3, agent_version)
                 WHERE name = ?1",
                params![name.as_str(), at.0, agent_version],
            )?;
            Ok(())
        })
        .await
    }
}

/// Writes what is known of a node apart from its key, making it where it is not there.
pub(super) fn describe(
    db: &Connection,
    name: &NodeName,
    roles: &[RoleName],
    labels: &BTreeMap<String, String>,
    address: Option<&str>,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO nodes (name, roles, labels, address) VALUES (?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET
             roles = excluded.roles, labels = excluded.labels, address = excluded.address",
        params![name.as_str(), to_json(&roles)?, to_json(labels)?, address],
    )?;
    bump(db, "registry")
}

/// Notes that a catalog has been applied; not by a machine that was replaced meanwhile, for its
/// successor is bare.
pub(super) fn applied(
    db: &Connection,
    name: &NodeName,
    catalog: Digest,
    policies: &[Policy],
    at: Timestamp,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE nodes SET applied = ?, applied_at = ?, policies = ?
         WHERE name = ? AND fingerprint IS NOT NULL",
        params![
            DigestColumn(catalog),
            at.0,
            to_bytes("policy", &policies.to_vec())?,
            name.as_str()
        ],
    )?;
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<NodeRecord>, StoreError> {
    let mut statement = db.prepare_cached("SELECT * FROM nodes ORDER BY name")?;
    collect(&mut statement.query([])?, decode)
}

pub(super) fn find(db: &Connection, name: &NodeName) -> Result<Option<NodeRecord>, StoreError> {
    one(db, "SELECT * FROM nodes WHERE name = ?", name.as_str())
}

pub(super) fn find_key(
    db: &Connection,
    fingerprint: &str,
) -> Result<Option<NodeRecord>, StoreError> {
    one(db, "SELECT * FROM nodes WHERE fingerprint = ?", fingerprint)
}

pub(super) fn bump(db: &Connection, what: &str) -> Result<(), StoreError> {
    db.execute(
        "UPDATE versions SET version = version + 1 WHERE what = ?",
        [what],
    )?;
    Ok(())
}

pub(super) fn version(db: &Connection, what: &str) -> Result<u64, StoreError> {
    let version: i64 = db.query_row(
        "SELECT version FROM versions WHERE what = ?",
        [what],
        |row| row.get(0),
    )?;
    Ok(super::decode::unsigned(version))
}

fn one(db: &Connection, query: &str, key: &str) -> Result<Option<NodeRecord>, StoreError> {
    let found = db
        .prepare_cached(query)?
        .query_row([key], |row| Ok(decode(row)))
        .optional()?;
    found.transpose()
}

fn decode(row: &Row<'_>) -> Result<NodeRecord, StoreError> {
    let policies: Option<Vec<u8>> = row.get("policies")?;
    let enrolled = match (row.get("fingerprint")?, row.get("machine_id")?) {
        (Some(fingerprint), Some(machine_id)) => Some(Registered {
            fingerprint,
            machine_id,
            certificate: row.get("certificate")?,
            expires: Timestamp(row.get::<_, Option<i64>>("expires")?.unwrap_or(0)),
        }),
        _ => None,
    };
    Ok(NodeRecord {
        name: parsed(row, "name")?,
        roles: from_json("role", &row.get::<_, String>("roles")?)?,
        labels: from_json("label", &row.get::<_, String>("labels")?)?,
        address: row.get("address")?,
        seen_address: row.get("seen_address")?,
        enrolled,
        last_seen: row.get::<_, Option<i64>>("last_seen")?.map(Timestamp),
        agent_version: row.get("agent_version")?,
        applied: row
            .get::<_, Option<DigestColumn>>("applied")?
            .map(|column| column.0),
        // From another version of the server: asked again with the next apply.
        policies: policies
            .and_then(|bytes| from_bytes("policy", &bytes).ok())
            .unwrap_or_default(),
        generation: row.get("generation")?,
        paused: row
            .get::<_, Option<i64>>("paused_until")?
            .map(|until| {
                Ok::<_, StoreError>(Paused {
                    until: Timestamp(until),
                    reason: row.get("pause_reason")?,
                })
            })
            .transpose()?,
    })
}
