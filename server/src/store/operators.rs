//! Operators: a certificate counts only while its key is in this table.

use brine_model::name::OperatorName;
use brine_model::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::decode::{collect, parsed};
use super::{Store, StoreError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorRecord {
    pub name: OperatorName,
    pub fingerprint: String,
    pub created: Timestamp,
}

impl Store {
    /// False where there is an operator of that name.
    pub(crate) async fn add_operator(&self, operator: OperatorRecord) -> Result<bool, StoreError> {
        self.write(move |db| {
            let added = db.execute(
                "INSERT INTO operators (name, fingerprint, created) VALUES (?, ?, ?)
                 ON CONFLICT DO NOTHING",
                params![
                    operator.name.as_str(),
                    operator.fingerprint,
                    operator.created.0
                ],
            )?;
            Ok(added > 0)
        })
        .await
    }

    /// False where there is no such operator.
    pub(crate) async fn remove_operator(&self, name: OperatorName) -> Result<bool, StoreError> {
        self.write(move |db| {
            Ok(db.execute("DELETE FROM operators WHERE name = ?", [name.as_str()])? > 0)
        })
        .await
    }

    pub(crate) async fn operators(&self) -> Result<Vec<OperatorRecord>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare("SELECT * FROM operators ORDER BY name")?;
            collect(&mut statement.query([])?, |row| {
                Ok(OperatorRecord {
                    name: parsed(row, "name")?,
                    fingerprint: row.get("fingerprint")?,
                    created: Timestamp(row.get("created")?),
                })
            })
        })
        .await
    }

    /// Whether this key is this operator's, now.
    pub(crate) async fn is_operator(
        &self,
        name: OperatorName,
        fingerprint: String,
    ) -> Result<bool, StoreError> {
        self.read(move |db| {
            let found = db
                .prepare_cached("SELECT 1 FROM operators WHERE name = ? AND fingerprint = ?")?
                .query_row([name.as_str(), fingerprint.as_str()], |_| Ok(()))
                .optional()?;
            Ok(found.is_some())
        })
        .await
    }
}
