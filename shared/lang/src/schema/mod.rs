//! JSON Schemas of the files of a state tree, for editors: `ctl schema`.
//!
//! They are made of the very types that read the files, so they know the same keys. What depends on
//! other files (that a formula exists, that a resource is not named twice) is left to [`check()`](crate::check).
//! Draft 7: what YAML language servers know best.

mod json;
#[cfg(test)]
mod tests;

use brine_model::deserialize::Shape;
use brine_model::resources::{self, Kind};
use serde_json::{Map, Value, json};

use self::json::{anything, names, object, one_or_many, or_expression, schema, text};
use crate::formula::{Action, Cluster, Parameter, ParameterType};
use crate::library::Library;
use crate::role::Role;
use crate::tree::StateTree;

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// `roles/*.yaml`
#[must_use]
pub fn role() -> Value {
    finished(
        "A role: what its nodes are made of.",
        schema(&Role::shape(), false),
    )
}

/// `formulas/*/formula.yaml`
#[must_use]
pub fn formula() -> Value {
    let mut schema = schema(&crate::formula::Formula::shape(), false);
    put(&mut schema, "parameters", named(parameter()));
    let kinds: Vec<Value> = resources::kinds().iter().map(resource).collect();
    put(
        &mut schema,
        "resources",
        json!({ "type": "array", "items": { "anyOf": kinds } }),
    );
    put(&mut schema, "cluster", cluster());
    put(&mut schema, "actions", named(action()));
    finished("A formula: resources with parameters.", schema)
}

/// `data/**/*.yaml`: of any tree, or of this one, with its formulas and their parameters.
#[must_use]
pub fn data(tree: Option<&StateTree>) -> Value {
    let about = "Values for the parameters of formulas.";
    let Some(tree) = tree else {
        return finished(about, named(named(anything())));
    };
    let library = Library::load(tree);
    let formulas = library.formulas.values().map(|formula| {
        let values = formula.parameters.iter();
        // The text of a secret does not belong here.
        let values = values.filter(|(_, parameter)| parameter.kind != ParameterType::Secret);
        let values = values.map(|(name, parameter)| (name.clone(), value_of(parameter)));
        (
            formula.name.to_string(),
            or_nothing(object(values.collect())),
        )
    });
    finished(about, object(formulas.collect()))
}

fn finished(about: &str, mut schema: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        map.insert("$schema".to_owned(), DRAFT.into());
        map.insert("description".to_owned(), about.into());
    }
    schema
}

/// Says more of a property than its type does.
fn put(schema: &mut Value, name: &str, better: Value) {
    if let Some(slot) = schema.pointer_mut(&format!("/properties/{name}")) {
        *slot = better;
    }
}

/// A map whose names are free.
fn named(value: Value) -> Value {
    or_nothing(json!({ "type": "object", "propertyNames": names(), "additionalProperties": value }))
}

/// What is all commented out counts as empty.
fn or_nothing(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn parameter() -> Value {
    let mut schema = schema(&Parameter::shape(), false);
    put(&mut schema, "choices", json!({ "type": "array" }));
    if let Value::Object(map) = &mut schema {
        map.insert("required".to_owned(), json!(["type"]));
    }
    schema
}

fn resource(kind: &Kind) -> Value {
    let mut properties = Map::new();
    let id =
        json!({ "description": kind.doc, "anyOf": [text(), { "type": "array", "items": text() }] });
    if let Shape::Fields(fields) = (kind.shape)() {
        for (name, shape) in &fields {
            properties.insert((*name).to_owned(), schema(shape, true));
        }
    }
    let common = [
        ("require", or_expression(one_or_many(text()))),
        ("when", anything()),
        ("for_each", anything()),
        ("as", names()),
        ("once", json!({ "type": ["boolean", "string"] })),
    ];
    for (name, schema) in common {
        properties.insert(name.to_owned(), schema);
    }
    // Its own name may be that of a field, too: then it is the kind.
    properties.insert(kind.name.to_owned(), id);
    let mut schema = object(properties);
    if let Value::Object(map) = &mut schema {
        map.insert("title".to_owned(), kind.name.into());
        map.insert("description".to_owned(), kind.doc.into());
        map.insert("required".to_owned(), json!([kind.name]));
    }
    schema
}

fn cluster() -> Value {
    let mut cluster = schema(&Cluster::shape(), false);
    let condition = schema(&Cluster::condition_shape(), true);
    for name in ["healthy", "drain", "undrain"] {
        put(&mut cluster, name, one_or_many(condition.clone()));
    }
    put(
        &mut cluster,
        "max_unavailable",
        or_expression(json!({ "type": "integer" })),
    );
    put(&mut cluster, "formed", text());
    let end = |name: &str| json!({ "type": "object", "properties": { name: text() }, "required": [name], "additionalProperties": false });
    put(
        &mut cluster,
        "order",
        one_or_many(json!({ "anyOf": [end("first"), end("last")] })),
    );
    cluster
}

fn action() -> Value {
    let mut action = schema(&Action::shape(), false);
    put(&mut action, "do", text());
    put(
        &mut action,
        "run",
        or_expression(json!({ "type": "array", "items": text() })),
    );
    action
}

fn value_of(parameter: &Parameter) -> Value {
    let plain = match parameter.kind {
        ParameterType::Integer => json!({ "type": "integer" }),
        ParameterType::Float => json!({ "type": "number" }),
        ParameterType::Boolean => json!({ "type": "boolean" }),
        ParameterType::Port => json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
        ParameterType::Path => json!({ "type": "string", "pattern": "^/" }),
        ParameterType::List => json!({ "type": "array" }),
        ParameterType::Map => json!({ "type": "object" }),
        ParameterType::String
        | ParameterType::Duration
        | ParameterType::Address
        | ParameterType::Secret => text(),
    };
    let mut schema = or_expression(plain);
    if let (Value::Object(map), Some(description)) = (&mut schema, &parameter.description) {
        map.insert("description".to_owned(), description.as_str().into());
    }
    schema
}
