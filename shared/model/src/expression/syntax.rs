//! What the parser makes and the evaluator walks.

use std::ops::Range;

use super::PathUse;
use super::functions::Function;
use crate::value::Value;

/// A piece of syntax and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) range: Range<usize>,
    pub(super) syntax: Syntax,
}

#[derive(Debug, Clone)]
pub(super) enum Syntax {
    /// With its text, for `1.10` is a number to some and a version to others.
    Number(Value, String),
    Literal(Value),
    List(Vec<Spot>),
    /// A value of the scope.
    Path(Vec<String>),
    /// A part of what something else than a path gives: `first(roles.db).name`.
    Member(Box<Spot>, Vec<String>),
    Call(&'static Function, Vec<Spot>),
    Not(Box<Spot>),
    /// Two or more; flat, so that a long chain is no deep tree.
    And(Vec<Spot>),
    Or(Vec<Spot>),
    Compare(Box<Spot>, Comparison, Box<Spot>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

impl Spot {
    pub(super) fn paths(&self, uses: &mut Vec<PathUse>) {
        match &self.syntax {
            Syntax::Number(..) | Syntax::Literal(_) => {}
            Syntax::Path(path) => {
                uses.push(PathUse {
                    path: path.clone(),
                    range: self.range.clone(),
                });
            }
            Syntax::List(parts)
            | Syntax::Call(_, parts)
            | Syntax::And(parts)
            | Syntax::Or(parts) => parts.iter().for_each(|part| part.paths(uses)),
            Syntax::Not(inner) | Syntax::Member(inner, _) => inner.paths(uses),
            Syntax::Compare(left, _, right) => {
                left.paths(uses);
                right.paths(uses);
            }
        }
    }
}
