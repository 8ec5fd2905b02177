//! TLS for those who speak HTTP: programs that are none of ours, so with every key exchange that they may have.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::identity::Key;
use crate::tls::IdentityUnusable;

/// A connection after its handshake.
pub type Secured = TlsStream<TcpStream>;

/// Takes handshakes as whoever the certificate names. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// `certificate` is DER; clients find its authority elsewhere.
    ///
    /// # Errors
    /// Certificate and key do not belong together.
    pub fn new(certificate: &[u8], key: &Key) -> Result<Self, IdentityUnusable> {
        let unusable = |error: rustls::Error| IdentityUnusable(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.to_vec())],
                key.private_der(),
            )
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// A handshake.
    ///
    /// # Errors
    /// It failed, or the connection did.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Secured> {
        self.0.accept(stream).await
    }
}
