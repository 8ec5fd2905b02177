use std::time::{Duration, Instant};

use brine_wire::agent::{AgentReply, AgentRequest, ServerReply, ServerRequest};
use brine_wire::enroll::{CertificateRequest, EnrollReply, EnrollRequest};
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::policy::Principal;

use super::{LIMIT, authority, client_identity, issued, node, now, operator, pair, servers};
use crate::Alpn;
use crate::client::connect;
use crate::closed::{Closed, Code};
use crate::identity::Key;
use crate::stream::RequestError;

#[tokio::test]
async fn a_machine_without_a_certificate_enrols() {
    let (server, client, _listener) = pair(Alpn::Enroll, None).await;
    assert_eq!(*server.principal(), Principal::Anyone);
    let request = EnrollRequest::Certificate(CertificateRequest {
        token: None,
        proposed_name: "db01".to_owned(),
        machine_id: "0a1b".to_owned(),
        csr: Key::generate().unwrap().csr_der().unwrap(),
        agent_version: "0.1.0".to_owned(),
    });
    let answer = async {
        let mut stream = server.accept().await.unwrap();
        let asked: EnrollRequest = stream.read_request().await.unwrap();
        stream
            .reply(&EnrollReply::Refused {
                reason: "who".to_owned(),
            })
            .await
            .unwrap();
        asked
    };
    let (asked, reply) = tokio::join!(answer, client.request::<_, EnrollReply>(&request));
    assert_eq!(asked, request);
    assert_eq!(
        reply.unwrap(),
        EnrollReply::Refused {
            reason: "who".to_owned()
        }
    );
}

#[tokio::test]
async fn a_node_asks_and_is_asked() {
    let (server, client, _listener) = pair(Alpn::Agent, Some(node("db01"))).await;
    assert_eq!(
        *server.principal(),
        Principal::Node("db01".parse().unwrap())
    );
    assert_eq!(server.peer(), client.peer());
    assert_eq!(server.peer().machine_id.as_deref(), Some("0a1b2c"));
    assert!(server.remote_address().ip().is_loopback());

    let answer = async {
        let mut stream = server.accept().await.unwrap();
        assert!(matches!(
            stream.read_request().await.unwrap(),
            AgentRequest::Blob(_)
        ));
        stream.reply(&AgentReply::Acknowledged).await.unwrap();
    };
    let request = AgentRequest::Blob(brine_model::digest::Digest::of(b"x"));
    let ((), reply) = tokio::join!(answer, client.request::<_, AgentReply>(&request));
    assert_eq!(reply.unwrap(), AgentReply::Acknowledged);

    let answer = async {
        let mut stream = client.accept().await.unwrap();
        assert_eq!(
            stream.receive_last::<ServerRequest>().await.unwrap(),
            ServerRequest::Ping
        );
        stream.reply(&ServerReply::Pong).await.unwrap();
    };
    let asked = server.request_within::<_, ServerReply>(&ServerRequest::Ping, LIMIT);
    let ((), reply) = tokio::join!(answer, asked);
    assert_eq!(reply.unwrap(), ServerReply::Pong);
}

#[tokio::test]
async fn an_operator_watches() {
    let (server, client, _listener) = pair(Alpn::Ctl, Some(operator("admin"))).await;
    assert_eq!(
        *server.principal(),
        Principal::Operator("admin".parse().unwrap())
    );
    let answer = async {
        let mut stream = server.accept().await.unwrap();
        stream.read_request::<OperatorRequest>().await.unwrap();
        for _ in 0..100 {
            stream.send(&OperatorReply::Done).await.unwrap();
        }
        stream.reply(&OperatorReply::EndOfEvents).await.unwrap();
    };
    let watch = async {
        let mut stream = client
            .request_stream(&OperatorRequest::Status)
            .await
            .unwrap();
        let mut seen = 0;
        while let Some(reply) = stream.receive::<OperatorReply>().await.unwrap() {
            assert_eq!(reply == OperatorReply::EndOfEvents, seen == 100);
            seen += 1;
        }
        seen
    };
    assert_eq!(tokio::join!(answer, watch).1, 101);
    // More than an operator may have open at once: the rest wait for their turn.
    let server = tokio::spawn(async move {
        while let Some(mut stream) = server.accept().await {
            stream.read_request::<OperatorRequest>().await.unwrap();
            stream.reply(&OperatorReply::Done).await.unwrap();
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        tasks.spawn(async move {
            client
                .request::<_, OperatorReply>(&OperatorRequest::Status)
                .await
                .unwrap()
        });
    }
    assert_eq!(tasks.join_all().await.len(), 50);
    client.finish().await;
    server.await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_client_is_told_at_once() {
    let (server, client, _listener) = pair(Alpn::Ctl, Some(operator("admin"))).await;
    let begun = Instant::now();
    client.finish().await;
    assert!(
        begun.elapsed() < Duration::from_millis(50),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        server.closed().await,
        Closed::ByPeer {
            code: Code::DONE,
            reason: String::new()
        }
    );
    assert!(server.accept().await.is_none());
}

#[tokio::test]
async fn words_of_the_other_side_are_made_harmless() {
    let (server, client, _listener) = pair(Alpn::Agent, Some(node("db01"))).await;
    server.close(
        Code::REVOKED,
        &format!("\u{1b}[31m\u{202e}{}", "x".repeat(900)),
    );
    let Closed::ByPeer {
        code: Code::REVOKED,
        reason,
    } = client.closed().await
    else {
        panic!()
    };
    assert!(reason.starts_with("\\u{1b}[31m\\u{202e}xxx"), "{reason}");
    assert!(reason.chars().count() < 400);
    let request = AgentRequest::Blob(brine_model::digest::Digest::of(b"x"));
    let lost = client.request::<_, AgentReply>(&request).await;
    assert!(
        matches!(lost, Err(RequestError::Closed(Closed::ByPeer { .. }))),
        "{lost:?}"
    );
}

#[tokio::test]
async fn a_restarted_server_is_noticed_at_once() {
    let authority = authority();
    let identity = super::server_identity(&authority);
    let client = client_identity(&authority, Some(issued(&authority, &node("db01"), now())));
    let (old, new) = (super::listen(&identity), super::listen(&identity));
    let switch = Switch::new(old.local_address().unwrap()).await;

    let accept = async { old.accept().await.unwrap().handshake().await.unwrap() };
    let servers = servers(switch.address);
    let (_server, client) = tokio::join!(accept, connect(&servers, Alpn::Agent, &client, LIMIT));
    let client = client.unwrap();
    // The old one says no goodbye: it just is not there any more.
    switch.target.send(new.local_address().unwrap()).unwrap();
    let request = AgentRequest::Blob(brine_model::digest::Digest::of(b"x"));
    let lost = tokio::time::timeout(LIMIT, client.request::<_, AgentReply>(&request)).await;
    assert!(
        matches!(lost, Ok(Err(RequestError::Closed(Closed::Restarted)))),
        "{lost:?}"
    );
}

/// A UDP port that leads to another one, which can be exchanged.
struct Switch {
    address: std::net::SocketAddr,
    target: tokio::sync::watch::Sender<std::net::SocketAddr>,
    _task: tokio::task::JoinSet<()>,
}

impl Switch {
    async fn new(first: std::net::SocketAddr) -> Self {
        let front = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let back = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let (target, to) = tokio::sync::watch::channel(first);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            let (mut there, mut here) = ([0; 2048], [0; 2048]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut there) => {
                        // The probe's lone byte comes from elsewhere.
                        if length > 1 {
                            client = Some(from);
                            let to = *to.borrow();
                            back.send_to(&there[..length], to).await.unwrap();
                        }
                    }
                    Ok((length, from)) = back.recv_from(&mut here) => {
                        if let Some(client) = client.filter(|_| from == *to.borrow()) {
                            front.send_to(&here[..length], client).await.unwrap();
                        }
                    }
                }
            }
        });
        Self {
            address,
            target,
            _task: task,
        }
    }
}
