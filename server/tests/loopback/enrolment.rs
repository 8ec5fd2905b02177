//! Getting in, and being kept out.

use brine_transport::authority::{Authority, Subject};
use brine_transport::client::ClientIdentity;
use brine_transport::identity::Key;
use brine_wire::agent::{AgentReply, AgentRequest, Hello};
use brine_wire::enroll::EnrollReply;
use brine_wire::operator::{AddNode, Enrollment, OperatorReply, OperatorRequest, Why};

use crate::agent::{Agent, Log, enrol, request, secret_of};
use crate::fixture::{Fixture, SOON, name};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_burns_no_use_and_a_certificate_is_the_same_again() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 1).await;
    let key = Key::generate().expect("a key");
    let asked = request(secret_of(&token), "web01", "m1", &key);
    let first = enrol(&fixture.servers(), &fixture.ca(), &asked).await;
    assert!(
        matches!(&first, EnrollReply::Issued { name, .. } if name.as_str() == "web01"),
        "{first:?}"
    );
    assert_eq!(
        enrol(&fixture.servers(), &fixture.ca(), &asked).await,
        first
    );
    // The same key on another machine, and another key with the used token.
    let copied = request(secret_of(&token), "web01", "m2", &key);
    let refused = enrol(&fixture.servers(), &fixture.ca(), &copied).await;
    assert!(
        matches!(refused, EnrollReply::Refused { .. }),
        "{refused:?}"
    );
    let other = request(
        secret_of(&token),
        "web02",
        "m2",
        &Key::generate().expect("a key"),
    );
    let refused = enrol(&fixture.servers(), &fixture.ca(), &other).await;
    assert!(
        matches!(refused, EnrollReply::Refused { .. }),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_of_one_use_and_many_at_once() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 1).await;
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (servers, ca, secret) = (fixture.servers(), fixture.ca(), secret_of(&token));
        tries.spawn(async move {
            let key = Key::generate().expect("a key");
            let host = format!("web{number:02}");
            enrol(
                &servers,
                &ca,
                &request(secret, &host, &format!("m{number}"), &key),
            )
            .await
        });
    }
    let replies = tries.join_all().await;
    let issued = replies
        .iter()
        .filter(|reply| matches!(reply, EnrollReply::Issued { .. }));
    assert_eq!(issued.count(), 1, "{replies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_waits_for_an_operator() {
    let fixture = Fixture::new().await;
    let key = Key::generate().expect("a key");
    let asked = request(None, "Not A Name\u{1b}[31m", "m1", &key);
    let EnrollReply::Waiting { fingerprint } =
        enrol(&fixture.servers(), &fixture.ca(), &asked).await
    else {
        panic!("let in, or turned away");
    };
    assert_eq!(fingerprint, key.public().fingerprint());
    let nodes = fixture.nodes().await;
    assert_eq!(nodes.len(), 1);
    assert_eq!(
        nodes[0].enrollment,
        Enrollment::Waiting {
            fingerprint: fingerprint.clone()
        }
    );
    let accept = |fingerprint: &str| OperatorRequest::AcceptNode {
        name: name("web07"),
        fingerprint: fingerprint.into(),
        roles: vec![name("web")],
    };
    let wrong = fixture.ask(accept("0000-0000")).await;
    assert!(matches!(wrong, OperatorReply::Refused(refusal) if refusal.why == Why::Conflict));
    assert_eq!(fixture.ask(accept(&fingerprint)).await, OperatorReply::Done);
    let reply = enrol(&fixture.servers(), &fixture.ca(), &asked).await;
    assert!(
        matches!(&reply, EnrollReply::Issued { name, .. } if name.as_str() == "web07"),
        "{reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_node_gets_the_name_that_the_operator_gave() {
    let fixture = Fixture::new().await;
    let add = AddNode {
        name: name("db01"),
        roles: vec![name("db")],
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        address: Some("10.0.0.9".into()),
        ttl: 60,
    };
    let unknown = AddNode {
        roles: vec![name("dbb")],
        ..add.clone()
    };
    let refused = fixture.ask(OperatorRequest::AddNode(unknown)).await;
    let OperatorReply::Refused(refusal) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal.help.as_deref(), Some("did you mean `db`?"));
    let OperatorReply::Token { token, .. } = fixture.ask(OperatorRequest::AddNode(add)).await
    else {
        panic!("no token");
    };
    assert_eq!(fixture.nodes().await[0].enrollment, Enrollment::Expected);
    let agent = Agent::join(&fixture, &token, "some-other-name", &Log::default()).await;
    assert_eq!(agent.name, "db01");
    let node = &fixture.nodes().await[0];
    assert_eq!(node.address.as_deref(), Some("10.0.0.9"));
    assert_eq!(node.roles, [name("db")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_is_felt_at_once_and_for_good() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let agent = Agent::join(&fixture, &token, "web01", &Log::default()).await;
    let connection = agent.connection();
    let removed = fixture
        .ask(OperatorRequest::RemoveNode(name("web01")))
        .await;
    assert_eq!(removed, OperatorReply::Done);
    let closed = tokio::time::timeout(SOON, connection.closed())
        .await
        .expect("closed at once");
    assert!(closed.to_string().contains("removed"), "{closed}");
    assert!(
        agent.connect().await.is_err(),
        "its certificate is still valid, and worth nothing"
    );
    // The name as a new machine: waits, and sees nothing of the old one.
    let key = Key::generate().expect("a key");
    let asked = request(secret_of(&token), "web01", "m9", &key);
    let reply = enrol(&fixture.servers(), &fixture.ca(), &asked).await;
    assert!(matches!(reply, EnrollReply::Waiting { .. }), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_alone_lets_nobody_in() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let agent = Agent::join(&fixture, &token, "web01", &Log::default()).await;
    agent.disconnect();

    // The right key on another machine.
    let connection = agent.dial().await.expect("connected");
    let AgentRequest::Hello(hello) = agent.hello() else {
        panic!("no hello")
    };
    let elsewhere = AgentRequest::Hello(Hello {
        machine_id: "elsewhere".into(),
        ..hello
    });
    assert!(
        connection
            .request_within::<_, AgentReply>(&elsewhere, SOON)
            .await
            .is_err()
    );

    // Something else before the hello.
    let connection = agent.dial().await.expect("connected");
    let early = AgentRequest::Facts(Box::default());
    assert!(
        connection
            .request_within::<_, AgentReply>(&early, SOON)
            .await
            .is_err()
    );

    // A certificate for the same name, rightly signed, with a key that is not the registered one.
    let data = fixture.folder.path().join("data");
    let read = |file: &str| std::fs::read_to_string(data.join(file)).expect("there");
    let authority = Authority::load(&read("ca.pem"), &read("ca.key")).expect("loaded");
    let key = Key::generate().expect("a key");
    let subject = Subject::Node {
        name: name("web01"),
        machine_id: "machine-web01".into(),
    };
    let now = brine_model::time::Timestamp::from_secs(
        i64::try_from(
            std::time::UNIX_EPOCH
                .elapsed()
                .expect("after 1970")
                .as_secs(),
        )
        .expect("fits"),
    );
    let forged = authority
        .issue(&subject, &key.public(), now, subject.validity())
        .expect("issued");
    let identity = ClientIdentity {
        ca: fixture.ca(),
        certificate: Some((forged.der, key)),
    };
    let servers = fixture.servers();
    let connection =
        brine_transport::client::connect(&servers, brine_transport::Alpn::Agent, &identity, SOON);
    // Turned away while it connects, or with its first word.
    if let Ok(connection) = connection.await {
        let hello = agent.hello();
        let reply = connection.request_within::<_, AgentReply>(&hello, SOON);
        assert!(reply.await.is_err());
    }
    assert!(fixture.nodes().await.iter().all(|node| !node.connected));
    agent.connect().await.expect("the real one is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_takes_over() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let agent = Agent::join(&fixture, &token, "web01", &Log::default()).await;
    let old = agent.connection();
    agent.connect().await.expect("connected");
    let closed = tokio::time::timeout(SOON, old.closed())
        .await
        .expect("closed");
    assert!(closed.to_string().contains("newer"), "{closed}");
    fixture.connected(&["web01"]).await;
}
