//! Catalogs in a few lines, and the check that every one must pass.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::FakeHost;
use crate::catalog::{Catalog, Entry};
use crate::converge::{
    ApplyReport, Part, Plan, PlanOutcome, Planned, PrepareError, Prepared, Silent, apply, plan,
    prepare,
};
use crate::digest::Digest;
use crate::host::HostError;
use crate::name::FormulaName;
use crate::resource::ResourceId;
use crate::span::Origin;
use crate::value::{Map, SecretRef, SecretText, Value};

/// A catalog with the blobs and secrets that it names.
#[derive(Debug, Clone)]
pub struct Scene {
    pub catalog: Catalog,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    pub secrets: BTreeMap<String, SecretText>,
}

impl Scene {
    /// From identities and fields. Beside a kind's own fields there are `require` and `formula`
    /// (default `test`); `{"$blob": "text"}` stands for a blob, `{"$secret": "text"}` for a secret.
    ///
    /// # Panics
    /// The test is wrong.
    #[must_use]
    pub fn new(resources: &[(&str, Json)]) -> Self {
        let mut scene = Self {
            catalog: Catalog {
                node: "node".parse().expect("a name"),
                resources: Vec::new(),
                contexts: BTreeMap::new(),
                enforced: std::collections::BTreeSet::new(),
                ports: BTreeMap::new(),
            },
            blobs: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        for (id, fields) in resources {
            let entry = scene.entry(id, fields);
            scene.catalog.resources.push(entry);
        }
        scene
    }

    /// What the templates of all formulas see.
    #[must_use]
    pub fn context(mut self, context: &Json) -> Self {
        let context = self.value(context);
        for entry in &self.catalog.resources {
            self.catalog
                .contexts
                .insert(entry.formula.clone(), context.clone());
        }
        self
    }

    /// # Errors
    /// See [`prepare`].
    pub fn try_prepare(&self) -> Result<Prepared, Vec<PrepareError>> {
        let blob = |digest: &Digest| {
            let missing = || HostError::failed(format!("read blob {}", digest.short()), "not here");
            self.blobs.get(digest).cloned().ok_or_else(missing)
        };
        let secret = |secret: &SecretRef| self.secrets.get(&secret.name).cloned();
        prepare(&self.catalog, &blob, &secret)
    }

    /// # Panics
    /// It cannot be prepared.
    #[must_use]
    pub fn prepared(&self) -> Prepared {
        let shown = |errors: Vec<PrepareError>| {
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        self.try_prepare()
            .map_err(shown)
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// # Panics
    /// It cannot be prepared.
    #[must_use]
    pub fn plan(&self, host: &FakeHost) -> Plan {
        plan(&self.prepared(), &self.with_blobs(host))
    }

    /// Applies without asking.
    ///
    /// # Panics
    /// It cannot be prepared.
    pub fn apply(&self, host: &mut FakeHost) -> ApplyReport {
        host.blobs.extend(self.blobs.clone());
        apply(&self.prepared(), Part::WHOLE, None, host, &mut Silent)
    }

    fn with_blobs(&self, host: &FakeHost) -> FakeHost {
        let mut host = host.clone();
        host.blobs.extend(self.blobs.clone());
        host
    }

    fn entry(&mut self, id: &str, fields: &Json) -> Entry {
        let Value::Map(mut fields) = self.value(fields) else {
            panic!("fields are a map")
        };
        let id: ResourceId = id.parse().expect("kind:name");
        let mut formula: FormulaName = "test".parse().expect("a name");
        if let Some(Value::String(name)) = fields.remove("formula") {
            formula = name.parse().expect("a name");
        }
        let mut require = Vec::new();
        if let Some(Value::List(ids)) = fields.remove("require") {
            let id = |id: &Value| id.as_str().expect("a string").parse().expect("kind:name");
            require.extend(ids.iter().map(id));
        }
        Entry {
            id,
            formula,
            fields,
            require,
            origin: Origin::default(),
        }
    }

    fn value(&mut self, json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => number.as_i64().map_or_else(
                || Value::Float(number.as_f64().unwrap_or(f64::NAN)),
                Value::Integer,
            ),
            Json::String(text) => Value::from(text.as_str()),
            Json::Array(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Json::Object(map) => match (map.get("$blob"), map.get("$secret")) {
                (Some(Json::String(text)), _) => {
                    let digest = Digest::of(text.as_bytes());
                    self.blobs.insert(digest, text.as_bytes().to_vec());
                    Value::Blob(digest)
                }
                (_, Some(Json::String(text))) => {
                    let version = Digest::keyed(&[7; 32], text.as_bytes());
                    let name = format!("test.{}", version.short());
                    self.secrets.insert(name.clone(), SecretText::new(text));
                    Value::Secret(SecretRef { name, version })
                }
                _ => {
                    let pairs = map
                        .iter()
                        .map(|(key, item)| (key.clone(), self.value(item)));
                    Value::Map(pairs.collect::<Map>())
                }
            },
        }
    }
}

/// The one check: what the plan said suffices as approval, one apply does it, a second plan finds
/// everything in sync, and a second apply takes no step and starts no program but guards.
///
/// # Panics
/// Any of that is not so.
#[track_caller]
pub fn check_converges(scene: &Scene, host: &mut FakeHost) -> (Plan, ApplyReport) {
    let first = scene.plan(host);
    let failures: Vec<_> = first.failures().collect();
    assert!(failures.is_empty(), "the plan failed: {failures:#?}");
    host.blobs.extend(scene.blobs.clone());
    let report = apply(
        &scene.prepared(),
        Part::WHOLE,
        Some(&first.approval()),
        host,
        &mut Silent,
    );
    let stopped = report.stopped_at();
    assert!(
        report.succeeded(),
        "{stopped:#?}\nplanned: {:#?}\n{:#?}",
        summary(&first),
        host.log
    );
    check_settles(scene, host);
    (first, report)
}

/// A plan in a few words, a line for each resource that is not in sync: `file:/a: mode, owner`,
/// `service:b: after package:b: start`.
#[must_use]
pub fn summary(plan: &Plan) -> Vec<String> {
    let line = |planned: &Planned| {
        let verbs: Vec<_> = planned
            .outcome
            .changes()
            .iter()
            .map(|c| c.verb.as_str())
            .collect();
        let verbs = verbs.join(", ");
        match &planned.outcome {
            PlanOutcome::InSync => None,
            PlanOutcome::Changes(_) => Some(format!("{}: {verbs}", planned.id)),
            PlanOutcome::After { resource, .. } => {
                Some(format!("{}: after {resource}: {verbs}", planned.id))
            }
            PlanOutcome::Failed(message) => Some(format!("{}: failed: {message}", planned.id)),
        }
    };
    plan.resources.iter().filter_map(line).collect()
}

/// The second half of [`check_converges`].
///
/// # Panics
/// Something is left to do, or a process has not read what is there.
#[track_caller]
pub fn check_settles(scene: &Scene, host: &mut FakeHost) {
    let left = scene.plan(host);
    assert!(
        left.in_sync(),
        "a second plan is not in sync: {:#?}\n{:#?}",
        summary(&left),
        host.log
    );
    let steps = host.log.len();
    let again = scene.apply(host);
    assert!(again.succeeded() && again.changed() == 0, "{again:#?}");
    assert_eq!(
        host.log[steps..],
        [] as [String; 0],
        "a second apply took steps"
    );
    assert_eq!(
        host.stale(),
        [] as [String; 0],
        "not read yet: {:#?}",
        host.log
    );
}
