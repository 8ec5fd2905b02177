//! Whoever has not the right certificate gets nothing: the connection is closed before any request
//! is read, and the client learns why from `connect` itself.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use brine_model::time::Timestamp;

use super::{
    LIMIT, authority, client_identity, issued, listen, meet, node, now, operator, server_identity,
    servers,
};
use crate::Alpn;
use crate::authority::{Authority, Subject};
use crate::client::{ConnectError, connect};
use crate::closed::{Closed, Code};
use crate::identity::Key;
use crate::server::{HandshakeError, ServerIdentity};

/// Tries to get in at `theirs` with `certificate`.
async fn refused(
    theirs: &Authority,
    certificate: Option<(Vec<u8>, Key)>,
    alpn: Alpn,
) -> (HandshakeError, ConnectError) {
    let client = client_identity(theirs, certificate);
    let (server, client, _listener) = meet(&server_identity(theirs), &client, alpn).await;
    (server.unwrap_err(), client.unwrap_err())
}

#[tokio::test]
async fn no_certificate() {
    let authority = authority();
    for alpn in [Alpn::Agent, Alpn::Ctl] {
        let (server, client) = refused(&authority, None, alpn).await;
        assert!(
            matches!(server, HandshakeError::Forbidden { .. }),
            "{server}"
        );
        let ConnectError::Rejected {
            code: Code::FORBIDDEN,
            reason,
            ..
        } = client
        else {
            panic!("{client}");
        };
        assert!(reason.contains("certificate"), "{reason}");
    }
}

#[tokio::test]
async fn the_wrong_kind_of_certificate() {
    let authority = authority();
    for (subject, alpn) in [(node("db01"), Alpn::Ctl), (operator("admin"), Alpn::Agent)] {
        let certificate = issued(&authority, &subject, now());
        let (server, client) = refused(&authority, Some(certificate), alpn).await;
        assert!(
            matches!(server, HandshakeError::Forbidden { .. }),
            "{server}"
        );
        assert!(
            matches!(
                client,
                ConnectError::Rejected {
                    code: Code::FORBIDDEN,
                    ..
                }
            ),
            "{client}"
        );
    }
}

#[tokio::test]
async fn another_authoritys_certificate() {
    let (ours, foreign) = (authority(), authority());
    for (subject, alpn) in [(node("db01"), Alpn::Agent), (operator("admin"), Alpn::Ctl)] {
        let certificate = issued(&foreign, &subject, now());
        let (server, client) = refused(&ours, Some(certificate), alpn).await;
        let HandshakeError::Failed {
            source: Closed::Untrusted { by_us: true, .. },
            ..
        } = server
        else {
            panic!("{server:?}");
        };
        assert!(
            matches!(client, ConnectError::Untrusted { by_us: false, .. }),
            "{client}"
        );
    }
}

#[tokio::test]
async fn an_expired_certificate_and_one_of_tomorrow() {
    let authority = authority();
    let year = 365 * 24 * 60 * 60;
    let times = [now().as_secs() - year - 60, now().as_secs() + 2 * 60 * 60];
    for at in times.map(Timestamp::from_secs) {
        let certificate = issued(&authority, &node("db01"), at);
        let (_, client) = refused(&authority, Some(certificate), Alpn::Agent).await;
        assert!(
            matches!(client, ConnectError::Validity { by_us: false, .. }),
            "{client}"
        );
    }
    // A clock that is half an hour behind does no harm.
    let at = Timestamp::from_secs(now().as_secs() + 30 * 60);
    let client = client_identity(&authority, Some(issued(&authority, &node("db01"), at)));
    let (server, _client, _listener) =
        meet(&server_identity(&authority), &client, Alpn::Agent).await;
    server.unwrap();
}

#[tokio::test]
async fn a_servers_certificate_is_no_clients() {
    let authority = authority();
    let client = client_identity(
        &authority,
        Some(issued(&authority, &Subject::Server, now())),
    );
    let (server, client) = {
        let listener = listen(&server_identity(&authority));
        let address = listener.local_address().unwrap();
        let client = connect(&servers(address), Alpn::Agent, &client, LIMIT).await;
        (listener, client)
    };
    assert!(matches!(client, Err(ConnectError::Certificate(_))));
    drop(server);
}

#[tokio::test]
async fn nodes_and_operators_cannot_pass_for_the_server() {
    let authority = authority();
    for subject in [node("server"), operator("server")] {
        let (certificate, key) = issued(&authority, &subject, now());
        let ca = authority.certificate_der().to_vec();
        check_forged(
            &authority,
            &ServerIdentity {
                ca,
                certificate,
                key,
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_forged_server() {
    let (ours, theirs) = (authority(), authority());
    check_forged(&ours, &server_identity(&theirs)).await;
}

async fn check_forged(ours: &Authority, forged: &ServerIdentity) {
    for alpn in Alpn::ALL {
        let subject = if alpn == Alpn::Ctl {
            operator("admin")
        } else {
            node("db01")
        };
        let client = client_identity(ours, Some(issued(ours, &subject, now())));
        let (server, client, _listener) = meet(forged, &client, alpn).await;
        assert!(
            matches!(server, Err(HandshakeError::Failed { .. })),
            "{server:?}"
        );
        let error = client.unwrap_err();
        assert!(
            matches!(error, ConnectError::Untrusted { by_us: true, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_over() {
    let authority = authority();
    let at = Timestamp::from_secs(now().as_secs() - 11 * 365 * 24 * 60 * 60);
    let (certificate, key) = issued(&authority, &Subject::Server, at);
    let ca = authority.certificate_der().to_vec();
    let client = client_identity(&authority, None);
    let server = ServerIdentity {
        ca,
        certificate,
        key,
    };
    let (_, client, _listener) = meet(&server, &client, Alpn::Enroll).await;
    let error = client.unwrap_err();
    assert!(
        matches!(error, ConnectError::Validity { by_us: true, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("here it is"), "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let authority = authority();
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client_identity(&authority, None);
    let begun = std::time::Instant::now();
    let error = connect(&servers(free), Alpn::Enroll, &client, LIMIT)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(begun.elapsed() < LIMIT);
}

#[tokio::test]
async fn somebody_is_silent() {
    let authority = authority();
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let client = client_identity(&authority, None);
    let limit = Duration::from_millis(300);
    let error = connect(&servers(address), Alpn::Enroll, &client, limit)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::NoAnswer { .. }), "{error}");
}

#[tokio::test]
async fn names_and_addresses() {
    let authority = authority();
    let client = client_identity(&authority, None);
    let try_all = async |servers: &[&str]| {
        let servers: Vec<_> = servers.iter().map(|&server| server.to_owned()).collect();
        connect(&servers, Alpn::Enroll, &client, LIMIT).await
    };
    assert!(matches!(try_all(&[]).await, Err(ConnectError::NoServer)));
    assert!(matches!(
        try_all(&["db01"]).await,
        Err(ConnectError::Address { .. })
    ));
    let unknown = try_all(&["nowhere.invalid:4640"]).await;
    assert!(
        matches!(unknown, Err(ConnectError::Resolve { .. })),
        "{unknown:?}"
    );

    // The next one is tried, and where none works the most telling error is kept.
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let error = try_all(&[&free.to_string(), "nowhere.invalid:4640"]).await;
    assert!(
        matches!(error, Err(ConnectError::Refused { .. })),
        "{error:?}"
    );
    let listener = listen(&server_identity(&authority));
    let address = listener.local_address().unwrap().to_string();
    let accept = async { listener.accept().await.unwrap().handshake().await };
    let names = ["nowhere.invalid:4640", &free.to_string(), &address];
    let (server, connection) = tokio::join!(accept, try_all(&names));
    server.unwrap();
    assert_eq!(connection.unwrap().remote_address().to_string(), address);
}
