//! What every connection may use.

use std::sync::Arc;

use brine_model::digest::Digest;
use brine_transport::authority::Authority;
use brine_transport::join::{InvalidToken, JoinToken, new_secret};

use crate::compile::Compiler;
use crate::fleet::FleetHandle;
use crate::meters::Meters;
use crate::runs::Runs;
use crate::secrets::Secrets;
use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Context {
    pub store: Store,
    pub fleet: FleetHandle,
    pub runs: Runs,
    pub compiler: Compiler,
    pub secrets: Arc<Secrets>,
    pub authority: Authority,
    /// The server's own, DER.
    pub certificate: Vec<u8>,
    /// Signs what runs on nodes, and never a node or an operator.
    pub workload: Authority,
    /// Turns for queries.
    pub queries: tokio::sync::Semaphore,
    pub meters: Meters,
    /// Put into join tokens.
    pub addresses: Vec<String>,
}

/// A join token that was just made: the text is shown once, the rest is kept.
pub(crate) struct Minted {
    pub id: String,
    pub hash: Digest,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    #[error("the system gives no random numbers")]
    Random,
    #[error(transparent)]
    Token(#[from] InvalidToken),
}

impl Context {
    /// Makes a join token with a secret of its own.
    ///
    /// # Errors
    /// The addresses of the configuration are not such that a node could dial them.
    pub(crate) fn mint(&self) -> Result<Minted, MintError> {
        let secret = new_secret().ok_or(MintError::Random)?;
        let hash = Digest::of(secret.reveal().as_bytes());
        let token = JoinToken {
            servers: self.addresses.clone(),
            ca: self.authority.certificate_der().to_vec(),
            secret: Some(secret),
        };
        Ok(Minted {
            id: hash.short(),
            hash,
            text: token.to_text()?.to_string(),
        })
    }
}
