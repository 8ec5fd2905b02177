//! A template as it is checked and rendered.

use std::ops::Range;

use super::reference::Reference;
use crate::expression::functions::Function;
use crate::value::Value;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Output(Term),
    Block(Box<Block>),
}

#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    pub(super) argument: Term,
    /// `as |value key|`.
    pub(super) names: Vec<String>,
    pub(super) body: Vec<Node>,
    pub(super) inverse: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    If,
    Unless,
    Each,
    With,
}

/// Something that has a value.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) range: Range<usize>,
    pub(super) kind: TermKind,
}

#[derive(Debug, Clone)]
pub(super) enum TermKind {
    Literal(Value),
    Reference(Reference),
    /// `None` stands for a helper that does not exist, or not with so many arguments: told already.
    Call(Option<&'static Function>, Vec<Term>),
}

impl BlockKind {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "if" => Some(Self::If),
            "unless" => Some(Self::Unless),
            "each" => Some(Self::Each),
            "with" => Some(Self::With),
            _ => None,
        }
    }
}
