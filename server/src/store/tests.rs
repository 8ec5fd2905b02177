//! What a restarted server still knows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use brine_model::catalog::{OnFailure, Policy};
use brine_model::converge::{Applied, ApplyReport, Plan, ResourceOutcome};
use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::name::{NodeName, RoleName};
use brine_model::resource::ResourceId;
use brine_model::time::Timestamp;
use brine_wire::job::{JobId, JobResult, RunId};
use brine_wire::operator::Paused;
use brine_wire::run::{Happening, NodeState, RunKind, RunPhase};

use super::jobs::Recorded;
use super::{
    AuditEntry, CatalogBlobs, JobKind, NewNode, NewRun, NodeUpdate, RunCatalog, Store, StoreError,
    TokenRecord,
};
use crate::enrol::{Asked, Decision};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_000_000);

pub(super) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("brine.db"), &folder.join("blobs")).expect("opened")
}

fn token(node: Option<&str>, secret: &str) -> TokenRecord {
    let hash = Digest::of(secret.as_bytes());
    TokenRecord {
        id: hash.short(),
        hash,
        node: node.map(name),
        roles: vec![name("backend")],
        labels: BTreeMap::new(),
        names: "backend*".into(),
        uses_left: 2,
        expires: Timestamp::from_secs(2_000_000),
    }
}

fn asked(host: &str, secret: Option<&str>, key: &str) -> Asked {
    Asked {
        token: secret.map(|secret| Digest::of(secret.as_bytes())),
        proposed_name: host.into(),
        machine_id: format!("machine-{key}"),
        fingerprint: key.into(),
        agent_version: "0.1.0".into(),
    }
}

/// A store with one enrolled backend.
pub(super) async fn with_backend(folder: &Path) -> (Store, NodeName) {
    let store = open(folder);
    store.add_token(token(None, "pool")).await.expect("kept");
    let decision = store
        .enrol(asked("backend01", Some("pool"), "k1"), NOW)
        .await
        .expect("decided");
    assert!(matches!(decision, Decision::Admit { .. }), "{decision:?}");
    (store, name("backend01"))
}

/// A run over that backend whose catalog names one blob.
async fn with_run(store: &Store, node: &NodeName, content: &[u8]) -> (RunId, Digest, Digest) {
    let catalog_bytes: Arc<[u8]> = [b"catalog of ".as_slice(), content].concat().into();
    let (catalog, blob) = (Digest::of(&catalog_bytes), Digest::of(content));
    let blobs = CatalogBlobs {
        catalogs: BTreeMap::from([(catalog, vec![catalog, blob])]),
        contents: BTreeMap::from([(catalog, catalog_bytes), (blob, content.into())]),
    };
    let role: RoleName = name("backend");
    let policy = Policy {
        role: role.clone(),
        max_unavailable: 1,
        healthy: vec![],
        formed: vec![],
        order: vec![],
        drain: vec![],
        undrain: vec![],
        on_failure: OnFailure::Stop,
        sources: vec![],
    };
    let run = NewRun {
        kind: RunKind::Apply,
        target: "role=backend".into(),
        operator: name("admin"),
        snapshot: "abc".into(),
        diagnostics: vec![],
        nodes: vec![RunCatalog {
            name: node.clone(),
            roles: vec![role],
            state: NodeState::Pending,
            catalog,
            policies: vec![policy],
            previous: None,
        }],
        catalogs: vec![],
    };
    (
        store.create_run(run, blobs, NOW).await.expect("made"),
        catalog,
        blob,
    )
}

fn report(outcome: ResourceOutcome) -> JobResult {
    let resources = vec![Applied {
        id: ResourceId::new("file", "/etc/motd"),
        formula: name("base"),
        outcome,
    }];
    JobResult::Applied(ApplyReport { resources })
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_an_old_one_brought_up() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    drop(open(folder.path()));
    let path = folder.path().join("brine.db");
    let db = rusqlite::Connection::open(&path).expect("opened");
    db.pragma_update(None, "user_version", 999).expect("set");
    drop(db);
    let error = Store::open(&path, &folder.path().join("blobs")).expect_err("too new");
    assert!(matches!(error, StoreError::TooNew { found: 999, .. }));
}

#[tokio::test]
async fn enrolments_survive_and_are_never_given_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    // The reply was lost, the server restarted: the same enrolment, and no use for it.
    drop(store);
    let store = open(folder.path());
    let again = store
        .enrol(asked("backend01", Some("pool"), "k1"), NOW)
        .await
        .expect("decided");
    assert_eq!(again, Decision::Again(node.clone()));
    assert_eq!(store.tokens(NOW).await.expect("read")[0].uses_left, 1);
    // Its name is taken; another name uses the token up; then it is worth nothing.
    let taken = store
        .enrol(asked("backend01", Some("pool"), "k2"), NOW)
        .await
        .expect("decided");
    assert!(matches!(taken, Decision::Wait { .. }), "{taken:?}");
    let other = store
        .enrol(asked("backend02", Some("pool"), "k2"), NOW)
        .await
        .expect("decided");
    assert!(matches!(other, Decision::Admit { .. }), "{other:?}");
    let third = store
        .enrol(asked("backend03", Some("pool"), "k3"), NOW)
        .await
        .expect("decided");
    assert!(matches!(third, Decision::Refuse { .. }), "{third:?}");
    assert!(store.tokens(NOW).await.expect("read").is_empty());
}

#[tokio::test]
async fn removed_nodes_leave_nothing_but_their_revocation() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    store
        .set_facts(node.clone(), Facts::default(), NOW)
        .await
        .expect("kept");
    assert!(store.remove_node(node.clone(), NOW).await.expect("removed"));
    assert!(
        !store
            .remove_node(node.clone(), NOW)
            .await
            .expect("nothing there")
    );
    assert_eq!(store.facts(node.clone()).await.expect("read"), None);
    // Facts on their way when it was removed are not kept for its successor.
    store
        .set_facts(node.clone(), Facts::default(), NOW)
        .await
        .expect("ignored");
    assert_eq!(store.facts(node.clone()).await.expect("read"), None);
    let back = store
        .enrol(asked("backend01", Some("pool"), "k1"), NOW)
        .await
        .expect("decided");
    assert!(matches!(back, Decision::Refuse { .. }), "{back:?}");
    let name_again = store
        .enrol(asked("backend01", Some("pool"), "k9"), NOW)
        .await
        .expect("decided");
    assert!(
        matches!(name_again, Decision::Wait { .. }),
        "a pool token gives no former name"
    );
    // An operator may give the name to another machine.
    let accepted = store
        .accept(node.clone(), "k9".into(), vec![name("backend")])
        .await;
    assert_eq!(accepted.expect("decided"), Ok(()));
    let found = store.node(node).await.expect("read").expect("there");
    assert!(found.is_bare() && found.enrolled.is_some());
}

#[tokio::test]
async fn a_replaced_machine_leaves_its_place_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let (labels, address) = ([("zone".to_owned(), Some("a".to_owned()))], "10.0.0.5");
    store
        .set_node(node.clone(), None, labels.into(), Some(address.into()))
        .await
        .expect("set");
    let (run, catalog, _) = with_run(&store, &node, b"one").await;
    for (step, reported) in [(1, true), (2, false)] {
        let job = JobId { run, step };
        store
            .open_job(node.clone(), job, JobKind::Apply, catalog, NOW)
            .await
            .expect("kept");
        if reported {
            let result = report(ResourceOutcome::Changed(vec![]));
            let recorded = store.record_result(node.clone(), job, result, NOW).await;
            assert_eq!(recorded.expect("kept"), Recorded::Kept);
        }
    }
    store
        .set_facts(node.clone(), Facts::default(), NOW)
        .await
        .expect("kept");

    let own = |secret: &str| TokenRecord {
        uses_left: 1,
        ..token(Some("backend01"), secret)
    };
    let (_, before) = store.nodes().await.expect("read");
    for secret in ["first", "second"] {
        let replaced = store.replace_node(node.clone(), own(secret), NOW).await;
        assert!(replaced.expect("replaced"));
    }
    let nobody = store.replace_node(name("backend09"), own("third"), NOW);
    assert!(!nobody.await.expect("nothing there"));

    // What was on its way from the machine changes nothing any more.
    let (job, result) = (JobId { run, step: 2 }, report(ResourceOutcome::InSync));
    store
        .record_result(node.clone(), job, result, NOW)
        .await
        .expect("kept");
    store
        .set_facts(node.clone(), Facts::default(), NOW)
        .await
        .expect("ignored");
    let (nodes, after) = store.nodes().await.expect("read");
    assert!(after > before, "catalogs are compiled anew");
    let found = &nodes[0];
    assert_eq!(found.generation, 2);
    assert!(found.is_bare() && found.enrolled.is_none() && found.policies.is_empty());
    assert_eq!(found.roles, [name::<RoleName>("backend")]);
    assert_eq!(found.labels["zone"], "a");
    assert_eq!(found.effective_address(), Some(address));
    assert_eq!(store.facts(node.clone()).await.expect("read"), None);

    // The old key is out for good, and only the newest token lets in, once, under the old name.
    let enrol = async |host: &str, secret: &str, key: &str| {
        let decision = store.enrol(asked(host, Some(secret), key), NOW).await;
        decision.expect("decided")
    };
    for secret in ["pool", "second"] {
        let back = enrol("backend01", secret, "k1").await;
        assert!(matches!(back, Decision::Refuse { .. }), "{back:?}");
    }
    let void = enrol("backend01", "first", "k2").await;
    assert!(matches!(void, Decision::Refuse { .. }), "{void:?}");
    let by_pool = enrol("backend01", "pool", "k2").await;
    assert!(matches!(by_pool, Decision::Wait { .. }), "{by_pool:?}");
    let new = enrol("fresh", "second", "k3").await;
    assert!(
        matches!(&new, Decision::Admit { name, made: None, .. } if *name == node),
        "{new:?}"
    );
    let late = enrol("fresh", "second", "k4").await;
    assert!(matches!(late, Decision::Refuse { .. }), "{late:?}");
    let back = enrol("backend01", "pool", "k1").await;
    assert!(matches!(back, Decision::Refuse { .. }), "{back:?}");
}

#[tokio::test]
async fn a_pause_lasts_until_it_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let pause = Paused {
        until: NOW,
        reason: Some("disk".into()),
    };
    let set = store.pause_node(node.clone(), Some(pause.clone())).await;
    assert!(set.expect("kept"));
    drop(store);
    let store = open(folder.path());
    let paused = async || {
        let found = store.node(node.clone()).await.expect("read");
        found.expect("there").paused
    };
    assert_eq!(paused().await, Some(pause.clone()));
    let replaced = store.replace_node(node.clone(), token(Some("backend01"), "x"), NOW);
    assert!(replaced.await.expect("replaced"));
    assert_eq!(paused().await, Some(pause), "it is the operator's");
    assert!(store.pause_node(node.clone(), None).await.expect("kept"));
    assert_eq!(paused().await, None);
    let nobody = store.pause_node(name("backend09"), None).await;
    assert!(!nobody.expect("nothing there"));
}

#[tokio::test]
async fn node_tokens_are_for_one_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let add = |secret: &str| NewNode {
        name: name("db01"),
        roles: vec![name("db")],
        labels: BTreeMap::new(),
        address: None,
        token: TokenRecord {
            uses_left: 1,
            ..token(Some("db01"), secret)
        },
    };
    assert!(store.add_node(add("one")).await.expect("added"));
    // A new token for the same expected node makes the old one void.
    assert!(store.add_node(add("two")).await.expect("added"));
    let old = store
        .enrol(asked("x", Some("one"), "k1"), NOW)
        .await
        .expect("decided");
    assert!(matches!(old, Decision::Refuse { .. }), "{old:?}");
    let new = store
        .enrol(asked("x", Some("two"), "k1"), NOW)
        .await
        .expect("decided");
    assert!(
        matches!(new, Decision::Admit { ref name, .. } if name.as_str() == "db01"),
        "{new:?}"
    );
    let second = store
        .enrol(asked("x", Some("two"), "k2"), NOW)
        .await
        .expect("decided");
    assert!(matches!(second, Decision::Refuse { .. }), "{second:?}");
    assert!(
        !store.add_node(add("three")).await.expect("decided"),
        "it is a machine already"
    );
}

#[tokio::test]
async fn a_result_is_kept_once_and_says_what_is_applied() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let (run, catalog, _) = with_run(&store, &node, b"one").await;
    let job = JobId { run, step: 1 };
    store
        .open_job(node.clone(), job, JobKind::Apply, catalog, NOW)
        .await
        .expect("kept");
    let stranger: NodeName = name("backend09");
    let result = report(ResourceOutcome::Changed(vec![]));
    let recorded = store
        .record_result(stranger, job, result.clone(), NOW)
        .await;
    assert_eq!(
        recorded.expect("decided"),
        Recorded::Unknown,
        "another node's job"
    );
    let recorded = store
        .record_result(node.clone(), job, result.clone(), NOW)
        .await;
    assert_eq!(recorded.expect("kept"), Recorded::Kept);
    drop(store);
    let store = open(folder.path());
    let recorded = store.record_result(node.clone(), job, result, NOW).await;
    assert_eq!(recorded.expect("decided"), Recorded::Duplicate);
    let found = store.node(node).await.expect("read").expect("there");
    assert_eq!(found.applied, Some(catalog));
    assert_eq!(found.policies[0].role.as_str(), "backend");
    let detail = store.run_detail(run).await.expect("read").expect("there");
    assert_eq!(detail.reports.len(), 1);
}

#[tokio::test]
async fn a_failed_apply_is_no_applied_catalog() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let (run, catalog, _) = with_run(&store, &node, b"one").await;
    let job = JobId { run, step: 1 };
    store
        .open_job(node.clone(), job, JobKind::Apply, catalog, NOW)
        .await
        .expect("kept");
    let failed = ResourceOutcome::Failed {
        message: "disk full".into(),
        changes: vec![],
    };
    store
        .record_result(node.clone(), job, report(failed), NOW)
        .await
        .expect("kept");
    assert!(
        store
            .node(node)
            .await
            .expect("read")
            .expect("there")
            .is_bare()
    );
}

#[tokio::test]
async fn a_dead_server_leaves_interrupted_runs_and_late_results_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let (run, catalog, _) = with_run(&store, &node, b"one").await;
    let job = JobId { run, step: 1 };
    store
        .open_job(node.clone(), job, JobKind::Apply, catalog, NOW)
        .await
        .expect("kept");
    store
        .set_phase(run, RunPhase::Applying, None, NOW)
        .await
        .expect("kept");
    let applying = NodeUpdate {
        state: NodeState::Applying,
        reason: None,
        counts: None,
    };
    store
        .set_run_node(run, node.clone(), applying, NOW)
        .await
        .expect("kept");
    drop(store);

    let store = open(folder.path());
    assert_eq!(store.interrupt_open_runs(NOW).await.expect("done"), [run]);
    assert!(
        store
            .interrupt_open_runs(NOW)
            .await
            .expect("done")
            .is_empty()
    );
    let summary = store.run_summary(run).await.expect("read").expect("there");
    assert_eq!(summary.phase, RunPhase::Interrupted);
    let reason = summary.reason.expect("a reason");
    assert!(reason.contains("while backend01 applied"), "{reason}");
    assert_eq!(summary.nodes[0].state, NodeState::Waiting);

    // The agent went on and delivers now.
    let result = report(ResourceOutcome::Changed(vec![]));
    let recorded = store.record_result(node.clone(), job, result, NOW).await;
    assert_eq!(recorded.expect("kept"), Recorded::Kept);
    let summary = store.run_summary(run).await.expect("read").expect("there");
    assert_eq!(summary.phase, RunPhase::Interrupted, "it stays as it ended");
    assert_eq!(summary.nodes[0].state, NodeState::Changed);
    let events = store.events(run, 1, 100).await.expect("read");
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    let last = &events.last().expect("one").what;
    assert!(
        matches!(
            last,
            Happening::Node {
                state: NodeState::Changed,
                ..
            }
        ),
        "{last:?}"
    );
    assert_eq!(store.events(run, 3, 1).await.expect("read")[0].sequence, 3);
}

#[tokio::test]
async fn blobs_are_for_nodes_whose_catalogs_name_them_and_swept_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let get = async |store: &Store, node: &str, digest| {
        store
            .blob_for(name(node), digest)
            .await
            .expect("read")
            .is_some_and(|path| path.exists())
    };
    let (run, catalog, blob) = with_run(&store, &node, b"one").await;
    assert!(!get(&store, "backend01", blob).await, "no job yet");
    let job = JobId { run, step: 0 };
    store
        .open_job(node.clone(), job, JobKind::Apply, catalog, NOW)
        .await
        .expect("kept");
    assert!(get(&store, "backend01", blob).await && get(&store, "backend01", catalog).await);
    assert!(!get(&store, "backend02", blob).await, "another node");
    assert!(
        !get(&store, "backend01", Digest::of(b"other")).await,
        "another blob"
    );

    store
        .record_result(node.clone(), job, report(ResourceOutcome::InSync), NOW)
        .await
        .expect("kept");
    store
        .set_phase(run, RunPhase::Succeeded, None, NOW)
        .await
        .expect("kept");
    assert!(
        get(&store, "backend01", blob).await,
        "its last applied catalog names it"
    );

    // The next catalog is applied: what only the first one named goes.
    let (next, catalog, newer) = with_run(&store, &node, b"two").await;
    let job = JobId { run: next, step: 0 };
    store
        .open_job(node.clone(), job, JobKind::Apply, catalog, NOW)
        .await
        .expect("kept");
    assert!(
        get(&store, "backend01", blob).await,
        "until the run is over"
    );
    store
        .record_result(node.clone(), job, report(ResourceOutcome::InSync), NOW)
        .await
        .expect("kept");
    store
        .set_phase(next, RunPhase::Succeeded, None, NOW)
        .await
        .expect("kept");
    assert!(!get(&store, "backend01", blob).await);
    assert!(get(&store, "backend01", newer).await);
}

#[tokio::test]
async fn a_plan_is_kept_and_applies_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let (run, catalog, _) = with_run(&store, &node, b"one").await;
    let job = JobId { run, step: 0 };
    store
        .open_job(node.clone(), job, JobKind::Plan, catalog, NOW)
        .await
        .expect("kept");
    let result = JobResult::Planned(Plan::default());
    store
        .record_result(node.clone(), job, result, NOW)
        .await
        .expect("kept");
    let detail = store.run_detail(run).await.expect("read").expect("there");
    assert_eq!(detail.plans.len(), 1);
    assert!(
        store
            .node(node)
            .await
            .expect("read")
            .expect("there")
            .is_bare()
    );
}

#[tokio::test]
async fn the_audit_log_is_append_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let entry = AuditEntry {
        at: NOW,
        operator: name("admin"),
        peer: "10.0.0.1:5".into(),
        what: "apply role=db".into(),
        outcome: "run 1".into(),
    };
    store.audit(entry.clone()).await.expect("kept");
    assert_eq!(store.audit_log(10).await.expect("read"), [entry]);
    for statement in ["DELETE FROM audit", "UPDATE audit SET what = 'nothing'"] {
        let refused = store.write(move |db| Ok(db.execute(statement, [])?)).await;
        assert!(refused.is_err(), "{statement}");
    }
    assert_eq!(store.audit_log(10).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_panic_in_one_call_costs_that_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let result = store
        .write(|_| -> Result<(), StoreError> { panic!("on purpose") })
        .await;
    assert!(result.is_err());
    assert!(store.nodes().await.is_ok());
}

#[tokio::test]
async fn equal_facts_cost_no_compilation() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, node) = with_backend(folder.path()).await;
    let version = async |store: &Store| store.all_facts().await.expect("read").1;
    let before = version(&store).await;
    store
        .set_facts(node.clone(), Facts::default(), NOW)
        .await
        .expect("kept");
    let first = version(&store).await;
    assert!(first > before);
    store
        .set_facts(node, Facts::default(), NOW)
        .await
        .expect("kept");
    assert_eq!(version(&store).await, first);
}
