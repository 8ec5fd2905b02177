//! Shapes as JSON Schema.

use brine_model::deserialize::Shape;
use serde_json::{Map, Value, json};

/// `dynamic`: each value may be an expression instead.
pub(super) fn schema(shape: &Shape, dynamic: bool) -> Value {
    let below = |shape: &Shape| schema(shape, dynamic);
    let plain = match shape {
        Shape::Anything => return anything(),
        Shape::Text => return text(),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::OneOf(names) => json!({ "enum": names }),
        Shape::List(element) => json!({ "type": "array", "items": below(element) }),
        Shape::OneOrMany(element) => one_or_many(below(element)),
        Shape::Map(value) => json!({ "type": "object", "additionalProperties": below(value) }),
        Shape::Fields(fields) => {
            let fields = fields.iter();
            object(
                fields
                    .map(|(name, shape)| ((*name).to_owned(), below(shape)))
                    .collect(),
            )
        }
    };
    if dynamic { or_expression(plain) } else { plain }
}

pub(super) fn anything() -> Value {
    json!({})
}

/// Any plain scalar: it is taken by its source text.
pub(super) fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// A name of a parameter, formula or element.
pub(super) fn names() -> Value {
    json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]*$" })
}

pub(super) fn one_or_many(element: Value) -> Value {
    let list = json!({ "type": "array", "items": element.clone() });
    json!({ "anyOf": [element, list] })
}

/// With these properties and no others.
pub(super) fn object(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

pub(super) fn or_expression(plain: Value) -> Value {
    json!({ "anyOf": [plain, { "type": "string", "pattern": "\\$\\{\\{" }] })
}
