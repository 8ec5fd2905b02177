//! The schemas say of the shipped library what the compiler says, and find what an editor should.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brine_model::value::Value as Plain;
use jsonschema::Validator;
use serde_json::Value;

use crate::source::Sources;
use crate::{StateTree, schema};

fn states() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../states")
}

/// All files of a kind below the shipped library.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has the library on its disk"
)]
fn tree() -> StateTree {
    let mut found = Vec::new();
    files(&states(), &mut found);
    let mut tree = StateTree::default();
    for path in found {
        let name = path.strip_prefix(states()).unwrap().to_str().unwrap();
        let bytes: Arc<[u8]> = std::fs::read(&path).unwrap().into();
        tree.files.insert(name.to_owned(), bytes);
    }
    tree
}

/// What a YAML language server would see.
fn value(text: &str) -> Value {
    fn json(value: Plain) -> Value {
        match value {
            Plain::Bool(truth) => truth.into(),
            Plain::Integer(number) => number.into(),
            Plain::Float(number) => number.into(),
            Plain::String(text) => text.into(),
            Plain::List(items) => items.into_iter().map(json).collect(),
            Plain::Map(map) => map
                .into_iter()
                .map(|(name, value)| (name, json(value)))
                .collect(),
            Plain::Null | Plain::Blob(_) | Plain::Secret(_) => Value::Null,
        }
    }
    let mut issues = Vec::new();
    let source = Sources::default().add("a.yaml", text);
    let parsed = crate::yaml::parse(text, source, &mut issues);
    json(parsed.unwrap().into_value())
}

fn errors(validator: &Validator, text: &str) -> Vec<String> {
    let value = value(text);
    validator
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::meta::validate(schema).unwrap();
    jsonschema::draft7::new(schema).unwrap()
}

#[test]
fn the_shipped_library_is_as_its_schemas_say() {
    let tree = tree();
    let (role, formula) = (validator(&schema::role()), validator(&schema::formula()));
    let (data, any) = (
        validator(&schema::data(Some(&tree))),
        validator(&schema::data(None)),
    );
    let mut seen = 0;
    for (name, bytes) in &tree.files {
        let text = String::from_utf8_lossy(bytes);
        let validators: &[&Validator] = match name.split('/').next() {
            Some("roles") => &[&role],
            Some("data") => &[&data, &any],
            Some("formulas") if name.ends_with("/formula.yaml") => &[&formula],
            _ => continue,
        };
        for validator in validators {
            assert_eq!(errors(validator, &text), [] as [&str; 0], "{name}");
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen} files");
}

#[test]
fn what_an_editor_should_find() {
    let formula = validator(&schema::formula());
    let bad = |text: &str| assert!(!errors(&formula, text).is_empty(), "{text}");
    let good = |text: &str| assert_eq!(errors(&formula, text), [] as [&str; 0], "{text}");
    good("formula: a\nresources:\n  - file: /a\n    mode: 0644\n    keep: ${{ a.b }}\n");
    bad("formula: a\nresources:\n  - file: /a\n    mod: 0644\n");
    bad("formula: a\nresources:\n  - fil: /a\n");
    bad("formula: a\nresources:\n  - file: /a\n    keep: maybe\n");
    good("formula: a\nresources:\n  - command: a\n    argv: [a]\n    user: b\n");
    bad("formula: a\nresources:\n  - command: a\n    argv: a\n");
    bad("formula: a\nparameters: { port: { type: prot } }\n");
    bad("formula: a\nparameters: { port: { default: 1 } }\n");
    good("formula: a\ncluster: { healthy: { tcp: a, within: 3s }, order: [{ last: a }] }\n");
    bad("formula: a\ncluster: { healthy: { tpc: a } }\n");
    bad("formula: a\ncluster: { on_failure: retry }\n");
    let role = validator(&schema::role());
    assert!(errors(&role, "role: a\nformulas: [b]\nenforce: true\n").is_empty());
    assert!(!errors(&role, "role: a\nenforced: true\n").is_empty());
    assert!(!errors(&role, "role: a\nmembers: many\n").is_empty());
    let data = validator(&schema::data(Some(&tree())));
    assert!(errors(&data, "haproxy: { port: 80 }\n").is_empty());
    assert!(!errors(&data, "haproxy: { port: eighty }\n").is_empty());
    assert!(!errors(&data, "haproxy: { prot: 80 }\n").is_empty());
    assert!(!errors(&data, "patroni: { superuser_password: x }\n").is_empty());
}
