//! What may be asked of the inventory, and what may not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::inventory::{Cell, Section, TABLES, VIEWS};
use brine_model::name::NodeName;
use brine_wire::operator::Query;

use super::query::Table;
use super::tests::{NOW, name, with_backend};
use super::{QueryError, Store, query};

fn packages(rows: &[(&str, &str)]) -> Section {
    let row = |(name, version): &(&str, &str)| {
        let texts = [*name, "amd64", *version, *name, "installed"];
        let mut row: Vec<Cell> = texts.into_iter().map(Cell::from).collect();
        row.push(Cell::Integer(0));
        row
    };
    Section {
        table: "packages".into(),
        rows: rows.iter().map(row).collect(),
    }
}

fn asked(store: &Store, sql: &str) -> Result<Table, QueryError> {
    let question = Query {
        sql: sql.into(),
        target: "all".into(),
        parameters: BTreeMap::from([("v".into(), "3.0.9".into())]),
        limit: 3,
    };
    query(&store.path, &question, &[name::<NodeName>("backend01")])
}

/// The answer's cells, a line for each row.
#[track_caller]
fn check(store: &Store, sql: &str, expected: &[&str]) {
    let table = asked(store, sql).expect("an answer");
    let cell = |cell: &Cell| match cell {
        Cell::Null => "-".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    };
    let line = |row: &Vec<Cell>| row.iter().map(cell).collect::<Vec<_>>().join(" ");
    assert_eq!(table.rows.iter().map(line).collect::<Vec<_>>(), expected);
}

async fn filled(folder: &Path) -> Store {
    let (store, node) = with_backend(folder).await;
    let section = packages(&[("bash", "5.2"), ("openssl", "3.0.17"), ("zlib", "1")]);
    let told = BTreeMap::from([("packages".to_owned(), section.digest())]);
    let wanted = store
        .compare_inventory(node.clone(), told.clone(), NOW)
        .await;
    assert_eq!(wanted.expect("compared"), ["packages"]);
    store
        .set_section(node.clone(), section, NOW)
        .await
        .expect("kept");
    let wanted = store
        .compare_inventory(node, told, NOW)
        .await
        .expect("compared");
    assert!(wanted.is_empty(), "{wanted:?}");
    store
}

#[tokio::test]
async fn every_view_has_the_columns_that_help_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path()).await;
    for view in VIEWS {
        let table = asked(&store, &format!("SELECT * FROM {}", view.name)).expect("a view");
        let named: Vec<&str> = view.columns.iter().map(|column| column.name).collect();
        assert_eq!(table.columns, named, "{}", view.name);
    }
    for one in TABLES {
        let table = asked(&store, &format!("SELECT * FROM {}", one.name)).expect("a table");
        let named = std::iter::once("node").chain(one.columns.iter().map(|column| column.name));
        assert_eq!(table.columns, named.collect::<Vec<_>>(), "{}", one.name);
    }
    let again = Store::open(&store.path, &store.blobs).expect("opened again");
    check(
        &again,
        "SELECT name FROM packages",
        &["bash", "openssl", "zlib"],
    );
}

#[tokio::test]
async fn versions_compare_as_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path()).await;
    let newer = "SELECT node, version FROM packages WHERE name = 'openssl' AND version > :v COLLATE version";
    check(&store, newer, &["backend01 3.0.17"]);
    check(&store, "SELECT version_compare('1:0', '2')", &["1"]);
    check(
        &store,
        "SELECT p.node FROM packages p JOIN target USING (node) WHERE name = 'zlib'",
        &["backend01"],
    );
}

#[tokio::test]
async fn what_becomes_different_is_kept_and_what_is_first_told_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path()).await;
    let node: NodeName = name("backend01");
    check(&store, "SELECT * FROM changes", &[]);
    let later = NOW.plus(Duration::from_secs(60));
    let section = packages(&[("bash", "5.2"), ("curl", "8"), ("openssl", "3.0.18")]);
    store
        .set_section(node.clone(), section, later)
        .await
        .expect("kept");
    check(
        &store,
        "SELECT key, before ->> 'version', after ->> 'version', at FROM changes ORDER BY key",
        &[
            "curl amd64 - 8 1970-01-12T13:47:40Z",
            "openssl amd64 3.0.17 3.0.18 1970-01-12T13:47:40Z",
            "zlib amd64 1 - 1970-01-12T13:47:40Z",
        ],
    );
    let mut facts = Facts::default();
    store
        .set_facts(node.clone(), facts.clone(), later)
        .await
        .expect("kept");
    facts.os.version = "13".into();
    store
        .set_facts(node.clone(), facts, later)
        .await
        .expect("kept");
    check(
        &store,
        "SELECT value FROM facts WHERE path = 'os.version'",
        &["13"],
    );
    check(
        &store,
        "SELECT before, after FROM changes WHERE \"table\" = 'facts'",
        &["{\"value\":\"\"} {\"value\":\"13\"}"],
    );
    assert_eq!(store.forget_changes(later).await.expect("forgotten"), 0);
    let after = later.plus(Duration::from_secs(1));
    assert_eq!(store.forget_changes(after).await.expect("forgotten"), 4);
    // A node that goes takes what it has along.
    store.remove_node(node, NOW).await.expect("removed");
    check(&store, "SELECT count(*) FROM packages", &["0"]);
}

#[tokio::test]
async fn nothing_else_can_be_asked_or_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path()).await;
    for sql in [
        "DELETE FROM packages",
        "DELETE FROM inventory_packages",
        "UPDATE nodes SET name = 'x'",
        "SELECT * FROM main.nodes",
        "SELECT hash FROM tokens",
        "SELECT count(*) FROM tokens",
        "WITH x AS (SELECT * FROM audit) SELECT * FROM x",
        "WITH packages AS (SELECT * FROM tokens) SELECT * FROM packages",
        "WITH target AS (SELECT count(*) FROM operators) SELECT * FROM target",
        "SELECT plan FROM main.run_nodes",
        "SELECT rowid FROM main.nodes WHERE fingerprint > 'a'",
        "SELECT (SELECT certificate FROM main.nodes)",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_table_info('tokens')",
        "PRAGMA query_only = 0",
        "ATTACH '/etc/passwd' AS x",
        "SELECT load_extension('x')",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "INSERT INTO target VALUES ('x')",
        "VACUUM INTO '/tmp/x'",
        "SELECT 1; SELECT 2",
        "BEGIN",
        "nonsense",
        "",
        "SELECT :unknown",
        "SELECT zeroblob(100000000)",
    ] {
        let answer = asked(&store, sql);
        assert!(answer.is_err(), "{sql}: {answer:?}");
    }
    check(&store, "SELECT count(*) FROM packages", &["3"]);
}

#[tokio::test]
async fn what_runs_away_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path()).await;
    let many = asked(
        &store,
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
    );
    let many = many.expect("an answer");
    assert_eq!((many.rows.len(), many.truncated), (3, true));
    let endless = asked(
        &store,
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    );
    assert!(matches!(endless, Err(QueryError::TooLong)), "{endless:?}");
}

/// Names that are code elsewhere are names here.
#[tokio::test]
async fn hostile_names_are_only_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let names = ["'; DROP TABLE nodes; --", "\u{1b}[2J", "{{7*7}}"];
    let mut rows: Vec<(&str, &str)> = names.iter().map(|name| (*name, "1")).collect();
    rows.sort_unstable();
    let section = packages(&rows);
    assert!(section.checked().is_some());
    assert_ne!(section.digest(), Digest::of(b""));
    store.set_section(node, section, NOW).await.expect("kept");
    let mut expected = names.to_vec();
    expected.sort_unstable();
    check(&store, "SELECT name FROM packages ORDER BY name", &expected);
}
