//! Talking to systemd over D-Bus.
//!
//! One short-lived runtime per connection keeps the callers synchronous; a connection that broke
//! (`systemctl daemon-reexec` cuts them all) is made anew by the next call.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brine_model::host::HostError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Type};
use zbus::{Connection, connection};

use super::jobs::Jobs;

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// For any single call; a manager that does not answer for so long is in deep trouble.
const CALL: Duration = Duration::from_secs(120);

/// Why a call failed, with the error's D-Bus name where there is one.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) name: String,
    pub(super) message: String,
}

impl CallError {
    pub(super) fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    pub(super) fn into_host(self, operation: impl Into<String>) -> HostError {
        HostError::failed(operation, self.message)
    }
}

impl From<zbus::Error> for CallError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => Self {
                name: name.to_string(),
                message: message.unwrap_or_else(|| name.to_string()),
            },
            other => Self {
                name: String::new(),
                message: other.to_string(),
            },
        }
    }
}

/// The manager of the machine; connects when first asked.
pub(super) struct Systemd {
    private: PathBuf,
    /// Not in tests: those must not reach the machine's own.
    may_use_bus: bool,
    runtime: OnceCell<Runtime>,
    connection: RefCell<Option<Connection>>,
}

impl Systemd {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            private: root.join("run/systemd/private"),
            may_use_bus: root == Path::new("/"),
            runtime: OnceCell::new(),
            connection: RefCell::new(None),
        }
    }

    /// Whether the machine runs systemd at all, as `sd_booted(3)` finds out.
    pub(super) fn is_there(&self) -> bool {
        self.private
            .parent()
            .is_some_and(|run| run.join("system").exists())
    }

    /// `running`, `degraded`, `starting`, `stopping`, …; empty where it does not say.
    pub(super) fn state(&self) -> String {
        let found = self.properties(MANAGER_PATH, MANAGER).unwrap_or_default();
        let state = found.get("SystemState");
        state
            .and_then(|state| state.downcast_ref::<String>().ok())
            .unwrap_or_default()
    }

    /// Calls a method of the manager.
    pub(super) fn call<B, R>(&self, method: &str, body: &B) -> Result<R, CallError>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.call_at(MANAGER_PATH, MANAGER, method, body)
    }

    /// All properties of one interface of an object.
    pub(super) fn properties(
        &self,
        path: &str,
        interface: &str,
    ) -> Result<std::collections::HashMap<String, OwnedValue>, CallError> {
        self.call_at(path, PROPERTIES, "GetAll", &(interface,))
    }

    fn call_at<B, R>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<R, CallError>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.with(async |connection| {
            let reply = connection
                .call_method(Some(SERVICE), path, Some(interface), method, body)
                .await?;
            Ok(reply.body().deserialize::<R>()?)
        })
    }

    /// Starts something that gives a job, and waits until the job is removed.
    ///
    /// The subscription comes first: a job may be over before the call that began it returns.
    pub(super) fn job<B>(
        &self,
        method: &str,
        body: &B,
        limit: Duration,
    ) -> Result<String, CallError>
    where
        B: Serialize + DynamicType,
    {
        self.with(async |connection| {
            let mut jobs = Jobs::subscribe(connection).await?;
            let reply = connection
                .call_method(Some(SERVICE), MANAGER_PATH, Some(MANAGER), method, body)
                .await?;
            let job: OwnedObjectPath = reply.body().deserialize()?;
            jobs.wait(&job, limit).await
        })
    }

    /// Runs `ask` on the connection. One that turns out to be broken is dropped, so that the next
    /// call connects anew; this one fails, for it may have been carried out.
    fn with<R>(
        &self,
        ask: impl AsyncFnOnce(&Connection) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let runtime = self.runtime()?;
        let connection = match self.usable() {
            Some(connection) => connection,
            None => {
                let connection = within(runtime, CALL, connect(&self.private, self.may_use_bus))??;
                self.connection.replace(Some(connection.clone()));
                connection
            }
        };
        let result = runtime.block_on(ask(&connection));
        if matches!(&result, Err(error) if error.name.is_empty()) {
            self.connection.replace(None);
        }
        result
    }

    /// What arrived since the last call is read first: so a connection that systemd has closed in
    /// the meantime is noticed before something is asked of it.
    fn usable(&self) -> Option<Connection> {
        let connection = self.connection.borrow().clone()?;
        let runtime = self.runtime().ok()?;
        runtime.block_on(async {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        });
        let closed = connection.is_closed();
        if closed {
            self.connection.replace(None);
        }
        (!closed).then_some(connection)
    }

    fn runtime(&self) -> Result<&Runtime, CallError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CallError {
                name: String::new(),
                message: error.to_string(),
            })?;
        Ok(self.runtime.get_or_init(|| runtime))
    }
}

fn within<R>(
    runtime: &Runtime,
    limit: Duration,
    future: impl Future<Output = R>,
) -> Result<R, CallError> {
    runtime
        .block_on(async { timeout(limit, future).await })
        .map_err(|_| CallError {
            name: String::new(),
            message: format!("systemd does not answer within {} s", limit.as_secs()),
        })
}

/// The system bus; in tests, the socket under their root.
///
/// Not the manager's private socket: it signs its messages with a well-known name where the
/// specification wants a unique one, and zbus panics on that.
async fn connect(private: &Path, may_use_bus: bool) -> Result<Connection, CallError> {
    if !may_use_bus {
        let stream = tokio::net::UnixStream::connect(private)
            .await
            .map_err(|error| CallError {
                name: String::new(),
                message: format!("{}: {error}", private.display()),
            })?;
        let builder = connection::Builder::unix_stream(stream)
            .p2p()
            .method_timeout(CALL);
        return Ok(builder.build().await?);
    }
    Ok(subscribed().await?)
}

/// On what the machine runs, in the manager's words: `kvm`, `lxc`, `none`; empty where nobody tells.
pub(crate) fn virtualisation(root: &Path) -> String {
    let systemd = Systemd::new(root);
    if !systemd.is_there() {
        return String::new();
    }
    let found = systemd.properties(MANAGER_PATH, MANAGER);
    let found = found.unwrap_or_default();
    match found
        .get("Virtualization")
        .map(|text| text.downcast_ref::<String>())
    {
        Some(Ok(text)) if text.is_empty() => "none".to_owned(),
        Some(Ok(text)) => text,
        _ => String::new(),
    }
}

/// The system bus, with signals of the manager.
pub(crate) async fn subscribed() -> zbus::Result<Connection> {
    let bus = connection::Builder::system()?
        .method_timeout(CALL)
        .build()
        .await?;
    // Without a subscriber, the manager sends none.
    bus.call_method(Some(SERVICE), MANAGER_PATH, Some(MANAGER), "Subscribe", &())
        .await?;
    Ok(bus)
}
