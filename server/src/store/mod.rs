//! The server's memory: one SQLite database, written by one thread.
//!
//! Every call is one transaction on that thread, durable when it returns (`synchronous=FULL`), so
//! what an agent or operator was told is what a restarted server knows. There is deliberately no
//! SQL outside this folder, and no transaction that waits for a socket.

mod audit;
mod blobs;
mod decode;
mod enrolment;
mod events;
mod facts;
mod inventory;
mod jobs;
mod migrations;
mod nodes;
mod operators;
mod query;
mod runs;
mod thread;
mod tokens;

#[cfg(test)]
mod query_tests;
#[cfg(test)]
mod tests;

pub(crate) use audit::AuditEntry;
pub(crate) use blobs::{BlobError, CatalogBlobs};
pub(crate) use enrolment::{NewNode, Pending};
pub(crate) use jobs::JobKind;
pub(crate) use nodes::{NodeRecord, Registered};
pub(crate) use operators::OperatorRecord;
pub(crate) use query::{Asked, QueryError, query};
pub(crate) use runs::{NewRun, NodeUpdate, RunCatalog};
pub(crate) use thread::Store;
pub(crate) use tokens::TokenRecord;

/// Why the database could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {path}", path = path.display())]
    Open {
        path: std::path::PathBuf,
        source: rusqlite::Error,
    },
    #[error("cannot make the database {path}", path = path.display())]
    Make {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("cannot start the database's thread")]
    Thread(#[source] std::io::Error),
    #[error("the database has schema {found}, this server knows up to {known}: use a newer server")]
    TooNew { found: u32, known: u32 },
    #[error("cannot bring the database to schema {to}")]
    Migrate { to: u32, source: rusqlite::Error },
    #[error("the database refused")]
    Sql(#[from] rusqlite::Error),
    /// What is stored is not what was written: a bug, or a damaged disk.
    #[error("the database holds a damaged {what}: {cause}")]
    Damaged { what: &'static str, cause: String },
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the database is closed")]
    Closed,
}
