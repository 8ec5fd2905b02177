//! Who did what, when and from where: appended to, never changed (the schema sees to that).

use brine_model::name::OperatorName;
use brine_model::time::Timestamp;
use rusqlite::params;

use super::decode::{collect, parsed};
use super::{Store, StoreError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditEntry {
    pub at: Timestamp,
    pub operator: OperatorName,
    /// Address that the request came from.
    pub peer: String,
    /// `apply role=db`.
    pub what: String,
    /// `done`, or why it was refused.
    pub outcome: String,
}

impl Store {
    pub(crate) async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute(
                "INSERT INTO audit (at, operator, peer, what, outcome) VALUES (?, ?, ?, ?, ?)",
                params![
                    entry.at.0,
                    entry.operator.as_str(),
                    entry.peer,
                    entry.what,
                    entry.outcome
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// The last entries, newest first.
    pub(crate) async fn audit_log(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare("SELECT * FROM audit ORDER BY id DESC LIMIT ?")?;
            collect(&mut statement.query([limit])?, |row| {
                Ok(AuditEntry {
                    at: Timestamp(row.get("at")?),
                    operator: parsed(row, "operator")?,
                    peer: row.get("peer")?,
                    what: row.get("what")?,
                    outcome: row.get("outcome")?,
                })
            })
        })
        .await
    }
}
