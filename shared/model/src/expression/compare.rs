//! Equality and order of values.

use std::cmp::Ordering;

use super::version;
use crate::value::Value;

/// Whether two values are the same: numbers numerically, everything else by its content. A number
/// equals a string that is its text, so that `os.version = 12` holds for the fact `"12"`.
///
/// Two versions are the same only if they are written alike: `01` and `1` are equal in order, but
/// as labels they are not one.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Integer(integer), Value::Float(float))
        | (Value::Float(float), Value::Integer(integer)) => as_float(*integer) == *float,
        (number @ (Value::Integer(_) | Value::Float(_)), Value::String(text))
        | (Value::String(text), number @ (Value::Integer(_) | Value::Float(_))) => {
            number.to_text().as_deref() == Some(text)
        }
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        _ => left == right,
    }
}

/// Which comes first: numbers numerically, versions as versions, other text by its bytes. The
/// error says why there is no order.
pub(crate) fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    let no_order = || {
        format!(
            "cannot tell whether {} is less than {}",
            left.kind(),
            right.kind()
        )
    };
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Ok(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Ok(order_texts(left, right)),
        (Value::String(text), number) | (number, Value::String(text)) => {
            let number = number_text(number).ok_or_else(no_order)?;
            if !version::looks_like_version(text) {
                return Err(format!("{}, for the string is no version", no_order()));
            }
            let order = version::compare(text, &number);
            Ok(if matches!(left, Value::String(_)) {
                order
            } else {
                order.reverse()
            })
        }
        _ => match (float(left), float(right)) {
            (Some(left), Some(right)) => left.partial_cmp(&right).ok_or_else(no_order),
            _ => Err(no_order()),
        },
    }
}

fn order_texts(left: &str, right: &str) -> Ordering {
    if version::looks_like_version(left) && version::looks_like_version(right) {
        version::compare(left, right)
    } else {
        left.cmp(right)
    }
}

fn number_text(value: &Value) -> Option<String> {
    matches!(value, Value::Integer(_) | Value::Float(_))
        .then(|| value.to_text())
        .flatten()
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(integer) => Some(as_float(*integer)),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "comparing with a float cannot be exact"
)]
pub(super) fn as_float(integer: i64) -> f64 {
    integer as f64
}

impl Value {
    /// How a single value reads inside a text; nothing for what has no such form.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Integer(value) => Some(value.to_string()),
            Self::Float(value) => Some(format!("{value:?}")),
            Self::String(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) | Self::Blob(_) | Self::Secret(_) => None,
        }
    }
}
