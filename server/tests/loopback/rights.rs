//! Every request of every protocol, asked by everybody.

use std::collections::BTreeMap;

use brine_model::digest::Digest;
use brine_transport::Alpn;
use brine_transport::client::{ClientIdentity, connect};
use brine_transport::identity::Key;
use brine_wire::agent::{AgentReply, AgentRequest};
use brine_wire::job::{JobId, JobResult, Progress, RunId};
use brine_wire::operator::{
    ActionRequest, AddNode, AddToken, OperatorReply, OperatorRequest, StartAction,
};

use crate::agent::{Agent, Log, request};
use crate::fixture::{Fixture, SOON, name, start};
use crate::rollouts::formed_web;

fn operator_requests() -> Vec<OperatorRequest> {
    let run = RunId(1);
    vec![
        OperatorRequest::Status,
        OperatorRequest::Nodes,
        OperatorRequest::Node(name("web01")),
        OperatorRequest::AddNode(AddNode {
            name: name("evil"),
            roles: vec![],
            labels: BTreeMap::new(),
            address: None,
            ttl: 60,
        }),
        OperatorRequest::AcceptNode {
            name: name("evil"),
            fingerprint: "x".into(),
            roles: vec![],
        },
        OperatorRequest::SetNode {
            name: name("web01"),
            roles: Some(vec![]),
            labels: BTreeMap::new(),
            address: None,
        },
        OperatorRequest::AddToken(AddToken {
            roles: vec![],
            labels: BTreeMap::new(),
            names: "*".into(),
            uses: 1,
            ttl: 60,
        }),
        OperatorRequest::Tokens,
        OperatorRequest::RevokeToken("x".into()),
        OperatorRequest::StartPlan(start("all")),
        OperatorRequest::StartApply {
            start: start("all"),
            approved: true,
        },
        OperatorRequest::Approve(run),
        OperatorRequest::Cancel(run),
        OperatorRequest::Runs { limit: 1 },
        OperatorRequest::Run(run),
        OperatorRequest::Watch { run, from: 1 },
        OperatorRequest::Render {
            node: name("web01"),
            path: "/etc/app.conf".into(),
        },
        OperatorRequest::PauseNode {
            name: name("web01"),
            until: None,
            reason: None,
        },
        OperatorRequest::StartActions(StartAction {
            start: start("all"),
            action: ActionRequest::Reboot,
        }),
        OperatorRequest::ReplaceNode {
            name: name("web01"),
            ttl: 60,
        },
        OperatorRequest::RemoveNode(name("web01")),
    ]
}

fn agent_requests(agent: &Agent) -> Vec<AgentRequest> {
    let job = JobId {
        run: RunId(1),
        step: 0,
    };
    vec![
        agent.hello(),
        AgentRequest::Blob(Digest::of(b"x")),
        AgentRequest::Result {
            job,
            result: JobResult::Failed("x".into()),
        },
        AgentRequest::Progress(Progress {
            job,
            done: 0,
            total: 0,
            doing: "x".into(),
        }),
        AgentRequest::Facts(Box::default()),
        AgentRequest::Certificate {
            resource: "certificate:/x".into(),
            csr: vec![],
        },
    ]
}

/// Whether the server answers at all, in this protocol with this certificate.
async fn answers<Req: serde::Serialize, Rep: serde::de::DeserializeOwned>(
    fixture: &Fixture,
    alpn: Alpn,
    identity: &ClientIdentity,
    request: &Req,
) -> bool {
    let Ok(connection) = connect(&fixture.servers(), alpn, identity, SOON).await else {
        return false;
    };
    connection
        .request_within::<_, Rep>(request, SOON)
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_operators_gets_an_answer_to_an_operators_request() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let agent = Agent::join(&fixture, &token, "web01", &Log::default()).await;
    let nobody = ClientIdentity {
        ca: fixture.ca(),
        certificate: None,
    };
    let audit_before = fixture.audit().await;
    for asked in operator_requests() {
        for (who, identity) in [("a node", &agent.identity), ("nobody", &nobody)] {
            for alpn in [Alpn::Ctl, Alpn::Agent, Alpn::Enroll] {
                let heard = answers::<_, OperatorReply>(&fixture, alpn, identity, &asked).await;
                assert!(!heard, "{who} was answered over {alpn:?}: {asked:?}");
            }
        }
        let operator = fixture.operator_identity();
        for alpn in [Alpn::Agent, Alpn::Enroll] {
            let heard = answers::<_, OperatorReply>(&fixture, alpn, &operator, &asked).await;
            assert!(!heard, "an operator was answered over {alpn:?}: {asked:?}");
        }
    }
    assert_eq!(fixture.audit().await, audit_before);
    let operator = fixture.operator_identity();
    for asked in operator_requests() {
        let heard = answers::<_, OperatorReply>(&fixture, Alpn::Ctl, &operator, &asked).await;
        let many = matches!(asked, OperatorRequest::Watch { .. });
        assert!(heard || many, "an operator was not answered: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_its_node_gets_an_answer_to_an_agents_request() {
    let fixture = Fixture::new().await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let agent = Agent::join(&fixture, &token, "web01", &Log::default()).await;
    let nobody = ClientIdentity {
        ca: fixture.ca(),
        certificate: None,
    };
    let operator = fixture.operator_identity();
    for asked in agent_requests(&agent) {
        for identity in [&nobody, &operator] {
            for alpn in [Alpn::Agent, Alpn::Ctl, Alpn::Enroll] {
                let heard = answers::<_, AgentReply>(&fixture, alpn, identity, &asked).await;
                assert!(!heard, "answered over {alpn:?}: {asked:?}");
            }
        }
        let reply: Result<AgentReply, _> = agent.connection().request_within(&asked, SOON).await;
        assert!(reply.is_ok(), "the node was not answered: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_over_other_protocols_is_not_understood() {
    let fixture = Fixture::new().await;
    let key = Key::generate().expect("a key");
    let asked = request(None, "web01", "m1", &key);
    let operator = fixture.operator_identity();
    for alpn in [Alpn::Agent, Alpn::Ctl] {
        let heard =
            answers::<_, brine_wire::enroll::EnrollReply>(&fixture, alpn, &operator, &asked).await;
        assert!(!heard, "{alpn:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_operator_is_out_with_the_next_word() {
    let fixture = Fixture::new().await;
    let identity = fixture.another_operator("oncall").await;
    let oncall = connect(&fixture.servers(), Alpn::Ctl, &identity, SOON)
        .await
        .expect("connected");
    let ask = async || {
        oncall
            .request_within::<_, OperatorReply>(&OperatorRequest::Tokens, SOON)
            .await
    };
    assert!(ask().await.is_ok());
    fixture.remove_operator("oncall").await;
    assert!(ask().await.is_err());
    let again = connect(&fixture.servers(), Alpn::Ctl, &identity, SOON)
        .await
        .expect("connected");
    let reply = again
        .request_within::<_, OperatorReply>(&OperatorRequest::Tokens, SOON)
        .await;
    assert!(reply.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_and_secrets_are_for_the_nodes_that_need_them() {
    let (fixture, web, log) = formed_web(1).await;
    let token = fixture.pool_token("db*", &["db"], 5).await;
    let db = Agent::join(&fixture, &token, "db01", &log).await;
    fixture.connected(&["db01", "web01"]).await;
    let run = fixture.apply("role=db").await;
    fixture.succeeds(run).await;
    let nodes = fixture.nodes().await;
    let applied = |node: &str| {
        let found = nodes.iter().find(|info| info.name.as_str() == node);
        found.and_then(|info| info.applied).expect("applied")
    };
    let (of_db, of_web) = (applied("db01"), applied("web01"));
    assert!(db.blob(of_db).await.is_some() && web[0].blob(of_web).await.is_some());
    assert!(db.blob(of_web).await.is_none() && web[0].blob(of_db).await.is_none());
    assert!(db.blob(Digest::of(b"nothing")).await.is_none());

    // The secret went to the database and nowhere else; its text is in no catalog.
    let mut texts = Vec::new();
    db.script(|script| texts.extend(script.secrets.iter().map(|s| s.text.reveal().to_owned())));
    web[0].script(|script| assert!(script.secrets.is_empty()));
    assert_eq!(texts.len(), 1);
    assert!(
        fixture.secrets().contains(&texts[0]),
        "kept before it was used"
    );
    let contains = |bytes: &[u8]| {
        bytes
            .windows(texts[0].len())
            .any(|w| w == texts[0].as_bytes())
    };
    assert!(!contains(&db.blob(of_db).await.expect("there")));
    for suffix in ["", "-wal"] {
        let path = format!("{}{suffix}", fixture.database().display());
        assert!(
            !contains(&std::fs::read(path).unwrap_or_default()),
            "not in the database"
        );
    }
}
