//! What is negotiated, by rustls itself and on the wire.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{NamedGroup, ProtocolVersion};

use super::{LIMIT, authority, client_identity, listen, server_identity};
use crate::{Alpn, closed, tls};

/// Lets two ends talk in memory until both are done or one gives up.
fn shake(
    server: rustls::ServerConfig,
    client: rustls::ClientConfig,
) -> Result<(rustls::ServerConnection, rustls::ClientConnection), rustls::Error> {
    let mut server = rustls::ServerConnection::new(Arc::new(server))?;
    let name = ServerName::try_from(brine_wire::SERVER_NAME).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name)?;
    while server.is_handshaking() || client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok((server, client))
}

fn configs() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let authority = authority();
    let server = tls::server(&server_identity(&authority)).unwrap();
    let client = tls::client(&client_identity(&authority, None), Alpn::Enroll).unwrap();
    (server, client)
}

#[test]
fn the_key_exchange_is_hybrid_and_the_version_1_3() {
    let (server, client) = configs();
    let (server, client) = shake(server, client).unwrap();
    for group in [
        server.negotiated_key_exchange_group(),
        client.negotiated_key_exchange_group(),
    ] {
        assert_eq!(group.unwrap().name(), NamedGroup::X25519MLKEM768);
    }
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(server.alpn_protocol(), Some(Alpn::Enroll.name()));
}

#[test]
fn a_classical_key_exchange_is_refused() {
    let classical = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    };
    let authority = authority();
    let server = tls::server(&server_identity(&authority)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate_der().into()).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(Arc::new(classical))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![Alpn::Enroll.name().to_vec()];
    let error = shake(server, client).unwrap_err();
    let expected = rustls::PeerIncompatible::NoKxGroupsInCommon;
    assert_eq!(error, rustls::Error::PeerIncompatible(expected));
}

#[test]
fn older_versions_are_not_even_compiled_in() {
    let versions: Vec<_> = rustls::ALL_VERSIONS
        .iter()
        .map(|version| version.version)
        .collect();
    assert_eq!(versions, [ProtocolVersion::TLSv1_3]);
}

#[test]
fn nothing_is_resumed() {
    let (server, client) = configs();
    assert_eq!(server.send_tls13_tickets, 0);
    assert_eq!(server.max_early_data_size, 0);
    assert!(!server.session_storage.can_cache());
    assert!(!client.enable_early_data);
}

/// Dials as a peer of another version would.
async fn dial(alpn: &[&[u8]]) -> closed::Closed {
    let authority = authority();
    let listener = listen(&server_identity(&authority));
    let mut config = tls::client(&client_identity(&authority, None), Alpn::Enroll).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let endpoint = quinn::Endpoint::client((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_address().unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    let connecting = endpoint
        .connect_with(config, address, brine_wire::SERVER_NAME)
        .unwrap();
    let accept = async { listener.accept().await.unwrap().handshake().await };
    let (server, client) = tokio::time::timeout(LIMIT, async {
        tokio::join!(accept, async {
            match connecting.await {
                Ok(connection) => connection.closed().await,
                Err(error) => error,
            }
        })
    })
    .await
    .unwrap();
    assert!(server.is_err());
    client.into()
}

#[tokio::test]
async fn another_protocol_version_is_told_so() {
    assert_eq!(dial(&[b"brine-agent/2"]).await, closed::Closed::Version);
    assert_eq!(dial(&[b"h3"]).await, closed::Closed::Version);
}

#[tokio::test]
async fn a_peer_without_a_protocol_gets_nowhere() {
    // rustls lets such a client through; we do not.
    let closed = dial(&[]).await;
    assert!(
        matches!(
            closed,
            closed::Closed::ByPeer {
                code: closed::Code::FORBIDDEN,
                ..
            }
        ) || closed == closed::Closed::Version,
        "{closed:?}"
    );
}
