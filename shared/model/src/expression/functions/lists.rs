//! Functions of lists and maps.

use super::arguments::{Arguments, FunctionError};
use crate::expression::{equal, order, version};
use crate::value::Value;

type Result<T = Value> = std::result::Result<T, FunctionError>;

pub(super) fn default(arguments: Arguments<'_>) -> Result {
    let value = arguments.value(0);
    Ok(if *value == Value::Null {
        arguments.value(1).clone()
    } else {
        value.clone()
    })
}

pub(super) fn length(arguments: Arguments<'_>) -> Result {
    let length = match arguments.value(0) {
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        Value::String(text) => text.chars().count(),
        _ => return Err(arguments.expected(0, "a list, a map or a text")),
    };
    Ok(Value::Integer(i64::try_from(length).unwrap_or(i64::MAX)))
}

pub(super) fn contains(arguments: Arguments<'_>) -> Result {
    Ok(Value::Bool(match arguments.value(0) {
        Value::List(items) => items.iter().any(|item| equal(item, arguments.value(1))),
        Value::Map(map) => map.contains_key(&arguments.text(1)?),
        Value::String(text) => text.contains(&arguments.text(1)?),
        _ => return Err(arguments.expected(0, "a list, a map or a text")),
    }))
}

pub(super) fn lookup(arguments: Arguments<'_>) -> Result {
    let holder = arguments.value(0);
    if !matches!(holder, Value::List(_) | Value::Map(_)) {
        return Err(arguments.expected(0, "a map or a list"));
    }
    Ok(holder
        .member(&arguments.text(1)?)
        .unwrap_or(arguments.value(2))
        .clone())
}

pub(super) fn first(arguments: Arguments<'_>) -> Result {
    end(arguments, <[Value]>::first)
}

pub(super) fn last(arguments: Arguments<'_>) -> Result {
    end(arguments, <[Value]>::last)
}

fn end(arguments: Arguments<'_>, pick: fn(&[Value]) -> Option<&Value>) -> Result {
    pick(arguments.list(0)?).cloned().ok_or_else(|| {
        FunctionError::at(0, "the list is empty").with_help("write `lookup(…, 0)` where it may be")
    })
}

pub(super) fn join(arguments: Arguments<'_>) -> Result {
    let items = arguments.list(0)?;
    let separator = if arguments.len() > 1 {
        arguments.text(1)?
    } else {
        ",".to_owned()
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        texts.push(item.to_text().ok_or_else(|| {
            FunctionError::at(0, format!("cannot join a list that holds {}", item.kind()))
                .with_help("pick what to join: `join(map(list, \"name\"), \",\")`")
        })?);
    }
    Ok(Value::String(texts.join(&separator)))
}

/// Compares as versions only if all are: an order that changes with the pair is none.
pub(super) fn sort(arguments: Arguments<'_>) -> Result {
    let mut items = arguments.list(0)?.to_vec();
    if items.iter().all(|item| matches!(item, Value::String(_))) {
        let versions = items
            .iter()
            .filter_map(Value::as_str)
            .all(version::looks_like_version);
        items.sort_by(|left, right| match (left.as_str(), right.as_str()) {
            (Some(left), Some(right)) if versions => version::compare(left, right),
            (left, right) => left.cmp(&right),
        });
    } else {
        let number = |item: &Value| matches!(item, Value::Integer(_)) || finite(item);
        if !items.iter().all(number) {
            return Err(
                FunctionError::at(0, "cannot sort a list of other than texts or numbers")
                    .with_help("pick what to sort: `sort(map(list, \"name\"))`"),
            );
        }
        items.sort_by(|left, right| order(left, right).unwrap_or(std::cmp::Ordering::Equal));
    }
    Ok(Value::List(items))
}

fn finite(item: &Value) -> bool {
    matches!(item, Value::Float(float) if float.is_finite())
}

pub(super) fn unique(arguments: Arguments<'_>) -> Result {
    let mut kept: Vec<Value> = Vec::new();
    for item in arguments.list(0)? {
        if !kept.iter().any(|other| equal(other, item)) {
            kept.push(item.clone());
        }
    }
    Ok(Value::List(kept))
}

pub(super) fn keys(arguments: Arguments<'_>) -> Result {
    Ok(Value::List(
        arguments
            .map(0)?
            .keys()
            .map(|key| Value::String(key.clone()))
            .collect(),
    ))
}

pub(super) fn values(arguments: Arguments<'_>) -> Result {
    Ok(Value::List(arguments.map(0)?.values().cloned().collect()))
}

pub(super) fn map(arguments: Arguments<'_>) -> Result {
    let path = arguments.text(1)?;
    let items = arguments.list(0)?.iter();
    let picked = items.map(|item| member_at(item, &path, 1).cloned());
    picked.collect::<Result<_>>().map(Value::List)
}

pub(super) fn filter(arguments: Arguments<'_>) -> Result {
    keep(arguments, true)
}

pub(super) fn without(arguments: Arguments<'_>) -> Result {
    if arguments.len() == 3 {
        return keep(arguments, false);
    }
    let items = arguments.list(0)?.iter();
    Ok(Value::List(
        items
            .filter(|item| !equal(item, arguments.value(1)))
            .cloned()
            .collect(),
    ))
}

fn keep(arguments: Arguments<'_>, wanted: bool) -> Result {
    let path = arguments.text(1)?;
    let mut kept = Vec::new();
    for item in arguments.list(0)? {
        if equal(member_at(item, &path, 1)?, arguments.value(2)) == wanted {
            kept.push(item.clone());
        }
    }
    Ok(Value::List(kept))
}

/// What `item` has at `path`, given as argument `at`. The path stems from the author of the
/// expression, so it may be shown.
fn member_at<'a>(item: &'a Value, path: &str, at: usize) -> Result<&'a Value> {
    path.split('.').try_fold(item, |value, segment| {
        value.member(segment).ok_or_else(|| FunctionError {
            argument: Some(at),
            message: format!("not every element has `{path}`"),
            help: crate::expression::scope::suggestion(value, segment),
        })
    })
}
