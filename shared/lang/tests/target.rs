//! Targets of the command line.
#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod support;

use std::collections::BTreeMap;

use brine_lang::target::{select, select_by};
use brine_model::diagnostic::Diagnostic;

const NODES: &str = "
    db01: db
    db02: db
    lb01: balancer
    all-in-one: db, balancer
";

#[track_caller]
fn selects(target: &str, expected: &[&str]) {
    let mut fleet = support::fleet(NODES);
    fleet.nodes[0].labels.insert("env".into(), "prod".into());
    fleet.nodes[1].labels.insert("zone".into(), "a".into());
    fleet.nodes[2].facts = None;
    let found = select(target, &fleet).unwrap_or_else(|error| panic!("{target}: {error:?}"));
    let found = found.iter().map(|name| name.as_str()).collect::<Vec<_>>();
    assert_eq!(found, expected, "{target}");
}

#[track_caller]
fn fails(target: &str) -> String {
    let mut fleet = support::fleet(NODES);
    fleet.nodes[0].labels.insert("zone".into(), "a".into());
    let error: Diagnostic = *select(target, &fleet).unwrap_err();
    support::render([&error])
}

#[test]
fn who_is_meant() {
    selects("all", &["all-in-one", "db01", "db02", "lb01"]);
    selects("role=db", &["all-in-one", "db01", "db02"]);
    selects("role=db and role=balancer", &["all-in-one"]);
    selects("role!=db", &["lb01"]);
    selects("role=db and not role=balancer", &["db01", "db02"]);
    selects("node=db01", &["db01"]);
    selects("node in [db01, lb01]", &["db01", "lb01"]);
    selects("env=prod", &["db01"]);
    selects("label.zone=a or env=prod", &["db01", "db02"]);
    // Facts that a node has not reported are unknown: no comparison holds, neither way.
    selects("os.version<13", &["all-in-one", "db01", "db02"]);
    selects("facts.os.family=debian and role=balancer", &["all-in-one"]);
    selects("node.address=10.0.0.3", &["lb01"]);
}

#[test]
fn packages_choose_nodes() {
    let target = "package.libssl3<3.0.17 or package.linux-image-amd64=6";
    let names = brine_lang::target::packages(target);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["libssl3", "linux-image-amd64"]
    );
    assert!(brine_lang::target::packages("role=db").is_empty());
    let fleet = support::fleet(NODES);
    let version = |text: &str| BTreeMap::from([("libssl3".to_owned(), text.to_owned())]);
    let installed = BTreeMap::from([
        ("db01".parse().unwrap(), version("3.0.9-1")),
        ("db02".parse().unwrap(), version("3.0.17-1~deb12u2")),
        ("lb01".parse().unwrap(), version("3.0.11-1~deb12u2")),
    ]);
    let found = select_by("role=db and package.libssl3<3.0.17", &fleet, &installed).unwrap();
    assert_eq!(found, ["db01".parse().unwrap()]);
    // Who does not have it, or has not told, is not meant.
    let found = select_by("package.libssl3>=3.0.11", &fleet, &installed).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_refused() {
    insta::assert_snapshot!(
        [
            "",
            "rol=db",
            "role=bd",
            "node=db1",
            "os.versoin<12",
            "role=",
            "facts.oss.id=debian",
            "role=db and",
            "zone=a",
            "label=x",
            "os",
            "package",
            "node=nobody-at-all"
        ]
        .map(|target| format!("> {target}\n{}", fails(target)))
        .join("")
    );
}
