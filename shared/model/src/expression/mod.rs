//! Expressions: `${{ … }}` in YAML, and the targets of the command line.
//!
//! One grammar serves both, see [`Dialect`]; one table of functions serves these and the helpers
//! of templates, see [`functions`]. There is no arithmetic and no loop: what an expression costs
//! is bounded by its text and by the values that it is given.
//!
//! | what | how it is written |
//! | --- | --- |
//! | literals | `12`, `1.5`, `"text"`, `'text'`, `true`, `false`, `null`, `[1, 2]` |
//! | values | `facts.os.version`, `roles.db[0].name`, `node.labels["zone"]` |
//! | comparisons | `=` (also `==`), `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in` |
//! | logic | `and`, `or`, `not`, parentheses |
//! | calls | `join(map(roles.db, "address"), ",")` |

mod compare;
mod evaluate;
pub mod functions;
mod interpolate;
mod lexer;
mod operand;
mod parse;
mod scope;
mod syntax;
#[cfg(test)]
mod tests;
pub mod version;

use std::ops::Range;

pub(crate) use compare::{equal, order};
pub(crate) use scope::suggestion_among;

pub use self::interpolate::{Interpolated, Part, parse_interpolated};
pub use self::scope::{Lookup, Scope};
pub use self::version::compare as compare_versions;
use crate::value::Value;

/// Where an expression is written decides what a bare word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// In the state language: a bare word is a path, strings are quoted.
    Formula,
    /// On the command line, where quoting is a nuisance: on the right side of a comparison a bare
    /// word is a string (`role=db`, `node in [db01, db02]`), `all` is `true`, and `=` between a
    /// list and a single value asks whether the list contains it (a node has several roles).
    Target,
}

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expression {
    root: syntax::Spot,
    dialect: Dialect,
}

/// A value that an expression or a scalar names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathUse {
    /// `roles.db[0].name` is `roles`, `db`, `0`, `name`.
    pub path: Vec<String>,
    /// Bytes in the text that was parsed.
    pub range: Range<usize>,
}

/// What is wrong with an expression. Names values by their kind, never by their content: one of
/// them might be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Bytes in the text that was parsed.
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl Expression {
    /// Parses all of `text`.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, ExpressionError> {
        Self::parse_within(text, 0..text.len(), dialect)
    }

    /// Parses the part `within` of `text`; ranges refer to `text`.
    fn parse_within(
        text: &str,
        within: Range<usize>,
        dialect: Dialect,
    ) -> Result<Self, ExpressionError> {
        Ok(Self {
            root: parse::parse(text, within, dialect)?,
            dialect,
        })
    }

    /// What it gives in `scope`. A live fact that is absent gives `null`.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        Ok(evaluate::evaluate(&self.root, self.dialect, scope)?.unwrap_or(Value::Null))
    }

    /// What it gives in `scope`, if that is true or false. A live fact that is absent is neither,
    /// and so counts as false: nothing may rest on what nobody has said.
    pub fn evaluate_bool(&self, scope: &dyn Scope) -> Result<bool, ExpressionError> {
        self.evaluate_known(scope)
            .map(|answer| answer.unwrap_or(false))
    }

    /// What it gives in `scope`, if that is true or false; none where it is a live fact that is
    /// absent: whoever must not guess asks this.
    pub fn evaluate_known(&self, scope: &dyn Scope) -> Result<Option<bool>, ExpressionError> {
        match evaluate::evaluate(&self.root, self.dialect, scope)? {
            None => Ok(None),
            Some(Value::Bool(answer)) => Ok(Some(answer)),
            Some(other) => Err(ExpressionError::new(
                self.root.range.clone(),
                format!("expected true or false, found {}", other.kind()),
            )),
        }
    }

    /// Every value that it names, in the order written.
    #[must_use]
    pub fn paths(&self) -> Vec<PathUse> {
        let mut uses = Vec::new();
        self.root.paths(&mut uses);
        uses
    }
}

impl ExpressionError {
    fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            help: None,
        }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
