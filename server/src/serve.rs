//! The server itself: put together, served, taken apart in order.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brine_transport::Alpn;
use brine_transport::authority::{Authority, AuthorityError};
use brine_transport::identity::{IdentityError, Key, certificate_from_pem};
use brine_transport::server::{BindError, Incoming, Listener, ServerIdentity};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::compile::Compiler;
use crate::config::{Config, DataPaths};
use crate::context::Context;
use crate::files::{self, FileError};
use crate::meters::Meters;
use crate::notify::notify;
use crate::runs::Runs;
use crate::secrets::Secrets;
use crate::store::{Store, StoreError};
use crate::web::{Endpoint, HttpError};
use crate::{agents, clock, enrol, fleet, operators};

/// Those who watch a run read its last event.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Between two looks for what is too old to be kept.
const FORGETS: Duration = Duration::from_secs(60 * 60);

/// How often it is written down who has reported.
const KEEPS: Duration = Duration::from_secs(10);

/// So many queries are answered at a time.
const QUERIES: usize = 2;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{path} is missing: run `brine-server init` first", path = .0.display())]
    NotInitialized(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot lock {path}", path = path.display())]
    Lock {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("another server runs on {path}", path = .0.display())]
    Running(PathBuf),
    #[error("the certificate authority is unusable")]
    Authority(#[from] AuthorityError),
    #[error("{what} is unusable")]
    Identity {
        what: &'static str,
        source: IdentityError,
    },
    #[error("the key for digests is damaged: expected 64 hexadecimal digits")]
    DigestKey,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot listen")]
    Bind(#[from] BindError),
    #[error("no address to listen on")]
    NoAddress,
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    web: Option<Endpoint>,
    context: Arc<Context>,
    /// Told to runs when the server stops.
    stopping: CancellationToken,
    limit: Duration,
    /// For which changes of the inventory are kept.
    history: Duration,
    _lock: File,
}

impl Server {
    /// Opens everything, ends what a server before left open, and listens.
    ///
    /// # Errors
    /// `brine-server init` was not run, another server runs, or the port is taken.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let Config {
            settings,
            data,
            limits,
        } = config;
        let lock = lock(&data)?;
        let (authority, identity) = identity(&data)?;
        let workload = workload_authority(&data)?;
        let store = Store::open(&data.database(), &data.blobs())?;
        for run in store.interrupt_open_runs(clock::now()).await? {
            tracing::warn!(%run, "a server before this one left this run open: interrupted");
        }
        let key = digest_key(&data)?;
        let secrets = Arc::new(Secrets::new(data.secrets(), key));
        let fleet = fleet::spawn();
        let stopping = CancellationToken::new();
        let runs = Runs::new(
            store.clone(),
            fleet.clone(),
            limits,
            secrets.clone(),
            stopping.clone(),
        );
        let compiler = Compiler::new(
            settings.states.clone(),
            Arc::clone(&secrets),
            data.secrets(),
            store.clone(),
        );
        let listener = bind(&settings.listen_candidates(), &identity)?;
        let addresses = settings.addresses;
        let context = Context {
            store,
            fleet,
            runs,
            compiler,
            secrets,
            authority,
            certificate: identity.certificate.clone(),
            workload,
            queries: Semaphore::new(QUERIES),
            meters: Meters::default(),
            addresses,
        };
        let context = Arc::new(context);
        let web = match settings.http {
            Some(http) => Some(Endpoint::bind(http, &context).await?),
            None => None,
        };
        Ok(Self {
            listener,
            web,
            context,
            stopping,
            limit: limits.shutdown,
            history: Duration::from_secs(u64::from(settings.history) * 24 * 60 * 60),
            _lock: lock,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_address()
    }

    /// Where programs ask, if they may.
    #[must_use]
    pub fn web_address(&self) -> Option<SocketAddr> {
        self.web.as_ref().and_then(|web| web.address().ok())
    }

    /// Serves until `shutdown`, then stops within the limit: first no new connections, then runs
    /// are put down where they stand, then everybody is told, then all tasks have ended.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let quiet = CancellationToken::new();
        if let Some(web) = self.web.take() {
            connections.spawn(web.serve(Arc::clone(&self.context), quiet.clone()));
        }
        tokio::pin!(shutdown);
        let mut hourly = tokio::time::interval(FORGETS);
        let mut kept = tokio::time::interval(KEEPS);
        notify("READY=1");
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                incoming = self.listener.accept() => {
                    let Some(incoming) = incoming else { break };
                    connections.spawn(converse(incoming, Arc::clone(&self.context)));
                }
                _ = kept.tick() => {
                    connections.spawn(keep_reports(Arc::clone(&self.context)));
                }
                _ = hourly.tick() => {
                    connections.spawn(forget(Arc::clone(&self.context), self.history));
                }
                // A connection that panics costs that one.
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection failed");
                    }
                }
            }
        }
        notify("STOPPING=1");
        let end = Instant::now() + self.limit;
        tracing::info!("stopping");
        quiet.cancel();
        self.stopping.cancel();
        let runs = self.context.runs.finished();
        if tokio::time::timeout(self.limit / 2, runs).await.is_err() {
            tracing::warn!("runs could not be put down in time: they are when the server is back");
        }
        tokio::time::sleep(LAST_WORDS.min(self.limit / 8)).await;
        self.listener.shutdown("the server stops").await;
        let left = end.saturating_duration_since(Instant::now());
        let joined = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(left, joined).await.is_err() {
            connections.shutdown().await;
        }
        keep_reports(self.context).await;
    }
}

/// Starts a server and serves until `shutdown`.
///
/// # Errors
/// As [`Server::start`].
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let server = Server::start(config).await?;
    match server.local_address() {
        Ok(address) => tracing::info!(%address, version = crate::VERSION, "listening"),
        Err(error) => tracing::warn!(%error, "listening somewhere"),
    }
    if let Some(address) = server.web_address() {
        tracing::info!(%address, "metrics and discovery over HTTP");
    }
    server.serve(shutdown).await;
    Ok(())
}

async fn keep_reports(context: Arc<Context>) {
    if let Err(error) = context.store.keep_reports().await {
        tracing::error!(%error, "cannot keep who has reported");
    }
}

async fn forget(context: Arc<Context>, history: Duration) {
    match context
        .store
        .forget_changes(clock::now().minus(history))
        .await
    {
        Ok(0) => {}
        Ok(changes) => tracing::info!(changes, "forgot what became different long ago"),
        Err(error) => tracing::error!(%error, "cannot forget old changes"),
    }
}

async fn converse(incoming: Incoming, context: Arc<Context>) {
    let connection = match incoming.handshake().await {
        Ok(connection) => connection,
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::info!("turned away: {error:#}");
            return;
        }
    };
    match connection.alpn() {
        Alpn::Enroll => enrol::handler::serve(connection, &context).await,
        Alpn::Agent => agents::serve(connection, context).await,
        Alpn::Ctl => operators::serve(connection, context).await,
    }
}

fn bind(addresses: &[SocketAddr], identity: &ServerIdentity) -> Result<Listener, ServeError> {
    let mut last = ServeError::NoAddress;
    for address in addresses {
        match Listener::bind(*address, identity) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Two servers on one database would not know of each other's runs.
fn lock(data: &DataPaths) -> Result<File, ServeError> {
    let path = data.lock();
    if !data.root().exists() {
        return Err(ServeError::NotInitialized(data.root().to_owned()));
    }
    let failed = |source| ServeError::Lock {
        path: path.clone(),
        source,
    };
    let options = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = options.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ServeError::Running(data.root().to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The authority and the server's own identity, as `init` left them.
pub(crate) fn identity(data: &DataPaths) -> Result<(Authority, ServerIdentity), ServeError> {
    let text = |path: PathBuf| files::read_text(&path)?.ok_or(ServeError::NotInitialized(path));
    let authority = Authority::load(&text(data.ca_certificate())?, &text(data.ca_key())?)?;
    let what = "the server's certificate";
    let certificate = certificate_from_pem(&text(data.certificate())?)
        .map_err(|source| ServeError::Identity { what, source })?;
    let what = "the server's key";
    let key = Key::from_pem(&text(data.key())?)
        .map_err(|source| ServeError::Identity { what, source })?;
    let ca = authority.certificate_der().to_vec();
    Ok((
        authority,
        ServerIdentity {
            ca,
            certificate,
            key,
        },
    ))
}

/// The authority for what runs on nodes. A server that was made before there was one makes it now.
pub(crate) fn workload_authority(data: &DataPaths) -> Result<Authority, ServeError> {
    let (certificate, key) = (data.workload_certificate(), data.workload_key());
    // The key is written first: a certificate without one would be a crash in between.
    if !certificate.exists() {
        let authority = Authority::create(clock::now())?;
        files::replace(&key, authority.key_pem().as_bytes(), 0o600)?;
        files::replace(&certificate, authority.certificate_pem().as_bytes(), 0o644)?;
    }
    let text = |path: PathBuf| files::read_text(&path)?.ok_or(ServeError::NotInitialized(path));
    Ok(Authority::load(&text(certificate)?, &text(key)?)?)
}

fn digest_key(data: &DataPaths) -> Result<[u8; 32], ServeError> {
    let path = data.digest_key();
    let text = files::read_text(&path)?.ok_or(ServeError::NotInitialized(path))?;
    let digest: brine_model::digest::Digest =
        text.trim().parse().map_err(|_| ServeError::DigestKey)?;
    Ok(*digest.as_bytes())
}
