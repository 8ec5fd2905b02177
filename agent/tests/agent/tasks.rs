//! What else a server may ask: parts of a catalog, certificates, live facts, actions.

use std::os::unix::fs::PermissionsExt;

use brine_model::catalog::Entry;
use brine_model::converge::{ApplyReport, Part};
use brine_model::resource::ResourceId;
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_wire::job::{Extent, JobResult, Task};

use crate::server::{Machine, Server, apply, catalog_of, entry, file, job, plan, submit};

async fn enrolled() -> (Server, Machine, Connection) {
    let mut server = Server::start();
    let mut machine = Machine::new();
    machine.place(&server.token);
    machine.start();
    let (connection, _) = server.connected().await;
    (server, machine, connection)
}

/// Does it, and says what came of it.
async fn done(server: &mut Server, connection: &Connection, run: u64, task: Task) -> JobResult {
    submit(connection, job(run, task)).await;
    server.result().await.1
}

fn applied(result: JobResult) -> ApplyReport {
    match result {
        JobResult::Applied(report) if report.succeeded() => report,
        other => panic!("{other:?}"),
    }
}

fn failed(result: JobResult) -> String {
    match result {
        JobResult::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_catalog_is_the_nodes_own_after_its_last_part() {
    let (mut server, mut machine, connection) = enrolled().await;
    let files = vec![file("/etc/one", "1"), file("/etc/two", "2")];
    let digest = server.offer(catalog_of("db01", files));
    let JobResult::Planned(planned) = done(&mut server, &connection, 1, plan(digest)).await else {
        panic!("no plan")
    };
    let part = |from, to, extent| match apply(digest, planned.approval()) {
        Task::Apply {
            catalog,
            secrets,
            approval,
            ..
        } => Task::Apply {
            catalog,
            secrets,
            approval,
            part: Part { from, to },
            extent,
        },
        other => other,
    };
    let first = done(&mut server, &connection, 2, part(0, 1, Extent::Partly)).await;
    assert_eq!(applied(first).resources.len(), 1);
    assert!(!machine.root().join("etc/two").exists());
    connection.close(Code::SHUTDOWN, "");
    let (connection, hello) = server.connected().await;
    assert_eq!(hello.applied, None);

    let second = done(&mut server, &connection, 3, part(1, 2, Extent::Wholly)).await;
    assert_eq!(applied(second).resources.len(), 1);
    connection.close(Code::SHUTDOWN, "");
    let (_, hello) = server.connected().await;
    assert_eq!(hello.applied, Some(digest));
    machine.stop().await;
}

#[tokio::test]
async fn a_certificate_is_had_over_the_link() {
    let (mut server, mut machine, connection) = enrolled().await;
    // The first reply is lost with its connection.
    server.script.lock().unwrap().lose_certificates = 1;
    let fields = [
        ("key", "/etc/peer.key"),
        ("ca", "/etc/ca.pem"),
        ("names", "db01"),
    ];
    let resource = entry("certificate", "/etc/peer.pem", &fields);
    let digest = server.offer(catalog_of("db01", vec![resource]));
    let JobResult::Planned(planned) = done(&mut server, &connection, 1, plan(digest)).await else {
        panic!("no plan")
    };
    let task = apply(digest, planned.approval());
    submit(&connection, job(2, task.clone())).await;
    let (connection, _) = server.connected().await;
    let report = applied(server.result().await.1);
    assert_eq!(report.changed(), 1);
    let asked = ["certificate:/etc/peer.pem"; 2];
    assert_eq!(server.script.lock().unwrap().certified, asked);

    let mode = |name: &str| {
        let path = machine.root().join("etc").join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(
        [mode("peer.key"), mode("peer.pem"), mode("ca.pem")],
        [0o600, 0o644, 0o644]
    );
    // Good for long, so nothing is asked again.
    let again = applied(done(&mut server, &connection, 3, task.clone()).await);
    assert_eq!(again.changed(), 0);
    // A crash may leave the new key and the old certificate.
    let other = brine_transport::identity::Key::generate().unwrap().to_pem();
    std::fs::write(machine.root().join("etc/peer.key"), other.as_bytes()).unwrap();
    let mended = applied(done(&mut server, &connection, 4, task).await);
    assert_eq!(mended.changed(), 1);
    assert_eq!(server.script.lock().unwrap().certified.len(), 3);
    machine.stop().await;
}

#[tokio::test]
async fn live_facts_and_why_there_are_none() {
    let (mut server, mut machine, connection) = enrolled().await;
    let source = Entry {
        id: ResourceId::new("teapot", "x"),
        ..file("/etc/motd", "")
    };
    let task = Task::Live(vec![file("/etc/motd", ""), source]);
    let JobResult::Live(told) = done(&mut server, &connection, 1, task).await else {
        panic!("no facts")
    };
    assert!(told.facts.values().all(|facts| facts.is_empty()));
    let why = "teapot:x: this agent does not know `teapot`";
    assert_eq!(told.failures, [why]);
    machine.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_here_fails_in_words() {
    let (mut server, mut machine, connection) = enrolled().await;
    let act = |kind: &str| Task::Act {
        resource: Box::new(entry(kind, "x", &[])),
        action: "dance".to_owned(),
        secrets: Vec::new(),
    };
    let unknown = failed(done(&mut server, &connection, 1, act("teapot")).await);
    assert!(unknown.contains("newer agent"), "{unknown}");
    let unknown = failed(done(&mut server, &connection, 2, act("file")).await);
    assert!(
        unknown.contains("the action `dance` of `file`"),
        "{unknown}"
    );
    // There is no systemd under a temporary root.
    let restart = Task::Restart("etcd.service".to_owned());
    let restart = failed(done(&mut server, &connection, 3, restart).await);
    assert!(restart.contains("etcd.service"), "{restart}");
    let reboot = failed(done(&mut server, &connection, 4, Task::Reboot).await);
    assert!(reboot.contains("reboot the machine"), "{reboot}");
    // And it goes on with the next job.
    let digest = server.offer(catalog_of("db01", Vec::new()));
    let planned = done(&mut server, &connection, 5, plan(digest)).await;
    assert!(matches!(planned, JobResult::Planned(_)));
    machine.stop().await;
}
