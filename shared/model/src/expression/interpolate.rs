//! `${{ … }}` in the scalars of YAML.

use std::ops::Range;

use super::{Dialect, Expression, ExpressionError, PathUse, Scope};
use crate::value::Value;

const OPEN: &str = "${{";

/// A scalar's text, split at its expressions.
#[derive(Debug, Clone)]
pub enum Interpolated {
    /// No expression; escapes are replaced.
    Literal(String),
    /// One expression and nothing else, and where it stands with its braces: keeps its type.
    Whole(Expression, Range<usize>),
    /// Gives a string.
    Mixed(Vec<Part>),
}

/// A part of a mixed scalar.
#[derive(Debug, Clone)]
pub enum Part {
    Literal(String),
    /// With its place, braces included.
    Expression(Expression, Range<usize>),
}

/// Splits `text` at `${{ … }}`; `$${{` stands for the characters `${{`.
pub fn parse_interpolated(text: &str) -> Result<Interpolated, ExpressionError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(OPEN).map(|found| at + found) {
        if text[at..start].ends_with('$') {
            // `$${{`: one dollar is dropped.
            literal.push_str(&text[at..start - 1]);
            literal.push_str(OPEN);
            at = start + OPEN.len();
            continue;
        }
        literal.push_str(&text[at..start]);
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        let inner = start + OPEN.len();
        let close = closing(text, inner).ok_or_else(|| {
            ExpressionError::new(start..text.len(), "this expression has no end")
                .with_help("close it with `}}`, or write `$${{` if no expression is meant")
        })?;
        let expression = Expression::parse_within(text, inner..close, Dialect::Formula)?;
        at = close + "}}".len();
        parts.push(Part::Expression(expression, start..at));
    }
    literal.push_str(&text[at..]);
    if parts.is_empty() {
        return Ok(Interpolated::Literal(literal));
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    match parts.pop() {
        Some(Part::Expression(only, range)) if parts.is_empty() => {
            Ok(Interpolated::Whole(only, range))
        }
        last => {
            parts.extend(last);
            Ok(Interpolated::Mixed(parts))
        }
    }
}

/// Where the `}}` is that ends what starts at `start`: one inside a string does not.
fn closing(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = start;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

impl Interpolated {
    /// What the scalar stands for in `scope`; ranges of errors refer to the whole scalar.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        let parts = match self {
            Self::Literal(text) => return Ok(Value::String(text.clone())),
            Self::Whole(expression, _) => return expression.evaluate(scope),
            Self::Mixed(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expression(expression, range) => {
                    let value = expression.evaluate(scope)?;
                    let part = value
                        .to_text()
                        .ok_or_else(|| no_text(&value, range.clone()))?;
                    text.push_str(&part);
                }
            }
        }
        Ok(Value::String(text))
    }

    /// Every value that it names, in the order written.
    #[must_use]
    pub fn paths(&self) -> Vec<PathUse> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Whole(expression, _) => expression.paths(),
            Self::Mixed(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Literal(_) => None,
                    Part::Expression(expression, _) => Some(expression.paths()),
                })
                .flatten()
                .collect(),
        }
    }

    /// Whether it holds no expression.
    #[must_use]
    pub const fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }
}

fn no_text(value: &Value, range: Range<usize>) -> ExpressionError {
    let help = match value {
        Value::Null => "give it a value, or write `default(…, \"…\")`",
        Value::List(_) => "write `join(…, \",\")`, or put it in a template",
        _ => "put it in a template",
    };
    ExpressionError::new(range, format!("{} cannot be part of a text", value.kind()))
        .with_help(help)
}
