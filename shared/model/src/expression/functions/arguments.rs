//! Arguments as the types that functions want, and what is wrong with them.

use crate::value::{Map, Value};

/// What a function is called with; the arity has been checked.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a>(pub(crate) &'a [Value]);

/// Why a function gives nothing.
#[derive(Debug)]
pub(crate) struct FunctionError {
    /// The argument that is to blame.
    pub(crate) argument: Option<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl FunctionError {
    pub(crate) fn at(argument: usize, message: impl Into<String>) -> Self {
        Self {
            argument: Some(argument),
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

impl<'a> Arguments<'a> {
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// The argument as it is; `null` past the last.
    pub(crate) fn value(self, at: usize) -> &'a Value {
        self.0.get(at).unwrap_or(&Value::Null)
    }

    /// A string, or the text of a number or boolean.
    pub(crate) fn text(self, at: usize) -> Result<String, FunctionError> {
        self.value(at)
            .to_text()
            .ok_or_else(|| self.expected(at, "a text"))
    }

    pub(crate) fn list(self, at: usize) -> Result<&'a [Value], FunctionError> {
        match self.value(at) {
            Value::List(items) => Ok(items),
            _ => Err(self.expected(at, "a list")),
        }
    }

    pub(crate) fn map(self, at: usize) -> Result<&'a Map, FunctionError> {
        match self.value(at) {
            Value::Map(map) => Ok(map),
            _ => Err(self.expected(at, "a map")),
        }
    }

    /// An integer that counts something small: digits, spaces.
    pub(crate) fn count(self, at: usize) -> Result<usize, FunctionError> {
        match self.value(at) {
            Value::Integer(count @ 0..=64) => Ok(usize::try_from(*count).unwrap_or(0)),
            Value::Integer(_) => Err(FunctionError::at(at, "expected a number from 0 to 64")),
            _ => Err(self.expected(at, "an integer")),
        }
    }

    pub(crate) fn float(self, at: usize) -> Result<f64, FunctionError> {
        match self.value(at) {
            Value::Integer(integer) => Ok(crate::expression::compare::as_float(*integer)),
            Value::Float(float) => Ok(*float),
            _ => Err(self.expected(at, "a number")),
        }
    }

    pub(crate) fn expected(self, at: usize, what: &str) -> FunctionError {
        let found = self.value(at);
        let error = FunctionError::at(at, format!("expected {what}, found {}", found.kind()));
        match found {
            Value::Secret(_) => error.with_help("a secret can only be used in a template"),
            Value::Null => error.with_help("write `default(…, …)` where it may be null"),
            _ => error,
        }
    }
}
