//! Certificates of the workload authority: names from the catalog, never from the request.

use brine_transport::identity::Key;
use brine_wire::agent::{AgentReply, AgentRequest};

use crate::agent::{Agent, Log};
use crate::fixture::Fixture;

const RESOURCE: &str = "certificate:/etc/tls.pem";

fn order(resource: &str, csr: Vec<u8>) -> AgentRequest {
    AgentRequest::Certificate {
        resource: resource.into(),
        csr,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_what_stands_in_the_nodes_own_catalog() {
    let mut fixture = Fixture::new().await;
    let log = Log::default();
    let token = fixture.pool_token("cache*", &["cache"], 5).await;
    let cache = Agent::join(&fixture, &token, "cache01", &log).await;
    let token = fixture.pool_token("web*", &["web"], 5).await;
    let web = Agent::join(&fixture, &token, "web01", &log).await;

    let key = Key::generate().expect("a key");
    let csr = key.csr_der().expect("a request");
    let reply = cache.ask(&order(RESOURCE, csr.clone())).await;
    let AgentReply::Certificate {
        certificate,
        authority,
    } = reply
    else {
        panic!("{reply:?}")
    };
    assert_ne!(authority, fixture.ca(), "an authority of its own");
    let contains = |bytes: &[u8]| certificate.windows(bytes.len()).any(|w| w == bytes);
    assert!(contains(b"cache01") && contains(&[10, 0, 0, 5]));
    assert!(!contains(b"web01"));

    for (who, resource, csr) in [
        // Not in its catalog; no certificate; not there at all; no resource.
        (&web, RESOURCE, csr.clone()),
        (&web, "file:/etc/app.conf", csr.clone()),
        (&cache, "certificate:/etc/other.pem", csr.clone()),
        (&cache, "../../etc", csr.clone()),
        (&cache, RESOURCE, vec![0x30, 0x82]),
        (&cache, RESOURCE, tampered(&csr)),
    ] {
        let reply = who.ask(&order(resource, csr)).await;
        assert!(
            matches!(reply, AgentReply::Refused(_)),
            "{resource}: {reply:?}"
        );
    }

    // The same authority after a restart, or what was issued would be worth nothing.
    fixture.down().await;
    fixture.up().await;
    cache.connect().await.expect("connected");
    let again = cache.ask(&order(RESOURCE, csr)).await;
    let AgentReply::Certificate {
        authority: second, ..
    } = again
    else {
        panic!("{again:?}")
    };
    assert_eq!(second, authority);
}

/// Its signature is that of another text: nobody has proved the key.
fn tampered(csr: &[u8]) -> Vec<u8> {
    let mut csr = csr.to_vec();
    if let Some(last) = csr.last_mut() {
        *last ^= 1;
    }
    csr
}
