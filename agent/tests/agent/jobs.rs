//! Jobs: planned, applied, never twice, through lost connections.

use std::time::Duration;

use brine_model::catalog::Health;
use brine_model::converge::{Plan, PlanOutcome};
use brine_model::host::Probe;
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_wire::agent::{ServerReply, ServerRequest};
use brine_wire::job::{Job, JobResult, JobState, Task};

use crate::server::{
    Machine, Server, apply, ask, catalog, id, job, motd, now, plan, shell, submit,
};

async fn enrolled() -> (Server, Machine, Connection) {
    let mut server = Server::start();
    let mut machine = Machine::new();
    machine.place(&server.token);
    machine.start();
    let (connection, _) = server.connected().await;
    (server, machine, connection)
}

fn planned(result: JobResult) -> Plan {
    match result {
        JobResult::Planned(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn plan_apply_and_in_sync() {
    let (mut server, mut machine, connection) = enrolled().await;
    let digest = server.offer(catalog("db01", "hello\n"));
    assert_eq!(
        submit(&connection, job(1, plan(digest))).await,
        JobState::Accepted
    );
    let (done, result) = server.result().await;
    let first = planned(result);
    assert_eq!((done, first.resources.len()), (id(1), 1));
    assert!(matches!(
        first.resources[0].outcome,
        PlanOutcome::Changes(_)
    ));
    assert!(
        !machine.root().join("etc/motd").exists(),
        "a plan changes nothing"
    );

    let task = apply(digest, first.approval());
    submit(&connection, job(2, task.clone())).await;
    let (_, JobResult::Applied(report)) = server.result().await else {
        panic!("not applied")
    };
    assert!(report.succeeded() && report.changed() == 1);
    let motd_file = machine.root().join("etc/motd");
    assert_eq!(std::fs::read_to_string(&motd_file).unwrap(), "hello\n");

    // Sent again, it is not done again; nor is the catalog fetched again.
    std::fs::remove_file(&motd_file).unwrap();
    let again = submit(&connection, job(2, task)).await;
    assert!(
        matches!(again, JobState::Refused(_) | JobState::Finished(_)),
        "{again:?}"
    );
    assert!(!motd_file.exists());
    assert_eq!(server.script.lock().unwrap().fetched, [digest]);

    // The next catalog has the file no more: released, and left.
    let empty = brine_model::catalog::Catalog {
        node: "db01".parse().unwrap(),
        resources: Vec::new(),
        contexts: std::collections::BTreeMap::new(),
        enforced: std::collections::BTreeSet::new(),
        ports: std::collections::BTreeMap::new(),
    };
    let next = server.offer(brine_wire::codec::encode(&empty).unwrap());
    submit(&connection, job(3, plan(next))).await;
    assert_eq!(planned(server.result().await.1).released, [motd()]);

    connection.close(Code::SHUTDOWN, "");
    let (_, hello) = server.connected().await;
    assert_eq!((hello.applied, hello.jobs), (Some(digest), Vec::new()));
    machine.stop().await;
}

#[tokio::test]
async fn a_lost_connection_does_not_touch_a_job() {
    let (mut server, mut machine, connection) = enrolled().await;
    let flag = machine.root().join("flag");
    let script = format!("echo run >> {0}; sleep 1; echo done", flag.display());
    submit(&connection, job(1, shell(&script))).await;
    machine.wait_until("the job runs", |_| flag.exists()).await;
    server.script.lock().unwrap().refuse_results = 1;
    connection.close(Code::SHUTDOWN, "");
    let (connection, hello) = server.connected().await;
    assert_eq!(hello.jobs, [id(1)]);
    // Asked again meanwhile, and told where it stands.
    let state = submit(&connection, job(1, shell(&script))).await;
    assert!(
        matches!(state, JobState::Running | JobState::Finished(_)),
        "{state:?}"
    );
    // The server cannot keep it at first.
    let (_, result) = server.result().await;
    let JobResult::Executed {
        code: 0, stdout, ..
    } = result
    else {
        panic!("{result:?}")
    };
    assert_eq!(stdout, "done\n");
    assert_eq!(std::fs::read_to_string(&flag).unwrap(), "run\n", "once");
    machine
        .wait_until("acknowledged", |machine| {
            let record = std::fs::read_to_string(machine.state().join("jobs/1-0"));
            record.is_ok_and(|record| record.contains("Acknowledged"))
        })
        .await;
    machine.stop().await;
}

#[tokio::test]
async fn what_must_not_run_is_refused_or_cancelled() {
    let (mut server, mut machine, connection) = enrolled().await;
    let flag = machine.root().join("flag");
    let touch = |name: &str| shell(&format!("echo {name} >> {}", flag.display()));
    let late = Job {
        deadline: now(),
        ..job(1, touch("late"))
    };
    assert!(matches!(
        submit(&connection, late).await,
        JobState::Refused(_)
    ));

    submit(&connection, job(2, shell("sleep 1"))).await;
    assert_eq!(
        submit(&connection, job(3, touch("cancelled"))).await,
        JobState::Accepted
    );
    let reply = ask(&connection, ServerRequest::Cancel(id(3))).await;
    assert_eq!(
        reply,
        ServerReply::Job(JobState::Finished(JobResult::Cancelled(None)))
    );
    assert_eq!(server.result().await, (id(3), JobResult::Cancelled(None)));
    assert_eq!(server.result().await.0, id(2));

    let unknown = ask(&connection, ServerRequest::JobState(id(9))).await;
    assert_eq!(unknown, ServerReply::Job(JobState::Unknown));
    assert_eq!(
        ask(&connection, ServerRequest::Ping).await,
        ServerReply::Pong
    );
    assert!(!flag.exists());
    machine.stop().await;
}

#[tokio::test]
async fn catalogs_that_cannot_be_are_failures_in_words() {
    let (mut server, mut machine, connection) = enrolled().await;
    let foreign = server.offer(catalog("db02", "x"));
    let garbage = server.offer(b"garbage".to_vec());
    let missing = brine_model::digest::Digest::of(b"nowhere");
    for (run, digest, words) in [
        (1, foreign, "is for db02"),
        (2, garbage, "newer agent"),
        (3, missing, "does not have"),
    ] {
        submit(&connection, job(run, plan(digest))).await;
        let (_, result) = server.result().await;
        let JobResult::Failed(why) = &result else {
            panic!("{result:?}")
        };
        assert!(why.contains(words), "{why}");
    }
    machine.stop().await;
}

#[tokio::test]
async fn a_blob_may_come_over_the_next_connection() {
    let (mut server, mut machine, connection) = enrolled().await;
    let bytes = catalog("db01", "x");
    // Lost before the first byte: the server closes as soon as the job is accepted.
    submit(
        &connection,
        job(1, plan(brine_model::digest::Digest::of(&bytes))),
    )
    .await;
    connection.close(Code::SHUTDOWN, "");
    server.offer(bytes);
    server.connected().await;
    let (done, result) = server.result().await;
    assert_eq!(done, id(1));
    // Asked before it was offered, the server did not have it: that is an answer, too.
    assert!(matches!(
        result,
        JobResult::Planned(_) | JobResult::Failed(_)
    ));
    machine.stop().await;
}

#[tokio::test]
async fn health_is_waited_for() {
    let (mut server, mut machine, connection) = enrolled().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let health = |within| Health {
        formula: "web".parse().unwrap(),
        probe: Probe::Tcp(address.clone()),
        within,
    };
    submit(&connection, job(1, Task::Health(vec![health(0)]))).await;
    assert_eq!(
        server.result().await.1,
        JobResult::Health {
            failing: Vec::new()
        }
    );
    drop(listener);
    submit(&connection, job(2, Task::Health(vec![health(1)]))).await;
    let (_, JobResult::Health { failing }) = server.result().await else {
        panic!("no answer")
    };
    assert!(
        failing[0].starts_with("web: nothing accepts connections"),
        "{failing:?}"
    );
    // One that would take long can be given up.
    submit(&connection, job(3, Task::Health(vec![health(600)]))).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    ask(&connection, ServerRequest::Cancel(id(3))).await;
    assert_eq!(server.result().await, (id(3), JobResult::Cancelled(None)));
    machine.stop().await;
}
