//! Functions of text.

use super::arguments::{Arguments, FunctionError};
use crate::value::Value;

type Result = std::result::Result<Value, FunctionError>;

/// A text built by a function may not grow beyond this: `replace` in `replace` in `replace` …
const MAX_LENGTH: usize = 64 * 1024 * 1024;

pub(super) fn string(arguments: Arguments<'_>) -> Result {
    arguments.text(0).map(Value::String)
}

pub(super) fn concat(arguments: Arguments<'_>) -> Result {
    let texts: std::result::Result<Vec<_>, _> =
        (0..arguments.len()).map(|at| arguments.text(at)).collect();
    Ok(Value::String(texts?.concat()))
}

pub(super) fn lower(arguments: Arguments<'_>) -> Result {
    Ok(arguments.text(0)?.to_lowercase().into())
}

pub(super) fn upper(arguments: Arguments<'_>) -> Result {
    Ok(arguments.text(0)?.to_uppercase().into())
}

pub(super) fn trim(arguments: Arguments<'_>) -> Result {
    Ok(arguments.text(0)?.trim().into())
}

pub(super) fn replace(arguments: Arguments<'_>) -> Result {
    let (text, old, new) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    if old.is_empty() {
        return Err(FunctionError::at(1, "the part to replace is empty"));
    }
    let found = text.matches(&old).count();
    if found.saturating_mul(new.len()) > MAX_LENGTH {
        return Err(FunctionError::at(2, "the result is too long"));
    }
    Ok(text.replace(&old, &new).into())
}

pub(super) fn split(arguments: Arguments<'_>) -> Result {
    let (text, separator) = (arguments.text(0)?, arguments.text(1)?);
    if separator.is_empty() {
        return Err(FunctionError::at(1, "the separator is empty"));
    }
    if text.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    Ok(Value::List(
        text.split(&separator).map(Value::from).collect(),
    ))
}

pub(super) fn starts_with(arguments: Arguments<'_>) -> Result {
    Ok(arguments.text(0)?.starts_with(&arguments.text(1)?).into())
}

pub(super) fn ends_with(arguments: Arguments<'_>) -> Result {
    Ok(arguments.text(0)?.ends_with(&arguments.text(1)?).into())
}
