//! Letting machines in, as one transaction: look, decide, write.

use std::collections::BTreeMap;

use brine_model::name::{NodeName, RoleName};
use brine_model::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::decode::collect;
use super::nodes::{bump, describe, find, find_key};
use super::{Store, StoreError, TokenRecord, tokens};
use crate::enrol::{Asked, Decision, Situation, decide};

/// How long a machine that stopped asking is remembered.
const FORGOTTEN_AFTER: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// A machine that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub fingerprint: String,
    /// As the machine says: to be escaped before it is shown.
    pub proposed_name: String,
    pub machine_id: String,
    pub agent_version: String,
    pub reason: String,
    pub last_seen: Timestamp,
}

/// A node that an operator registers, with the token for it.
#[derive(Debug, Clone)]
pub(crate) struct NewNode {
    pub name: NodeName,
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    pub address: Option<String>,
    pub token: TokenRecord,
}

impl Store {
    /// Decides on a machine that wants in, and notes it.
    pub(crate) async fn enrol(&self, asked: Asked, now: Timestamp) -> Result<Decision, StoreError> {
        self.write(move |db| {
            let forgotten = now.0 - i64::try_from(FORGOTTEN_AFTER.as_nanos()).unwrap_or(0);
            db.execute("DELETE FROM pending WHERE last_seen < ?", [forgotten])?;
            let situation = situation(db, &asked)?;
            let decision = decide(&asked, &situation, now);
            match &decision {
                Decision::Admit { name, made, token } => {
                    if let Some(made) = made {
                        describe(db, name, &made.roles, &made.labels, None)?;
                    }
                    tokens::burn(db, token)?;
                    bind(db, name, &asked.fingerprint, &asked.machine_id)?;
                }
                Decision::Wait { why } => note_waiting(db, &asked, why, now)?,
                Decision::Again(_) | Decision::Refuse { .. } => {}
            }
            Ok(decision)
        })
        .await
    }

    /// Registers an expected node with a one-use token; an earlier token of it is void. False
    /// where the node has a key already.
    pub(crate) async fn add_node(&self, new: NewNode) -> Result<bool, StoreError> {
        self.write(move |db| {
            if find(db, &new.name)?.is_some_and(|node| node.enrolled.is_some()) {
                return Ok(false);
            }
            describe(
                db,
                &new.name,
                &new.roles,
                &new.labels,
                new.address.as_deref(),
            )?;
            db.execute("DELETE FROM tokens WHERE node = ?", [new.name.as_str()])?;
            db.execute(
                "DELETE FROM former_nodes WHERE name = ?",
                [new.name.as_str()],
            )?;
            tokens::insert(db, &new.token)?;
            Ok(true)
        })
        .await
    }

    /// Takes a node's machine away and keeps its place for another; false where there is no such
    /// node. Facts go with the machine, an operator's pause does not.
    pub(crate) async fn replace_node(
        &self,
        name: NodeName,
        token: TokenRecord,
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
            db.execute(
                "UPDATE nodes SET generation = generation + 1, fingerprint = NULL,
                     machine_id = NULL, certificate = NULL, expires = NULL,
                     applied = NULL, applied_at = NULL, policies = NULL
                 WHERE name = ?",
                [name],
            )?;
            db.execute("DELETE FROM facts WHERE node = ?", [name])?;
            db.execute("DELETE FROM tokens WHERE node = ?", [name])?;
            tokens::insert(db, &token)?;
            bump(db, "registry")?;
            bump(db, "facts")?;
            Ok(true)
        })
        .await
    }

    pub(crate) async fn pending(&self) -> Result<Vec<Pending>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare("SELECT * FROM pending ORDER BY first_seen")?;
            collect(&mut statement.query([])?, |row| {
                Ok(Pending {
                    fingerprint: row.get("fingerprint")?,
                    proposed_name: row.get("proposed_name")?,
                    machine_id: row.get("machine_id")?,
                    agent_version: row.get("agent_version")?,
                    reason: row.get("reason")?,
                    last_seen: Timestamp(row.get("last_seen")?),
                })
            })
        })
        .await
    }

    /// Lets a waiting machine in as `name`. `Ok(Err)` says why not.
    pub(crate) async fn accept(
        &self,
        name: NodeName,
        fingerprint: String,
        roles: Vec<RoleName>,
    ) -> Result<Result<(), String>, StoreError> {
        self.write(move |db| {
            let machine_id: Option<String> = db
                .query_row(
                    "SELECT machine_id FROM pending WHERE fingerprint = ?",
                    [&fingerprint],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(machine_id) = machine_id else {
                return Ok(Err(format!(
                    "no machine with the fingerprint {fingerprint} waits"
                )));
            };
            let known = find(db, &name)?;
            if known.as_ref().is_some_and(|node| node.enrolled.is_some()) {
                return Ok(Err(format!("{name} is another machine already")));
            }
            let (known_roles, labels, address) = known
                .map(|node| (node.roles, node.labels, node.address))
                .unwrap_or_default();
            let roles = if roles.is_empty() { known_roles } else { roles };
            describe(db, &name, &roles, &labels, address.as_deref())?;
            db.execute("DELETE FROM former_nodes WHERE name = ?", [name.as_str()])?;
            db.execute("DELETE FROM tokens WHERE node = ?", [name.as_str()])?;
            bind(db, &name, &fingerprint, &machine_id)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Keeps the certificate of a node's key. False where the node has another key by now.
    pub(crate) async fn set_certificate(
        &self,
        name: NodeName,
        fingerprint: String,
        certificate: Vec<u8>,
        expires: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |db| {
            let changed = db.execute(
                "UPDATE nodes SET certificate = ?, expires = ? WHERE name = ? AND fingerprint = ?",
                params![certificate, expires.0, name.as_str(), fingerprint],
            )?;
            Ok(changed > 0)
        })
        .await
    }
}

fn situation(db: &Connection, asked: &Asked) -> Result<Situation, StoreError> {
    let exists = |query: &str, key: &str| -> Result<bool, StoreError> {
        Ok(db.query_row(query, [key], |_| Ok(())).optional()?.is_some())
    };
    let token = match asked.token_id() {
        Some(id) => tokens::find(db, &id)?,
        None => None,
    };
    let expected = match token.as_ref().and_then(|token| token.node.as_ref()) {
        Some(name) => find(db, name)?,
        None => None,
    };
    let name_taken = match asked.name() {
        Some(name) => {
            find(db, &name)?.is_some()
                || exists("SELECT 1 FROM former_nodes WHERE name = ?", name.as_str())?
        }
        None => false,
    };
    let pending: i64 = db.query_row("SELECT count(*) FROM pending", [], |row| row.get(0))?;
    Ok(Situation {
        holder: find_key(db, &asked.fingerprint)?,
        revoked: exists(
            "SELECT 1 FROM revoked_keys WHERE fingerprint = ?",
            &asked.fingerprint,
        )?,
        token,
        expected,
        name_taken,
        waiting: exists(
            "SELECT 1 FROM pending WHERE fingerprint = ?",
            &asked.fingerprint,
        )?,
        pending: usize::try_from(pending).unwrap_or(usize::MAX),
    })
}

fn bind(
    db: &Connection,
    name: &NodeName,
    fingerprint: &str,
    machine_id: &str,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE nodes SET fingerprint = ?, machine_id = ?, certificate = NULL, expires = NULL,
             applied = NULL, applied_at = NULL, policies = NULL
         WHERE name = ?",
        params![fingerprint, machine_id, name.as_str()],
    )?;
    db.execute("DELETE FROM pending WHERE fingerprint = ?", [fingerprint])?;
    bump(db, "registry")
}

/// A stranger's words are cut: what cannot be a name is only shown.
fn note_waiting(
    db: &Connection,
    asked: &Asked,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    db.execute(
        "INSERT INTO pending
             (fingerprint, machine_id, proposed_name, agent_version, reason, first_seen, last_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT (fingerprint) DO UPDATE SET last_seen = excluded.last_seen,
             proposed_name = excluded.proposed_name, reason = excluded.reason
         WHERE machine_id = excluded.machine_id",
        params![
            asked.fingerprint,
            cut(&asked.machine_id, 128),
            cut(&asked.proposed_name, 80),
            cut(&asked.agent_version, 40),
            why,
            now.0
        ],
    )?;
    Ok(())
}
