//! The thread that owns the connection, and the handle to it.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, inventory, migrations};
use crate::meters::Histogram;

/// Calls that wait; a caller beyond waits for a place.
const QUEUE: usize = 1024;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// Cloneable handle to the database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    work: mpsc::Sender<Work>,
    pub(super) blobs: PathBuf,
    /// The database itself, for who only reads.
    pub(crate) path: PathBuf,
    /// How long calls took.
    pub(crate) timing: Arc<Histogram>,
    /// Who has reported since that was last written: see [`Store::keep_reports`].
    pub(super) reported: Arc<Mutex<BTreeMap<NodeName, Timestamp>>>,
}

impl Store {
    /// Opens or creates the database, brings its schema up to date, and starts the thread. Blobs
    /// are kept as files under `blobs`.
    ///
    /// # Errors
    /// The file cannot be opened, or was written by a newer server.
    pub(crate) fn open(path: &Path, blobs: &Path) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        // SQLite would make it readable for everybody; its other files take the mode from this one.
        private(path).map_err(|source| StoreError::Make {
            path: path.to_owned(),
            source,
        })?;
        let mut connection = Connection::open(path).map_err(open)?;
        // `operator add` may write beside a running server: wait for it instead of failing.
        connection
            .busy_timeout(Duration::from_secs(10))
            .map_err(open)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(open)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(open)?;
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(open)?;
        migrations::run(&mut connection)?;
        inventory::prepare(&mut connection)?;
        let (work, mut queue) = mpsc::channel::<Work>(QUEUE);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                while let Some(work) = queue.blocking_recv() {
                    work(&mut connection);
                }
            })
            .map_err(StoreError::Thread)?;
        Ok(Self {
            work,
            blobs: blobs.to_owned(),
            path: path.to_owned(),
            timing: Arc::default(),
            reported: Arc::default(),
        })
    }

    /// Calls that wait for the thread.
    pub(crate) fn waiting(&self) -> usize {
        QUEUE - self.work.capacity()
    }

    /// Runs `body` in one transaction, committed when it returns `Ok`.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Immediate, body).await
    }

    /// Like [`Self::write`], for what only reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Deferred, body).await
    }

    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        body: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let begin = Instant::now();
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // A panic in one call must not take the thread, and with it the server, down. The
            // transaction rolls back as it is dropped.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let transaction = connection.transaction_with_behavior(behavior)?;
                let value = body(&transaction)?;
                transaction.commit()?;
                Ok(value)
            }));
            let _ = answer.send(result.unwrap_or_else(|_| {
                Err(StoreError::Damaged {
                    what: "call",
                    cause: "it panicked".into(),
                })
            }));
        });
        self.work.send(work).await.map_err(|_| StoreError::Closed)?;
        let told = answered.await.map_err(|_| StoreError::Closed)?;
        self.timing.since(begin);
        told
    }
}

/// Opens nothing that is there: closing it again would give up the locks that another connection
/// of this process has on it.
fn private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(path, Permissions::from_mode(0o600))
        }
        made => made.map(drop),
    }
}
