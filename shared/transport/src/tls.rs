//! The one choice of cryptography: TLS 1.3, aws-lc-rs, hybrid post-quantum key exchange.
//!
//! There is deliberately nothing to negotiate: all our peers are our own, so classical key
//! exchange alone is not offered and not accepted. No tickets, no resumption, no 0-RTT.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Alpn;
use crate::client::ClientIdentity;
use crate::server::ServerIdentity;

/// The identity's certificates or keys do not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificates at hand cannot be used: {0}")]
pub struct IdentityUnusable(pub(crate) String);

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    })
}

/// Random bytes for keys and secrets; none when the system gives none.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .ok()
        .map(|()| bytes)
}

pub(crate) fn server(identity: &ServerIdentity) -> Result<ServerConfig, IdentityUnusable> {
    let provider = provider();
    // A certificate may be missing, but one that is shown must be ours: whether the peer may do
    // without is decided by its ALPN, after the handshake.
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(&identity.ca)?, provider.clone())
            .allow_unauthenticated()
            .clear_root_hint_subjects()
            .build()
            .map_err(unusable)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from(identity.certificate.clone())],
            identity.key.private_der(),
        )
        .map_err(unusable)?;
    config.alpn_protocols = Alpn::ALL.iter().map(|alpn| alpn.name().to_vec()).collect();
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

pub(crate) fn client(
    identity: &ClientIdentity,
    alpn: Alpn,
) -> Result<ClientConfig, IdentityUnusable> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots(&identity.ca)?);
    let mut config = match &identity.certificate {
        // Nobody is told who we are where it does not count.
        Some((certificate, key)) if alpn != Alpn::Enroll => builder
            .with_client_auth_cert(
                vec![CertificateDer::from(certificate.clone())],
                key.private_der(),
            )
            .map_err(unusable)?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.name().to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

pub(crate) fn quic_server(
    identity: &ServerIdentity,
) -> Result<Arc<QuicServerConfig>, IdentityUnusable> {
    QuicServerConfig::try_from(server(identity)?)
        .map(Arc::new)
        .map_err(unusable)
}

pub(crate) fn quic_client(
    identity: &ClientIdentity,
    alpn: Alpn,
) -> Result<Arc<QuicClientConfig>, IdentityUnusable> {
    QuicClientConfig::try_from(client(identity, alpn)?)
        .map(Arc::new)
        .map_err(unusable)
}

fn roots(ca: &[u8]) -> Result<Arc<RootCertStore>, IdentityUnusable> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca)).map_err(unusable)?;
    Ok(Arc::new(roots))
}

fn unusable(error: impl std::fmt::Display) -> IdentityUnusable {
    IdentityUnusable(error.to_string())
}
