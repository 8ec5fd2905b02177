//! Join tokens, as hashes.

use std::collections::BTreeMap;

use brine_model::digest::Digest;
use brine_model::name::{NodeName, RoleName};
use brine_model::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::decode::{DigestColumn, collect, from_json, parsed, to_json};
use super::{Store, StoreError};

/// What a join token allows. The secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRecord {
    pub id: String,
    /// Of the whole secret text.
    pub hash: Digest,
    /// Lets exactly this registered node in; otherwise it is a pool token.
    pub node: Option<NodeName>,
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
    /// Pattern that proposed names must match.
    pub names: String,
    pub uses_left: u32,
    pub expires: Timestamp,
}

impl Store {
    pub(crate) async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.write(move |db| insert(db, &token)).await
    }

    /// Tokens that may still be used.
    pub(crate) async fn tokens(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT * FROM tokens WHERE uses_left > 0 AND expires > ? ORDER BY expires, id",
            )?;
            collect(&mut statement.query([now.0])?, decode)
        })
        .await
    }

    /// False where there is no such token.
    pub(crate) async fn revoke_token(&self, id: String) -> Result<bool, StoreError> {
        self.write(move |db| Ok(db.execute("DELETE FROM tokens WHERE id = ?", [id])? > 0))
            .await
    }
}

pub(super) fn insert(db: &Connection, token: &TokenRecord) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO tokens (id, hash, node, roles, labels, names, uses_left, expires)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            token.id,
            DigestColumn(token.hash),
            token.node.as_ref().map(NodeName::as_str),
            to_json(&token.roles)?,
            to_json(&token.labels)?,
            token.names,
            token.uses_left,
            token.expires.0
        ],
    )?;
    Ok(())
}

pub(super) fn find(db: &Connection, id: &str) -> Result<Option<TokenRecord>, StoreError> {
    let found = db
        .prepare_cached("SELECT * FROM tokens WHERE id = ?")?
        .query_row([id], |row| Ok(decode(row)))
        .optional()?;
    found.transpose()
}

pub(super) fn burn(db: &Connection, id: &str) -> Result<(), StoreError> {
    db.execute(
        "UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?",
        [id],
    )?;
    Ok(())
}

fn decode(row: &Row<'_>) -> Result<TokenRecord, StoreError> {
    let node: Option<String> = row.get("node")?;
    Ok(TokenRecord {
        id: row.get("id")?,
        hash: row.get::<_, DigestColumn>("hash")?.0,
        node: if node.is_some() {
            Some(parsed(row, "node")?)
        } else {
            None
        },
        roles: from_json("role", &row.get::<_, String>("roles")?)?,
        labels: from_json("label", &row.get::<_, String>("labels")?)?,
        names: row.get("names")?,
        uses_left: row.get("uses_left")?,
        expires: Timestamp(row.get("expires")?),
    })
}
