//! Values that remember where they were written.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// Names one source text among those of one compilation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct SourceId(pub u32);

/// A range of bytes in a source.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Span {
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    #[must_use]
    pub const fn new(source: SourceId, start: u32, end: u32) -> Self {
        Self { source, start, end }
    }
}

/// A place for people, complete without the sources: what catalogs and records carry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Path relative to the state tree's root.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value with the place it was written at, all the way down.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned {
    pub span: Span,
    pub node: Node,
}

/// The shapes of a [`Spanned`].
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A plain (unquoted) scalar, by its source text: its type is decided by the field that it
    /// fills, so that `mode: 0644` means what it says.
    Plain(String),
    /// Anything whose type is already known: a quoted scalar, or what an expression gave. Never a
    /// list or map: those are opened up into the variants below, with the same span throughout.
    Leaf(Value),
    List(Vec<Spanned>),
    /// In the order written; duplicates are refused by the parser.
    Map(Vec<(Key, Spanned)>),
}

/// A map's key and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

impl Spanned {
    /// Wraps a value whose parts all stem from one place.
    #[must_use]
    pub fn from_value(value: Value, span: Span) -> Self {
        let node = match value {
            Value::List(items) => Node::List(
                items
                    .into_iter()
                    .map(|item| Self::from_value(item, span))
                    .collect(),
            ),
            Value::Map(map) => Node::Map(
                map.into_iter()
                    .map(|(text, item)| (Key { text, span }, Self::from_value(item, span)))
                    .collect(),
            ),
            leaf => Node::Leaf(leaf),
        };
        Self { span, node }
    }

    /// The value alone; plain scalars resolve by YAML 1.2's core schema.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self.node {
            Node::Plain(text) => resolve_plain(&text),
            Node::Leaf(value) => value,
            Node::List(items) => Value::List(items.into_iter().map(Self::into_value).collect()),
            Node::Map(pairs) => Value::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key.text, value.into_value()))
                    .collect(),
            ),
        }
    }

    /// The member `key` of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.node {
            Node::Map(pairs) => pairs.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// Resolves a plain scalar as YAML 1.2's core schema does (section 10.3.2), with one difference:
/// a number with leading zeros stays a string, for `0644` is not six hundred and forty-four.
#[must_use]
pub fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if !leading_zero && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        if let Ok(integer) = text.parse() {
            return Value::Integer(integer);
        }
        let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        if digits.chars().all(numeric)
            && let Ok(float) = text.parse()
        {
            return Value::Float(float);
        }
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars() {
        let check =
            |text: &str, expected: Value| assert_eq!(resolve_plain(text), expected, "{text}");
        check("12", Value::Integer(12));
        check("-3", Value::Integer(-3));
        check("1.5", Value::Float(1.5));
        check("1e3", Value::Float(1000.0));
        check("0644", "0644".into());
        check("0", Value::Integer(0));
        check("1.2.3", "1.2.3".into());
        check("10.0.0.1", "10.0.0.1".into());
        check("yes", "yes".into());
        check("true", Value::Bool(true));
        check("", Value::Null);
        check("-", "-".into());
        check("inf", "inf".into());
    }
}
