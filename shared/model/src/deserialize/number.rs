//! Numbers and booleans.

use super::catalog::respelt;
use super::failure::Failure;
use super::source::Source;
use crate::span::{Node, resolve_plain};
use crate::value::Value;

pub(super) fn integer<T: TryFrom<i64>>(source: &Source<'_>, range: &str) -> Result<T, Failure> {
    match scalar(source) {
        Some(Value::Integer(number)) => T::try_from(number)
            .map_err(|_| Failure::new(format!("{number} is out of range: expected {range}"))),
        _ => Err(quoted(source, "an integer", |value| {
            matches!(value, Value::Integer(_))
        })),
    }
}

// A configuration value above 2^53 loses its last digits as a float, as it does in YAML.
#[expect(clippy::cast_precision_loss, reason = "what YAML readers do, too")]
pub(super) fn float(source: &Source<'_>) -> Result<f64, Failure> {
    match scalar(source) {
        Some(Value::Float(number)) => Ok(number),
        Some(Value::Integer(number)) => Ok(number as f64),
        _ => Err(quoted(source, "a number", |value| {
            matches!(value, Value::Integer(_) | Value::Float(_))
        })),
    }
}

pub(super) fn boolean(source: &Source<'_>) -> Result<bool, Failure> {
    match scalar(source) {
        Some(Value::Bool(truth)) => Ok(truth),
        Some(Value::String(text)) if matches!(text.as_str(), "yes" | "on" | "Yes" | "On") => {
            Err(source
                .mismatch("`true` or `false`")
                .with_help("write `true`"))
        }
        Some(Value::String(text)) if matches!(text.as_str(), "no" | "off" | "No" | "Off") => {
            Err(source
                .mismatch("`true` or `false`")
                .with_help("write `false`"))
        }
        _ => Err(quoted(source, "`true` or `false`", |value| {
            matches!(value, Value::Bool(_))
        })),
    }
}

/// The scalar; a text that a catalog kept for its spelling (`1.10`) is the number again.
fn scalar(source: &Source<'_>) -> Option<Value> {
    match source.scalar() {
        Some(Value::String(text)) => Some(respelt(&text).unwrap_or(Value::String(text))),
        other => other,
    }
}

/// A mismatch; where only the quotes are too much, the help says so.
fn quoted(source: &Source<'_>, expected: &str, fits: impl Fn(&Value) -> bool) -> Failure {
    let failure = source.mismatch(expected);
    match &source.value.node {
        Node::Leaf(Value::String(text)) if fits(&resolve_plain(text)) => {
            failure.with_help("write it without quotes")
        }
        _ => failure,
    }
}
