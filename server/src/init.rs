//! Making a server, and operators for it. Doing it again changes nothing that is there.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use brine_model::name::OperatorName;
use brine_transport::authority::{Authority, AuthorityError, Subject};
use brine_transport::identity::{IdentityError, Key, certificate_from_pem, certificate_to_pem};
use brine_transport::join::is_server;
use brine_transport::peer::Peer;
use serde::{Deserialize, Serialize};

use crate::config::{
    ConfigError, DEFAULT_HISTORY, DEFAULT_STATES, DataPaths, Http, Settings, Timeouts,
};
use crate::files::{self, FileError};
use crate::serve::{ServeError, identity, workload_authority};
use crate::store::{AuditEntry, OperatorRecord, Store, StoreError};
use crate::{clock, random, secrets};

/// The operator that `init` makes.
pub const FIRST_OPERATOR: &str = "admin";

/// What `brine-server init` was told.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    pub config: PathBuf,
    pub ctl: PathBuf,
    pub states: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub addresses: Vec<String>,
    /// Where to listen for programs, over HTTP.
    pub http: Option<SocketAddr>,
}

/// What there is now, for people.
#[derive(Debug)]
pub struct Initialized {
    pub settings: Settings,
    pub new_authority: bool,
    pub new_operator: bool,
}

/// Everything that `ctl` needs to find the server and be somebody there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub servers: Vec<String>,
    pub ca: String,
    pub certificate: String,
    pub key: String,
    pub operator: String,
}

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot make the directory {path}", path = path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("`{0}` is not HOST:PORT")]
    Address(String),
    #[error("{path} is missing, but its certificate is there: restore the key from a backup", path = .0.display())]
    KeyLost(PathBuf),
    #[error("cannot make a certificate")]
    Authority(#[from] AuthorityError),
    #[error("cannot make a key")]
    Key(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("there is an operator `{0}` already")]
    OperatorExists(OperatorName),
    #[error("there is no operator `{0}`")]
    NoOperator(OperatorName),
    #[error("cannot write the connection settings")]
    Json(#[from] serde_json::Error),
    #[error("the configuration cannot be written as YAML")]
    Yaml,
}

/// Makes a server, or whatever is missing of one.
///
/// # Errors
/// Something cannot be written; a key is lost.
pub async fn init(data: &DataPaths, options: &InitOptions) -> Result<Initialized, InitError> {
    if let Some(bad) = options.addresses.iter().find(|address| !is_server(address)) {
        return Err(InitError::Address(bad.clone()));
    }
    files::private_directory(data.root())?;
    files::private_directory(&data.blobs())?;
    let (authority, new_authority) = authority(data)?;
    server_certificate(data, &authority)?;
    workload_authority(data)?;
    let key = brine_model::digest::Digest::from_bytes(random::bytes());
    files::create(&data.digest_key(), format!("{key}\n").as_bytes(), 0o600)?;
    files::create(&data.secrets(), secrets::HEADER.as_bytes(), 0o600)?;
    let store = Store::open(&data.database(), &data.blobs())?;
    let settings = settings(options)?;
    make_directory(&settings.states)?;
    let new_operator = first_operator(&store, &authority, &settings, &options.ctl).await?;
    Ok(Initialized {
        settings,
        new_authority,
        new_operator,
    })
}

/// Makes another operator; his connection settings hold his key and are nowhere else.
///
/// # Errors
/// There is one of that name.
pub async fn add_operator(
    data: &DataPaths,
    settings: &Settings,
    name: OperatorName,
) -> Result<Connection, InitError> {
    let (authority, _) = identity(data)?;
    let store = Store::open(&data.database(), &data.blobs())?;
    let mut servers = settings.addresses.clone();
    if servers.is_empty() {
        servers.push(settings.local_address().to_string());
    }
    let (connection, record) = operator(&authority, &name, servers)?;
    if store.add_operator(record).await? {
        Ok(connection)
    } else {
        Err(InitError::OperatorExists(name))
    }
}

/// Takes an operator's rights away, with his next request at the latest.
///
/// # Errors
/// There is none of that name.
pub async fn remove_operator(data: &DataPaths, name: OperatorName) -> Result<(), InitError> {
    let store = Store::open(&data.database(), &data.blobs())?;
    if store.remove_operator(name.clone()).await? {
        Ok(())
    } else {
        Err(InitError::NoOperator(name))
    }
}

/// Names and fingerprints.
///
/// # Errors
/// The database cannot be read.
pub async fn operators(data: &DataPaths) -> Result<Vec<(OperatorName, String)>, InitError> {
    let store = Store::open(&data.database(), &data.blobs())?;
    let known = store.operators().await?;
    Ok(known
        .into_iter()
        .map(|operator| (operator.name, operator.fingerprint))
        .collect())
}

/// The audit log, one tab-separated line each, newest first.
///
/// # Errors
/// The database cannot be read.
pub async fn audit(data: &DataPaths, limit: u32) -> Result<String, InitError> {
    let store = Store::open(&data.database(), &data.blobs())?;
    let line = |entry: AuditEntry| {
        let AuditEntry {
            at,
            operator,
            peer,
            what,
            outcome,
        } = entry;
        let time = jiff::Timestamp::from_nanosecond(at.0.into()).unwrap_or_default();
        format!("{time:.0}\t{operator}\t{peer}\t{what}\t{outcome}\n")
    };
    Ok(store
        .audit_log(limit)
        .await?
        .into_iter()
        .map(line)
        .collect())
}

impl Connection {
    /// As `ctl` reads it.
    ///
    /// # Errors
    /// Never, in practice.
    pub fn to_json(&self) -> Result<String, InitError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The certificate is written last: where it is missing, nobody can know this authority yet.
fn authority(data: &DataPaths) -> Result<(Authority, bool), InitError> {
    let certificate = files::read_text(&data.ca_certificate())?;
    if let Some(certificate) = certificate {
        let key = files::read_text(&data.ca_key())?;
        let key = key.ok_or_else(|| InitError::KeyLost(data.ca_key()))?;
        return Ok((Authority::load(&certificate, &key)?, false));
    }
    let authority = Authority::create(clock::now())?;
    files::replace(&data.ca_key(), authority.key_pem().as_bytes(), 0o600)?;
    files::create(
        &data.ca_certificate(),
        authority.certificate_pem().as_bytes(),
        0o644,
    )?;
    Ok((authority, true))
}

fn server_certificate(data: &DataPaths, authority: &Authority) -> Result<(), InitError> {
    if files::read(&data.certificate())?.is_some() && files::read(&data.key())?.is_some() {
        return Ok(());
    }
    let key = Key::generate()?;
    let subject = Subject::Server;
    let issued = authority.issue(&subject, &key.public(), clock::now(), subject.validity())?;
    files::replace(&data.key(), key.to_pem().as_bytes(), 0o600)?;
    files::replace(
        &data.certificate(),
        certificate_to_pem(&issued.der).as_bytes(),
        0o644,
    )?;
    Ok(())
}

/// What was told now goes over what the file says, that over the defaults.
fn settings(options: &InitOptions) -> Result<Settings, InitError> {
    let known = match Settings::load(&options.config) {
        Ok(settings) => Some(settings),
        Err(ConfigError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mut settings = known.clone().unwrap_or_else(|| Settings {
        listen: None,
        states: DEFAULT_STATES.into(),
        addresses: Vec::new(),
        history: DEFAULT_HISTORY,
        http: None,
        timeouts: Timeouts::default(),
    });
    settings.listen = options.listen.or(settings.listen);
    if let Some(listen) = options.http {
        settings.http = Some(match settings.http {
            Some(known) => Http { listen, ..known },
            None => Http::on(listen),
        });
    }
    if let Some(states) = &options.states {
        settings.states = std::path::absolute(states).map_err(|source| InitError::Directory {
            path: states.clone(),
            source,
        })?;
    }
    if !options.addresses.is_empty() {
        settings.addresses.clone_from(&options.addresses);
    } else if settings.addresses.is_empty() {
        settings.addresses = vec![own_address(settings.local_address())];
    }
    if known.as_ref() != Some(&settings) {
        let text = serde_saphyr::to_string(&settings).map_err(|_| InitError::Yaml)?;
        if let Some(parent) = options.config.parent() {
            make_directory(parent)?;
        }
        files::replace(&options.config, text.as_bytes(), 0o644)?;
    }
    Ok(settings)
}

/// The address of this machine that the rest of the world sees, as far as it can tell: nothing is
/// sent, the kernel only looks up a route.
fn own_address(local: SocketAddr) -> String {
    if !local.ip().is_loopback() {
        return local.to_string();
    }
    let route = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
        socket.connect(("192.0.2.1", 9))?;
        socket.local_addr()
    });
    match route {
        Ok(address) => SocketAddr::new(address.ip(), local.port()).to_string(),
        Err(_) => local.to_string(),
    }
}

/// The operator on this machine itself. Tells whether he is new.
async fn first_operator(
    store: &Store,
    authority: &Authority,
    settings: &Settings,
    path: &Path,
) -> Result<bool, InitError> {
    let servers = vec![settings.local_address().to_string()];
    if let Some(mut known) = known_operator(store, path).await? {
        if known.servers != servers {
            known.servers = servers;
            files::replace(path, known.to_json()?.as_bytes(), 0o600)?;
        }
        return Ok(false);
    }
    let name: OperatorName = FIRST_OPERATOR.parse().map_err(|_| InitError::Yaml)?;
    let (connection, record) = operator(authority, &name, servers)?;
    // Root on this machine is whoever he wants to be: a lost file is made anew.
    store.remove_operator(name).await?;
    store.add_operator(record).await?;
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    files::replace(path, connection.to_json()?.as_bytes(), 0o600)?;
    Ok(true)
}

/// The settings at `path`, if they are still good for something.
async fn known_operator(store: &Store, path: &Path) -> Result<Option<Connection>, InitError> {
    let Some(text) = files::read_text(path)? else {
        return Ok(None);
    };
    let Ok(connection) = serde_json::from_str::<Connection>(&text) else {
        return Ok(None);
    };
    let peer = certificate_from_pem(&connection.certificate)
        .ok()
        .and_then(|c| Peer::of(&c).ok());
    let Some((peer, name)) = peer.zip(connection.operator.parse().ok()) else {
        return Ok(None);
    };
    let soon = clock::now().plus(Duration::from_secs(30 * 24 * 60 * 60));
    let lasts = peer.expires.is_some_and(|expires| expires > soon);
    let registered = match peer.fingerprint {
        Some(fingerprint) => store.is_operator(name, fingerprint).await?,
        None => false,
    };
    Ok((lasts && registered).then_some(connection))
}

fn operator(
    authority: &Authority,
    name: &OperatorName,
    servers: Vec<String>,
) -> Result<(Connection, OperatorRecord), InitError> {
    let key = Key::generate()?;
    let subject = Subject::Operator(name.clone());
    let now = clock::now();
    let issued = authority.issue(&subject, &key.public(), now, subject.validity())?;
    let connection = Connection {
        servers,
        ca: authority.certificate_pem(),
        certificate: certificate_to_pem(&issued.der),
        key: key.to_pem().to_string(),
        operator: name.to_string(),
    };
    let record = OperatorRecord {
        name: name.clone(),
        fingerprint: issued.fingerprint,
        created: now,
    };
    Ok((connection, record))
}

fn make_directory(path: &Path) -> Result<(), InitError> {
    fs::create_dir_all(path).map_err(|source| InitError::Directory {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_second_time_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let data = DataPaths::new(root.join("data"));
        let mut options = InitOptions {
            config: root.join("etc/server.yaml"),
            ctl: root.join("etc/ctl.json"),
            states: Some(root.join("states")),
            listen: Some("127.0.0.1:4640".parse().expect("an address")),
            addresses: vec!["brine.example:4640".into()],
            http: None,
        };
        let first = init(&data, &options).await.expect("made");
        assert!(first.new_authority && first.new_operator);
        let read = || {
            let paths = [
                data.ca_certificate(),
                data.ca_key(),
                data.key(),
                options.ctl.clone(),
            ];
            paths.map(|path| fs::read(path).expect("there"))
        };
        let before = read();
        let again = init(
            &data,
            &InitOptions {
                addresses: vec![],
                ..options.clone()
            },
        )
        .await;
        let again = again.expect("made");
        assert!(!again.new_authority && !again.new_operator);
        assert_eq!(again.settings, first.settings);
        assert_eq!(read(), before);
        for private in [
            data.ca_key(),
            data.key(),
            data.secrets(),
            options.ctl.clone(),
        ] {
            let mode = fs::metadata(&private).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", private.display());
        }
        let mode = fs::metadata(data.root())
            .expect("there")
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, 0o700);
        // An authority that lost its key is never replaced behind people's backs.
        fs::remove_file(data.ca_key()).expect("removed");
        assert!(matches!(
            init(&data, &options).await,
            Err(InitError::KeyLost(_))
        ));
        options.addresses = vec!["no-port".into()];
        assert!(matches!(
            init(&data, &options).await,
            Err(InitError::Address(_))
        ));
    }

    #[tokio::test]
    async fn operators_come_and_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let data = DataPaths::new(root.join("data"));
        let options = InitOptions {
            config: root.join("server.yaml"),
            ctl: root.join("ctl.json"),
            states: Some(root.join("states")),
            ..InitOptions::default()
        };
        let settings = init(&data, &options).await.expect("made").settings;
        let name: OperatorName = "oncall".parse().expect("a name");
        let connection = add_operator(&data, &settings, name.clone())
            .await
            .expect("added");
        assert_eq!(connection.operator, "oncall");
        let twice = add_operator(&data, &settings, name.clone()).await;
        assert!(matches!(twice, Err(InitError::OperatorExists(_))));
        assert_eq!(operators(&data).await.expect("read").len(), 2);
        remove_operator(&data, name.clone()).await.expect("removed");
        assert!(matches!(
            remove_operator(&data, name).await,
            Err(InitError::NoOperator(_))
        ));
    }
}
