//! Who the node is, and whom it trusts.

use std::path::{Path, PathBuf};

use brine_transport::identity::{Key, certificate_from_pem, certificate_to_pem};
use brine_transport::peer::Peer;

use super::State;
use super::atomic;
use super::binding;
use super::error::StateError;

/// From the join token, kept for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// DER of the authority's certificate: the only one whose server is believed.
    pub ca: Vec<u8>,
    /// `host:port`, tried in turn.
    pub addresses: Vec<String>,
}

/// The node's certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub der: Vec<u8>,
    /// What it says.
    pub peer: Peer,
}

impl State {
    /// The node's key, made when first asked for. It never leaves the machine.
    ///
    /// # Errors
    /// It cannot be read, made or kept.
    pub fn key(&self) -> Result<Key, StateError> {
        let path = self.path("key.pem");
        if let Some(bytes) = atomic::read(&path).map_err(StateError::io("read", &path))? {
            let text = String::from_utf8_lossy(&bytes);
            return Key::from_pem(&text).map_err(|error| StateError::damaged(&path, error));
        }
        let key = Key::generate().map_err(StateError::Key)?;
        atomic::write(&path, key.to_pem().as_bytes()).map_err(StateError::io("write", &path))?;
        Ok(key)
    }

    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self) -> Result<Option<Certificate>, StateError> {
        read_certificate(&self.directory)
    }

    /// # Errors
    /// It cannot be written.
    pub fn set_certificate(&self, der: &[u8]) -> Result<(), StateError> {
        self.put("certificate.pem", certificate_to_pem(der).as_bytes())
    }

    /// # Errors
    /// It cannot be read.
    pub fn server(&self) -> Result<Option<Server>, StateError> {
        read_server(&self.directory)
    }

    /// # Errors
    /// It cannot be written.
    pub fn set_server(&self, server: &Server) -> Result<(), StateError> {
        self.put(
            "servers",
            format!("{}\n", server.addresses.join("\n")).as_bytes(),
        )?;
        self.put("ca.pem", certificate_to_pem(&server.ca).as_bytes())
    }

    /// Gives up who the node was: the server does not know it any more, and a new token is here.
    /// What it did (jobs, records) stays. The certificate goes first: what is left is a key that
    /// may ask for another one.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub fn start_anew(&self) -> Result<(), StateError> {
        let files = [
            "certificate.pem",
            "key.pem",
            "servers",
            "ca.pem",
            "applied",
            "secrets",
            "begun",
            "drift",
            "last",
        ];
        binding::set_aside(&self.directory, files.map(|name| self.path(name)).to_vec())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path(name);
        atomic::write(&path, bytes).map_err(StateError::io("write", &path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Also without being the agent.
///
/// # Errors
/// It cannot be read, or makes no sense.
pub fn read_certificate(directory: &Path) -> Result<Option<Certificate>, StateError> {
    let path = directory.join("certificate.pem");
    let Some(der) = read_pem(&path)? else {
        return Ok(None);
    };
    let peer = Peer::of(&der).map_err(|error| StateError::damaged(&path, error))?;
    Ok(Some(Certificate { der, peer }))
}

/// Also without being the agent.
///
/// # Errors
/// It cannot be read, or makes no sense.
pub fn read_server(directory: &Path) -> Result<Option<Server>, StateError> {
    let path = directory.join("servers");
    let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
    let (Some(ca), Some(bytes)) = (read_pem(&directory.join("ca.pem"))?, bytes) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let addresses = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(Some(Server {
        ca,
        addresses: addresses.map(str::to_owned).collect(),
    }))
}

fn read_pem(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let Some(bytes) = atomic::read(path).map_err(StateError::io("read", path))? else {
        return Ok(None);
    };
    certificate_from_pem(&String::from_utf8_lossy(&bytes))
        .map(Some)
        .map_err(|error| StateError::damaged(path, error))
}
