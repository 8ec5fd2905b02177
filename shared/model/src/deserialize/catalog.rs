//! From source to catalog and back without losing what a plain scalar was written as.
//!
//! A catalog's [`Value`] has no plain scalars. Where a number's text says more than its value
//! (`1.10`, `+5`, `True`) the text goes into the catalog, and a number field takes such a text
//! back. What is written as the value would be written (`80`) goes as the value, and a string
//! field takes the value's text, so nothing is lost either way.

use crate::span::{Node, Spanned, resolve_plain};
use crate::value::Value;

/// The value as a catalog carries it.
#[must_use]
pub fn settle(value: Spanned) -> Value {
    match value.node {
        Node::Plain(text) => settle_plain(text),
        Node::Leaf(value) => value,
        Node::List(items) => Value::List(items.into_iter().map(settle).collect()),
        Node::Map(pairs) => Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.text, settle(value)))
                .collect(),
        ),
    }
}

fn settle_plain(text: String) -> Value {
    match resolve_plain(&text) {
        value @ (Value::Bool(_) | Value::Integer(_) | Value::Float(_)) => {
            if canonical(&value).as_deref() == Some(text.as_str()) {
                value
            } else {
                Value::String(text)
            }
        }
        value => value,
    }
}

/// What a text that [`settle`] kept for its spelling stands for.
pub(super) fn respelt(text: &str) -> Option<Value> {
    let value = resolve_plain(text);
    let canonical = canonical(&value)?;
    (canonical != text).then_some(value)
}

/// How the value would be written, for the types that have several spellings.
fn canonical(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => value.to_text(),
        _ => None,
    }
}
