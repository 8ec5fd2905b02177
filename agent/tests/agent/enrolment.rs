//! From a token to a node.

use brine_transport::closed::Code;

use crate::server::{Enrol, Machine, Server};

#[tokio::test]
async fn through_lost_replies_and_waiting_with_one_key() {
    let mut server = Server::start();
    server.script.lock().unwrap().enrolments =
        [Enrol::LoseReply, Enrol::Wait, Enrol::Refuse].into();
    let mut machine = Machine::new();
    machine.start();
    machine
        .wait_until("its state is there", |machine| {
            machine.state().join("machine").exists()
        })
        .await;
    // Without a token it waits; with one, it goes on by itself.
    machine.place(&server.token);
    let (_, hello) = server.connected().await;
    assert!(hello.applied.is_none() && hello.jobs.is_empty());
    assert_eq!(hello.capabilities, brine_model::resources::capabilities());
    let fingerprints: Vec<String> = server
        .script
        .lock()
        .unwrap()
        .keys
        .iter()
        .map(|csr| {
            brine_transport::identity::PublicKey::from_csr(csr)
                .unwrap()
                .fingerprint()
        })
        .collect();
    assert_eq!(fingerprints.len(), 4);
    assert!(
        fingerprints
            .iter()
            .all(|fingerprint| *fingerprint == fingerprints[0])
    );
    assert!(
        !machine.join_file().exists(),
        "a token that has served is removed"
    );
    machine.stop().await;
    // The next life knows who it is.
    machine.start();
    server.connected().await;
    assert_eq!(server.script.lock().unwrap().keys.len(), 4);
    machine.stop().await;
}

#[tokio::test]
async fn another_node_once_the_server_forgot_it_and_a_new_token_is_there() {
    let mut server = Server::start();
    let mut machine = Machine::new();
    machine.place(&server.token);
    machine.start();
    let (connection, _) = server.connected().await;
    server.script.lock().unwrap().revoked = true;
    connection.close(Code::REVOKED, "removed");
    // Turned away again and again, it goes on asking as the node that it was.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(server.script.lock().unwrap().keys.len(), 1);
    machine.place(&server.token);
    machine
        .wait_until("it enrols anew", |_| {
            server.script.lock().unwrap().keys.len() == 2
        })
        .await;
    server.script.lock().unwrap().revoked = false;
    server.connected().await;
    machine.stop().await;
}
