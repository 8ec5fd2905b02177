//! What others change between applies: told, and mended where that is wanted.

use std::fs;

use brine_model::converge::Part;
use brine_model::drift::TRIES;
use brine_model::inventory::Cell;
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_wire::agent::ServerRequest;
use brine_wire::job::{Extent, JobResult, Task};

use crate::server::{LIMIT, Machine, Server, apply, ask, catalog_with, file, job, plan, submit};

/// A machine with `/etc/motd` applied.
async fn applied(enforced: &[&str]) -> (Server, Machine, Connection) {
    let mut server = Server::start();
    let mut machine = Machine::new();
    machine.place(&server.token);
    machine.start();
    let (connection, _) = server.connected().await;
    let resources = vec![file("/etc/motd", "hello\n")];
    let digest = server.offer(catalog_with("db01", resources, enforced));
    submit(&connection, job(1, plan(digest))).await;
    let JobResult::Planned(planned) = server.result().await.1 else {
        panic!("no plan")
    };
    submit(&connection, job(2, apply(digest, planned.approval()))).await;
    let JobResult::Applied(report) = server.result().await.1 else {
        panic!("not applied")
    };
    assert!(report.succeeded(), "{report:?}");
    // Its watch is armed when this is answered.
    ask(&connection, ServerRequest::Report).await;
    (server, machine, connection)
}

/// The texts of a table as it was told last.
fn rows(server: &Server, table: &str) -> Vec<Vec<String>> {
    let script = server.script.lock().unwrap();
    let rows = script.table(table).map(|section| section.rows.clone());
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Null => "-".to_owned(),
    };
    let rows = rows.unwrap_or_default();
    rows.iter()
        .map(|row| row.iter().map(text).collect())
        .collect()
}

async fn told(server: &Server, what: &str, holds: impl Fn(&Server) -> bool) {
    let waited = async {
        while !holds(server) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, waited).await;
    assert!(waited.is_ok(), "never: {what}: {:?}", rows(server, "drift"));
}

#[tokio::test]
async fn an_edit_is_told_and_stays() {
    let (server, mut machine, _connection) = applied(&[]).await;
    let motd = machine.root().join("etc/motd");
    fs::write(&motd, "other\n").unwrap();
    told(&server, "drifted", |server| {
        rows(server, "drift").len() == 1
    })
    .await;
    let row = &rows(&server, "drift")[0];
    assert_eq!(row[..3], ["file:/etc/motd", "base", "drifted"]);
    assert!(row[5].contains("-other\n+hello\n"), "{row:?}");
    assert_eq!(fs::read_to_string(&motd).unwrap(), "other\n");
    // The agent's next life knows since when.
    let since = row[3].clone();
    machine.stop().await;
    machine.start();
    fs::remove_file(&motd).unwrap();
    told(&server, "gone", |server| {
        rows(server, "drift")
            .first()
            .is_some_and(|row| row[4].contains("create"))
    })
    .await;
    assert_eq!(rows(&server, "drift")[0][3], since);
    fs::write(&motd, "hello\n").unwrap();
    told(&server, "in sync", |server| {
        rows(server, "drift").is_empty()
    })
    .await;
    machine.stop().await;
}

#[tokio::test]
async fn what_is_enforced_comes_back_also_without_a_server() {
    let (server, mut machine, connection) = applied(&["base"]).await;
    let motd = machine.root().join("etc/motd");
    let is_back = |_: &Machine| fs::read_to_string(&motd).is_ok_and(|text| text == "hello\n");
    fs::write(&motd, "other\n").unwrap();
    machine.wait_until("healed", is_back).await;
    told(&server, "healed", |server| {
        rows(server, "healed").len() == 1
    })
    .await;
    server.script.lock().unwrap().revoked = true;
    connection.close(Code::REVOKED, "for now");
    fs::remove_file(&motd).unwrap();
    machine.wait_until("healed alone", is_back).await;
    machine.stop().await;
    server.script.lock().unwrap().revoked = false;
    // What happened meanwhile is told later.
    machine.start();
    told(&server, "both", |server| {
        rows(server, "healed")
            .first()
            .is_some_and(|row| row[4] == "2")
    })
    .await;
    told(&server, "in sync", |server| {
        rows(server, "drift").is_empty()
    })
    .await;
    // Whoever insists is let be.
    for _ in 2..TRIES {
        fs::write(&motd, "mine\n").unwrap();
        machine.wait_until("healed again", is_back).await;
    }
    fs::write(&motd, "mine\n").unwrap();
    told(&server, "given up", |server| {
        rows(server, "drift")
            .first()
            .is_some_and(|row| row[2] == "given up")
    })
    .await;
    assert_eq!(fs::read_to_string(&motd).unwrap(), "mine\n");
    machine.stop().await;
}

#[tokio::test]
async fn a_catalog_that_was_begun_mends_nothing_and_neither_does_the_one_before() {
    let (mut server, mut machine, connection) = applied(&["base"]).await;
    let resources = vec![file("/etc/motd", "new\n"), file("/etc/other", "new\n")];
    let digest = server.offer(catalog_with("db01", resources, &["base"]));
    submit(&connection, job(3, plan(digest))).await;
    let JobResult::Planned(planned) = server.result().await.1 else {
        panic!("no plan")
    };
    let Task::Apply {
        catalog,
        secrets,
        approval,
        ..
    } = apply(digest, planned.approval())
    else {
        panic!("an apply")
    };
    let part = Task::Apply {
        catalog,
        secrets,
        approval,
        part: Part { from: 0, to: 1 },
        extent: Extent::Partly,
    };
    submit(&connection, job(4, part)).await;
    server.result().await;
    // Answered when everything was looked at.
    ask(&connection, ServerRequest::Report).await;
    let motd = machine.root().join("etc/motd");
    assert_eq!(fs::read_to_string(&motd).unwrap(), "new\n");
    assert!(!machine.root().join("etc/other").exists());
    machine.stop().await;
}

#[tokio::test]
async fn a_table_that_is_as_before_is_not_sent_again() {
    let (server, mut machine, connection) = applied(&[]).await;
    let sent = |table: &str| {
        let script = server.script.lock().unwrap();
        let of_table = script
            .sections
            .iter()
            .filter(|section| section.table == table);
        of_table.count()
    };
    ask(&connection, ServerRequest::Report).await;
    ask(&connection, ServerRequest::Report).await;
    assert_eq!(sent("groups"), 1);
    let group = machine.root().join("etc/group");
    let before = fs::read_to_string(&group).unwrap();
    fs::write(&group, format!("{before}more:x:4711:\n")).unwrap();
    ask(&connection, ServerRequest::Report).await;
    assert_eq!((sent("groups"), sent("users")), (2, 1));
    machine.stop().await;
}
