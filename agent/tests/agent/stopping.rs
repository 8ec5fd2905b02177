//! The end of an agent's life, and what the next one makes of it.

use brine_transport::closed::Code;
use brine_wire::job::{JobResult, JobState};

use crate::server::{Machine, Server, id, job, shell, submit};

#[tokio::test]
async fn the_job_at_hand_is_finished_and_delivered() {
    let mut server = Server::start();
    let mut machine = Machine::new();
    machine.place(&server.token);
    machine.start();
    let (connection, _) = server.connected().await;
    let flag = machine.root().join("flag");
    submit(
        &connection,
        job(1, shell(&format!("touch {}; sleep 1", flag.display()))),
    )
    .await;
    submit(&connection, job(2, shell("true"))).await;
    machine.wait_until("it runs", |_| flag.exists()).await;
    machine.stop().await;
    let mut results = [server.result().await, server.result().await];
    results.sort_by_key(|(id, _)| *id);
    assert!(
        matches!(results[0], (_, JobResult::Executed { code: 0, .. })),
        "{results:?}"
    );
    assert_eq!(results[1], (id(2), JobResult::Cancelled(None)));
}

#[tokio::test]
async fn a_result_that_found_no_server_is_delivered_by_the_next_life() {
    let mut server = Server::start();
    let mut machine = Machine::new();
    machine.place(&server.token);
    machine.start();
    let (connection, _) = server.connected().await;
    let flag = machine.root().join("flag");
    submit(
        &connection,
        job(1, shell(&format!("touch {}; sleep 1", flag.display()))),
    )
    .await;
    machine.wait_until("it runs", |_| flag.exists()).await;
    server.script.lock().unwrap().revoked = true;
    connection.close(Code::REVOKED, "for now");
    machine.stop().await;
    server.script.lock().unwrap().revoked = false;
    machine.start();
    let (connection, hello) = server.connected().await;
    assert_eq!(hello.jobs, [id(1)]);
    assert!(matches!(
        server.result().await.1,
        JobResult::Executed { code: 0, .. }
    ));
    let again = submit(&connection, job(1, shell("true"))).await;
    assert!(
        matches!(again, JobState::Refused(_) | JobState::Finished(_)),
        "{again:?}"
    );
    machine.stop().await;
}
