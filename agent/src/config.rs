//! What an agent is told from outside: where things are. Everything else comes from its server.

use std::path::PathBuf;

/// Plain data: tests make their own.
#[derive(Debug, Clone)]
pub struct Config {
    /// `/`, but in tests.
    pub root: PathBuf,
    /// The state directory.
    pub state: PathBuf,
}

impl Config {
    /// This machine.
    #[must_use]
    pub fn system(state: PathBuf) -> Self {
        Self {
            root: PathBuf::from("/"),
            state,
        }
    }
}
