//! Functions of numbers.

use std::cmp::Ordering;

use super::arguments::{Arguments, FunctionError};
use crate::expression::order;
use crate::value::Value;

type Result = std::result::Result<Value, FunctionError>;

pub(super) fn min(arguments: Arguments<'_>) -> Result {
    extreme(arguments, Ordering::Less)
}

pub(super) fn max(arguments: Arguments<'_>) -> Result {
    extreme(arguments, Ordering::Greater)
}

/// Of one list, or of several arguments.
fn extreme(arguments: Arguments<'_>, wanted: Ordering) -> Result {
    let items = match arguments.0 {
        [Value::List(items)] => items,
        several => several,
    };
    let mut items = items.iter();
    let empty = || FunctionError::at(0, "the list is empty");
    let mut best = items.next().ok_or_else(empty)?;
    // Even a single one must be something that has an order.
    order(best, best).map_err(|message| FunctionError::at(0, message))?;
    for item in items {
        if order(item, best).map_err(|message| FunctionError::at(0, message))? == wanted {
            best = item;
        }
    }
    Ok(best.clone())
}

pub(super) fn int(arguments: Arguments<'_>) -> Result {
    let number = match arguments.value(0) {
        Value::Integer(integer) => return Ok(Value::Integer(*integer)),
        Value::Float(float) => Some(float.trunc()),
        Value::String(text) => match text.trim().parse::<i64>() {
            Ok(integer) => return Ok(Value::Integer(integer)),
            Err(_) => text.trim().parse::<f64>().ok().map(f64::trunc),
        },
        _ => return Err(arguments.expected(0, "a number or a text")),
    };
    let number = number.ok_or_else(|| FunctionError::at(0, "the text is not a number"))?;
    integer(number)
}

pub(super) fn round(arguments: Arguments<'_>) -> Result {
    if let (Value::Integer(integer), 1) = (arguments.value(0), arguments.len()) {
        return Ok(Value::Integer(*integer));
    }
    let number = arguments.float(0)?;
    if arguments.len() == 1 {
        return integer(number.round());
    }
    let digits = i32::try_from(arguments.count(1)?).unwrap_or(0);
    let scale = 10_f64.powi(digits);
    let scaled = (number * scale).round() / scale;
    // A number too great to be scaled has no digits after the point.
    Ok(Value::Float(if scaled.is_finite() {
        scaled
    } else {
        number
    }))
}

/// In integers where the number is one: a share of memory in bytes must not lose bits.
pub(super) fn percent(arguments: Arguments<'_>) -> Result {
    if let (Value::Integer(number), Value::Integer(share)) =
        (arguments.value(0), arguments.value(1))
    {
        let part = (i128::from(*number) * i128::from(*share)).div_euclid(100);
        return i64::try_from(part)
            .map(Value::Integer)
            .map_err(|_| too_great());
    }
    integer((arguments.float(0)? * arguments.float(1)? / 100.0).floor())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
fn integer(number: f64) -> Result {
    // 2^63 is the first that an i64 cannot hold.
    let limit = 9_223_372_036_854_775_808.0;
    if (-limit..limit).contains(&number) {
        Ok(Value::Integer(number as i64))
    } else {
        Err(too_great())
    }
}

fn too_great() -> FunctionError {
    FunctionError::at(0, "the result is too great for an integer")
}
