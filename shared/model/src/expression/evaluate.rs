//! Syntax to value.

use std::cmp::Ordering;

use super::compare::{equal, order};
use super::functions::Function;
use super::syntax::{Comparison, Spot, Syntax};
use super::version::looks_like_version;
use super::{Dialect, ExpressionError, Lookup, Scope};
use crate::value::Value;

/// A value, or `None` for a live fact that is absent and for what depends on it.
type Outcome = Result<Option<Value>, ExpressionError>;

pub(super) fn evaluate(spot: &Spot, dialect: Dialect, scope: &dyn Scope) -> Outcome {
    Evaluator { dialect, scope }.value(spot)
}

struct Evaluator<'a> {
    dialect: Dialect,
    scope: &'a dyn Scope,
}

impl Evaluator<'_> {
    fn value(&self, spot: &Spot) -> Outcome {
        match &spot.syntax {
            Syntax::Number(value, _) | Syntax::Literal(value) => Ok(Some(value.clone())),
            Syntax::List(items) => self.values(items).map(|items| items.map(Value::List)),
            Syntax::Path(path) => self.path(spot, path),
            Syntax::Member(base, path) => match self.value(base)? {
                Some(value) => find(&value, spot, path),
                None => Ok(None),
            },
            Syntax::Call(function, arguments) => self.call(function, arguments, spot),
            // `not` of an unknown stays unknown, and so false in the end.
            Syntax::Not(inner) => Ok(self.truth(inner)?.map(|answer| Value::Bool(!answer))),
            Syntax::And(parts) => self.all_are(true, parts),
            Syntax::Or(parts) => self.all_are(false, parts),
            Syntax::Compare(left, comparison, right) => self
                .compare(left, *comparison, right)
                .map(|answer| Some(Value::Bool(answer))),
        }
    }

    fn values(&self, spots: &[Spot]) -> Result<Option<Vec<Value>>, ExpressionError> {
        spots.iter().map(|spot| self.value(spot)).collect()
    }

    fn path(&self, spot: &Spot, path: &[String]) -> Outcome {
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        match self.scope.lookup(&segments) {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Unknown => Ok(None),
            Lookup::Missing { help } => Err(missing(spot, path, help)),
        }
    }

    /// `and` (while parts are `true`) and `or` (while they are `false`), from left to right and no
    /// further than needed.
    fn all_are(&self, wanted: bool, parts: &[Spot]) -> Outcome {
        for part in parts {
            if self.truth(part)?.unwrap_or(false) != wanted {
                return Ok(Some(Value::Bool(!wanted)));
            }
        }
        Ok(Some(Value::Bool(wanted)))
    }

    fn truth(&self, spot: &Spot) -> Result<Option<bool>, ExpressionError> {
        match self.value(spot)? {
            None => Ok(None),
            Some(Value::Bool(answer)) => Ok(Some(answer)),
            Some(other) => Err(ExpressionError::new(
                spot.range.clone(),
                format!("expected true or false, found {}", other.kind()),
            )
            .with_help("compare it with something: `… = …`, `… != null`, `length(…) > 0`")),
        }
    }

    fn call(&self, function: &Function, arguments: &[Spot], spot: &Spot) -> Outcome {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match self.value(argument)? {
                Some(value) => values.push(value),
                None if function.takes_null => values.push(Value::Null),
                None => return Ok(None),
            }
        }
        function.call(&values).map(Some).map_err(|error| {
            let place = error
                .argument
                .and_then(|at| arguments.get(at))
                .unwrap_or(spot);
            ExpressionError {
                range: place.range.clone(),
                message: error.message,
                help: error.help,
            }
        })
    }

    fn compare(
        &self,
        left: &Spot,
        comparison: Comparison,
        right: &Spot,
    ) -> Result<bool, ExpressionError> {
        let (Some(left_value), Some(right_value)) = (self.value(left)?, self.value(right)?) else {
            return Ok(false);
        };
        refuse_secret(left, &left_value, &right_value)?;
        refuse_secret(right, &right_value, &left_value)?;
        // `1.10` beside a string is a version, not the number 1.1.
        let left_value = as_written(left, left_value, &right_value);
        let right_value = as_written(right, right_value, &left_value);
        let ordered = |wanted: fn(Ordering) -> bool| {
            let range = left.range.start..right.range.end;
            order(&left_value, &right_value)
                .map(wanted)
                .map_err(|message| ExpressionError::new(range, message))
        };
        match comparison {
            Comparison::Equal => Ok(self.same(&left_value, &right_value)),
            Comparison::NotEqual => Ok(!self.same(&left_value, &right_value)),
            Comparison::Less => ordered(Ordering::is_lt),
            Comparison::LessOrEqual => ordered(Ordering::is_le),
            Comparison::Greater => ordered(Ordering::is_gt),
            Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
            Comparison::In => self.is_in(&left_value, right, &right_value),
            Comparison::NotIn => Ok(!self.is_in(&left_value, right, &right_value)?),
        }
    }

    fn same(&self, left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::List(_), Value::List(_)) => equal(left, right),
            (Value::List(items), one) | (one, Value::List(items))
                if self.dialect == Dialect::Target =>
            {
                items.iter().any(|item| equal(item, one))
            }
            _ => equal(left, right),
        }
    }

    fn is_in(&self, left: &Value, right: &Spot, holder: &Value) -> Result<bool, ExpressionError> {
        match (holder, left) {
            // In a target, a list to the left shares an element: `role in [db, balancer]`.
            (Value::List(items), _) => Ok(items.iter().any(|item| self.same(left, item))),
            (Value::Map(map), Value::String(key)) => Ok(map.contains_key(key)),
            (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
            _ => Err(ExpressionError::new(
                right.range.clone(),
                format!("cannot look for {} in {}", left.kind(), holder.kind()),
            )
            .with_help("`in` takes a list, a map's keys, or text in text")),
        }
    }
}

/// What a secret is must not be told by comparing; only whether there is one.
fn refuse_secret(spot: &Spot, value: &Value, other: &Value) -> Result<(), ExpressionError> {
    if matches!(value, Value::Secret(_)) && *other != Value::Null {
        return Err(
            ExpressionError::new(spot.range.clone(), "a secret cannot be compared")
                .with_help("only with `null`, to ask whether there is one"),
        );
    }
    Ok(())
}

fn as_written(spot: &Spot, value: Value, other: &Value) -> Value {
    match (&spot.syntax, other) {
        (Syntax::Number(_, text), Value::String(other)) if looks_like_version(other) => {
            Value::String(text.clone())
        }
        _ => value,
    }
}

fn find(value: &Value, spot: &Spot, path: &[String]) -> Outcome {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    match value.lookup(&segments) {
        Lookup::Found(value) => Ok(Some(value)),
        Lookup::Unknown => Ok(None),
        Lookup::Missing { help } => Err(missing(spot, path, help)),
    }
}

fn missing(spot: &Spot, path: &[String], help: Option<String>) -> ExpressionError {
    let message = format!("unknown name `{}`", path.join("."));
    ExpressionError {
        range: spot.range.clone(),
        message,
        help,
    }
}
