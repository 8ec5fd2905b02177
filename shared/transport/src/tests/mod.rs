//! Over loopback, with real sockets and certificates.

mod authority;
mod frames;
mod handshake;
mod join;
mod refusals;
mod tls;
mod workload;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brine_model::time::Timestamp;

use crate::Alpn;
use crate::authority::{Authority, Subject};
use crate::client::{ClientIdentity, ConnectError, connect};
use crate::connection::Connection;
use crate::identity::Key;
use crate::server::{HandshakeError, Listener, ServerIdentity};

pub(super) const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_secs(since.as_secs() as i64)
}

pub(super) fn authority() -> Authority {
    Authority::create(now()).unwrap()
}

pub(super) fn node(name: &str) -> Subject {
    Subject::Node {
        name: name.parse().unwrap(),
        machine_id: "0a1b2c".to_owned(),
    }
}

pub(super) fn operator(name: &str) -> Subject {
    Subject::Operator(name.parse().unwrap())
}

/// A certificate of `authority` for `subject`, from `at` on, and its key.
pub(super) fn issued(authority: &Authority, subject: &Subject, at: Timestamp) -> (Vec<u8>, Key) {
    let key = Key::generate().unwrap();
    let public = crate::identity::PublicKey::from_csr(&key.csr_der().unwrap()).unwrap();
    let certificate = authority
        .issue(subject, &public, at, subject.validity())
        .unwrap();
    (certificate.der, key)
}

pub(super) fn server_identity(authority: &Authority) -> ServerIdentity {
    let (certificate, key) = issued(authority, &Subject::Server, now());
    ServerIdentity {
        ca: authority.certificate_der().to_vec(),
        certificate,
        key,
    }
}

pub(super) fn client_identity(
    trusted: &Authority,
    certificate: Option<(Vec<u8>, Key)>,
) -> ClientIdentity {
    ClientIdentity {
        ca: trusted.certificate_der().to_vec(),
        certificate,
    }
}

pub(super) fn listen(identity: &ServerIdentity) -> Listener {
    Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), identity).unwrap()
}

pub(super) fn servers(address: SocketAddr) -> Vec<String> {
    vec![address.to_string()]
}

pub(super) type Ends = (
    Result<Connection, HandshakeError>,
    Result<Connection, ConnectError>,
    Listener,
);

/// One client at one server, as each sees it.
pub(super) async fn meet(server: &ServerIdentity, client: &ClientIdentity, alpn: Alpn) -> Ends {
    let listener = listen(server);
    let address = listener.local_address().unwrap();
    let accept = async { listener.accept().await.unwrap().handshake().await };
    let servers = servers(address);
    let (server, client) = tokio::join!(accept, connect(&servers, alpn, client, LIMIT));
    (server, client, listener)
}

/// Two ends that took each other.
pub(super) async fn pair(
    alpn: Alpn,
    subject: Option<Subject>,
) -> (Connection, Connection, Listener) {
    let authority = authority();
    let certificate = subject.map(|subject| issued(&authority, &subject, now()));
    let client = client_identity(&authority, certificate);
    let (server, client, listener) = meet(&server_identity(&authority), &client, alpn).await;
    (server.unwrap(), client.unwrap(), listener)
}
