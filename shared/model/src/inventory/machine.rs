//! How collectors look at a machine.

use crate::catalog::{Catalog, Entry};
use crate::drift::Ledger;
use crate::live::LiveFacts;
use crate::time::Timestamp;

/// A machine, for looking only. Nothing here may wait for long: what is under a mount that may hang
/// is not looked at.
pub trait Machine {
    /// A file's content; at most 64 MiB of it.
    ///
    /// # Errors
    /// It is not there or cannot be read, in words for people.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// What is in a directory, sorted by name; empty where there is none.
    fn list(&self, path: &str) -> Vec<(String, Kind)>;

    /// Where a symbolic link points; none where there is none.
    fn link(&self, path: &str) -> Option<String>;

    /// Every unit of systemd: those that are loaded, and those that have a file only.
    ///
    /// # Errors
    /// systemd cannot be asked.
    fn units(&self) -> Result<Vec<Unit>, String>;

    /// The certificates in a text of PEM, in order; what is none is left out.
    fn certificates(&self, pem: &[u8]) -> Vec<Certificate>;

    /// The catalog applied last; none where none was.
    ///
    /// # Errors
    /// It cannot be read.
    fn applied(&self) -> Result<Option<Catalog>, String>;

    /// What these resources tell of themselves now.
    fn live(&self, sources: &[Entry]) -> LiveFacts;

    /// What differs from the last applied catalog, and what was mended.
    ///
    /// # Errors
    /// The agent's note of it cannot be read.
    fn drift(&self) -> Result<Ledger, String>;

    /// SHA-256, as OpenSSH's fingerprints of keys have it.
    fn sha256(&self, bytes: &[u8]) -> [u8; 32];

    /// A file's content as text; bytes that are none are replaced.
    ///
    /// # Errors
    /// As [`Machine::read`].
    fn text(&self, path: &str) -> Result<String, String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Other,
}

/// An X.509 certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// In the words of RFC 4514, as far as X.509 libraries agree on them.
    pub subject: String,
    pub issuer: String,
    /// DNS names and addresses that it is for, sorted.
    pub names: Vec<String>,
    pub starts: Timestamp,
    pub expires: Timestamp,
    /// It may sign others.
    pub authority: bool,
}

/// A unit as systemd has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// With its suffix.
    pub name: String,
    /// `active`, `inactive`, `failed`; `inactive` where it is not loaded.
    pub active: String,
    /// `running`, `exited`, `dead`.
    pub sub: String,
    /// `enabled`, `disabled`, `static`, `masked`; none where it has no file.
    pub enabled: Option<String>,
    pub description: String,
}
