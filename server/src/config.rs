//! Where the server keeps things, and what its configuration file says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use brine_wire::DEFAULT_PORT;
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};

/// Overrides the data directory, for tests and several servers on one machine.
pub const DATA_VARIABLE: &str = "BRINE_SERVER_DATA";
/// Overrides where `init` writes the first operator's connection settings.
pub const CTL_VARIABLE: &str = "BRINE_CTL_CONFIG";
pub const DEFAULT_DATA: &str = "/var/lib/brine-server";
pub const DEFAULT_CONFIG: &str = "/etc/brine/server.yaml";
pub const DEFAULT_CTL: &str = "/etc/brine/ctl.json";
/// What the shipped library gives the collector of metrics.
pub const DEFAULT_HTTP_TOKEN: &str = "victoria_metrics.server_token";
/// Days.
pub const DEFAULT_HISTORY: u32 = 90;
pub const DEFAULT_STATES: &str = "/srv/brine/states";

/// The configuration file. Secrets and keys are never in it: it may be world-readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// UDP address to listen on; left out: `[::]:4640`, or `0.0.0.0:4640` without IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The state tree.
    #[serde(default = "default_states")]
    pub states: PathBuf,
    /// `host:port` that nodes dial, tried in turn: they are put into join tokens.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Days for which it is kept what became different on nodes.
    #[serde(
        default = "default_history",
        skip_serializing_if = "is_default_history"
    )]
    pub history: u32,
    /// Metrics and service discovery for programs; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// How long parts of a run may take.
    #[serde(default, skip_serializing_if = "Timeouts::is_usual")]
    pub timeouts: Timeouts,
}

/// Where programs ask for metrics and for all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// TCP address to listen on.
    pub listen: SocketAddr,
    /// With a certificate of the authority for what runs on nodes; plainly only on purpose.
    #[serde(default = "yes")]
    pub tls: bool,
    /// Name of the secret that is asked for, `FORMULA.PARAMETER`.
    #[serde(default = "default_http_token")]
    pub token: String,
}

impl Http {
    /// As usual, but where it listens.
    #[must_use]
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: true,
            token: default_http_token(),
        }
    }
}

const fn yes() -> bool {
    true
}

fn default_http_token() -> String {
    DEFAULT_HTTP_TOKEN.to_owned()
}

/// In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// A node's plan.
    pub plan: u32,
    /// A node's apply.
    pub apply: u32,
    /// An operator's yes.
    pub approval: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            plan: 2 * 60,
            apply: 30 * 60,
            approval: 15 * 60,
        }
    }
}

impl Timeouts {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

const fn default_history() -> u32 {
    DEFAULT_HISTORY
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
const fn is_default_history(days: &u32) -> bool {
    *days == DEFAULT_HISTORY
}

fn default_states() -> PathBuf {
    PathBuf::from(DEFAULT_STATES)
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("there is no configuration at {path}: run `brine-server init` first", path = .0.display())]
    Missing(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} is not a valid configuration", path = path.display())]
    Invalid {
        path: PathBuf,
        source: Box<serde_saphyr::Error>,
    },
}

impl Settings {
    /// Reads the configuration file.
    ///
    /// # Errors
    /// It is missing, unreadable, or has a key or value that no setting has.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = files::read_text(path)?.ok_or_else(|| ConfigError::Missing(path.to_owned()))?;
        serde_saphyr::from_str(&text).map_err(|source| ConfigError::Invalid {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// The addresses to try to listen on: the first that works is taken.
    #[must_use]
    pub fn listen_candidates(&self) -> Vec<SocketAddr> {
        match self.listen {
            Some(address) => vec![address],
            None => vec![
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DEFAULT_PORT),
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT),
            ],
        }
    }

    /// Where a client on this machine reaches the server.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        match self.listen {
            Some(address) if !address.ip().is_unspecified() => address,
            Some(address) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
        }
    }
}

/// Everything under the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPaths {
    root: PathBuf,
}

impl DataPaths {
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// From the environment, or the default.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(std::env::var_os(DATA_VARIABLE).unwrap_or_else(|| DEFAULT_DATA.into()))
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Certificate and key of the CA, then of the server.
    #[must_use]
    pub fn ca_certificate(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    #[must_use]
    pub fn ca_key(&self) -> PathBuf {
        self.root.join("ca.key")
    }

    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.root.join("server.pem")
    }

    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.root.join("server.key")
    }

    /// Of the authority for what runs on nodes.
    #[must_use]
    pub fn workload_certificate(&self) -> PathBuf {
        self.root.join("workload-ca.pem")
    }

    #[must_use]
    pub fn workload_key(&self) -> PathBuf {
        self.root.join("workload-ca.key")
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("brine.db")
    }

    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets.yaml")
    }

    /// The key under which digests of secrets are made.
    #[must_use]
    pub fn digest_key(&self) -> PathBuf {
        self.root.join("digest.key")
    }

    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Locked while a server runs on this directory.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}

/// How long things may take; tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A node's plan.
    pub plan: Duration,
    /// A node's apply.
    pub apply: Duration,
    /// An operator's yes.
    pub approval: Duration,
    /// A member that is disconnected at a gate may come back for this long: agents restart.
    pub reconnect: Duration,
    /// At a gate, a member whose health does not hold at once is asked for this long.
    pub gate: Duration,
    /// Where it is not clear who does what is done once, members are asked for this long: a leader may
    /// be about to be elected, a member have come back a moment ago.
    pub choice: Duration,
    /// Who does not answer for this long is not there, though its connection may be.
    pub sign_of_life: Duration,
    /// Between the order to stop and the end of the process.
    pub shutdown: Duration,
}

impl From<Timeouts> for Limits {
    fn from(timeouts: Timeouts) -> Self {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Self {
            plan: seconds(timeouts.plan),
            apply: seconds(timeouts.apply),
            approval: seconds(timeouts.approval),
            reconnect: Duration::from_secs(5),
            gate: Duration::from_secs(5),
            choice: Duration::from_secs(20),
            sign_of_life: Duration::from_secs(5),
            shutdown: Duration::from_secs(8),
        }
    }
}

/// Everything that [`crate::run`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    pub settings: Settings,
    pub data: DataPaths,
    pub limits: Limits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |text: &str| {
            let path = folder.path().join("server.yaml");
            std::fs::write(&path, text).expect("written");
            Settings::load(&path)
        };
        let settings = check("listen: 127.0.0.1:1\naddresses: [a:1]\n").expect("valid");
        assert_eq!(settings.states, Path::new(DEFAULT_STATES));
        assert_eq!(settings.local_address().to_string(), "127.0.0.1:1");
        assert!(matches!(
            check("lisen: x"),
            Err(ConfigError::Invalid { .. })
        ));
        assert!(matches!(
            check("listen: nowhere"),
            Err(ConfigError::Invalid { .. })
        ));
        let missing = Settings::load(&folder.path().join("none"));
        assert!(matches!(missing, Err(ConfigError::Missing(_))));
    }
}
