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
use super::{Asked, QueryError, Store, query};

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
    query(&store.path, &question, &[as_asked(name("backend01"))])
}

fn as_asked(node: NodeName) -> Asked {
    Asked {
        node,
        catalog: Some("behind"),
        in_target: true,
    }
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
    check(
        &store,
        "SELECT node, catalog FROM nodes",
        &["backend01 behind"],
    );
    check(&store, "SELECT node FROM target", &["backend01"]);
    let again = Store::open(&store.path, &store.blobs).expect("opened again");
    check(
        &again,
        "SELECT name FROM packages",
        &["bash", "openssl", "zlib"],
    );
}

#[tokio::test]
async fn times_are_readable_and_what_changes_all_the_time_has_no_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let drift = |how: &str| Section {
        table: "drift".into(),
        rows: vec![vec![
            "file:/etc/motd".into(),
            "base".into(),
            "drifted".into(),
            Cell::Integer(60),
            how.into(),
            Cell::Null,
        ]],
    };
    let live = |value: i64| Section {
        table: "live".into(),
        rows: vec![vec!["patroni.lag".into(), Cell::Integer(value)]],
    };
    let drift_with = |how: &str, diff: &str| {
        let mut section = drift(how);
        section.rows[0][5] = diff.into();
        section
    };
    let told = [
        drift("a"),
        live(1),
        drift("b"),
        drift_with("b", "-1\n+2\n"),
        drift_with("b", "-1\n+3\n"),
        live(2),
    ];
    for section in told {
        assert!(section.checked().is_some(), "{section:?}");
        store
            .set_section(node.clone(), section, NOW)
            .await
            .expect("kept");
    }
    check(
        &store,
        "SELECT resource, since, how FROM drift",
        &["file:/etc/motd 1970-01-01T00:01:00Z b"],
    );
    check(&store, "SELECT fact, value FROM live", &["patroni.lag 2"]);
    check(&store, "SELECT \"table\" FROM changes", &["drift"]);
    assert_eq!(
        store.drifted().await.expect("counted"),
        BTreeMap::from([(node, 1)])
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
        "SELECT count(*) FROM Tokens",
        "SELECT count(*) FROM sqlite_master",
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

/// A measurement, for bench/inventory: nothing is asserted of times.
#[tokio::test]
#[ignore = "a measurement of a minute"]
async fn five_thousand_nodes() {
    use brine_lang::{Fleet, NodeInput, target};
    use std::time::Instant;

    const NODES: u32 = 5_000;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(
        &folder.path().join("brine.db"),
        &folder.path().join("blobs"),
    );
    let store = store.expect("opened");
    let node = |number: u32| name::<NodeName>(&format!("node{number:04}"));
    let names: Vec<NodeName> = (0..NODES).map(node).collect();
    let facts = |number: u32| {
        let mut facts = Facts::default();
        facts.os.id = "debian".into();
        let old = number.is_multiple_of(10);
        facts.os.version = if old { "11" } else { "12" }.into();
        facts
    };
    let began = Instant::now();
    let all = names.clone();
    store
        .write(move |db| {
            for (number, node) in (0..).zip(&all) {
                db.execute(
                    "INSERT INTO nodes (name, roles, labels, fingerprint) VALUES (?1, '[\"web\"]', '{}', ?1)",
                    [node.as_str()],
                )?;
                let rows: Vec<(String, String)> = (0..500)
                    .map(|package| match package {
                        250 => ("openssl".to_owned(), format!("3.0.{}", 11 + number % 8)),
                        other => (format!("package-{other:03}"), format!("1.{}", other % 7)),
                    })
                    .collect();
                let mut rows: Vec<(&str, &str)> =
                    rows.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                rows.sort_unstable();
                let shape = super::inventory::shapes().find(|shape| shape.name == "packages");
                let shape = shape.expect("a table");
                super::inventory::replace(db, shape, node, &packages(&rows), NOW)?;
            }
            Ok(())
        })
        .await
        .expect("filled");
    println!(
        "filled with {NODES} nodes in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let question = |sql: &str| Query {
        sql: sql.into(),
        target: "all".into(),
        parameters: BTreeMap::from([("v".into(), "3.0.17".into())]),
        limit: 100_000,
    };
    let fleet: Vec<Asked> = names.iter().cloned().map(as_asked).collect();
    let measure = |what: &str, sql: &str, rows: usize| {
        let mut times: Vec<f64> = (0..11)
            .map(|_| {
                let began = Instant::now();
                let table = query(&store.path, &question(sql), &fleet).expect("an answer");
                assert_eq!(table.rows.len(), rows, "{what}");
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{what}: {:.1} ms ({:.1} to {:.1}), {rows} rows",
            times[5], times[0], times[10]
        );
    };
    let older = "name = 'openssl' AND version < :v COLLATE version";
    measure(
        "OpenSSL by name",
        &format!("SELECT node, version FROM packages WHERE {older}"),
        3750,
    );
    let audit = "SELECT node, name, version FROM packages WHERE source = 'openssl' AND version < :v \
                 COLLATE version ORDER BY node, name";
    measure("OpenSSL by source, as the audit", audit, 3750);
    let inputs = (0..NODES).map(|number| NodeInput {
        name: node(number),
        address: None,
        roles: vec![name("web")],
        labels: BTreeMap::new(),
        facts: Some(facts(number)),
        generation: 0,
    });
    let fleet = Fleet {
        nodes: inputs.collect(),
    };
    let began = Instant::now();
    let selected = target::select("role=web and os.version<12", &fleet).expect("some");
    assert_eq!(selected.len(), 500);
    println!(
        "a target over facts: {:.1} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        println!("{line}");
    }
    let size = std::fs::metadata(&store.path).map(|file| file.len() >> 20);
    println!("the database: {} MiB", size.unwrap_or_default());
}
