//! Text to syntax, by recursive descent: logic and comparisons; see `operand.rs` for values.

use std::ops::Range;

use super::lexer::Lexer;
use super::syntax::{Comparison, Spot, Syntax};
use super::{Dialect, ExpressionError};

/// The longest text that is parsed.
const MAX_LENGTH: usize = 64 * 1024;

/// How deep parentheses, lists, calls and `not` may nest.
const MAX_DEPTH: usize = 64;

pub(super) type Parsed = Result<Spot, ExpressionError>;

/// Parses the part `within` of `text`.
pub(super) fn parse(text: &str, within: Range<usize>, dialect: Dialect) -> Parsed {
    if within.len() > MAX_LENGTH {
        return Err(ExpressionError::new(within, "this expression is too long")
            .with_help("at most 64 KiB are read"));
    }
    let mut parser = Parser {
        lexer: Lexer::new(text, within.clone()),
        dialect,
        depth: 0,
    };
    if parser.lexer.at_end() {
        return Err(ExpressionError::new(
            within,
            "expected an expression, found nothing",
        ));
    }
    let root = parser.any()?;
    if !parser.lexer.at_end() {
        let start = parser.lexer.position();
        let rest = ExpressionError::new(start..within.end, "expected the end of the expression");
        return Err(rest.with_help(
            "values are joined by `and`, `or` and comparisons; there is no arithmetic",
        ));
    }
    Ok(root)
}

pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) dialect: Dialect,
    depth: usize,
}

impl Parser<'_> {
    pub(super) fn any(&mut self) -> Parsed {
        self.deeper(|parser| parser.chain("or", Syntax::Or, Self::all))
    }

    fn all(&mut self) -> Parsed {
        self.chain("and", Syntax::And, Self::negation)
    }

    fn chain(
        &mut self,
        word: &str,
        join: fn(Vec<Spot>) -> Syntax,
        part: fn(&mut Self) -> Parsed,
    ) -> Parsed {
        let first = part(self)?;
        let start = first.range.start;
        let mut parts = vec![first];
        while self.lexer.keyword(word) {
            parts.push(part(self)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                Ok(self.spot(start, join(parts)))
            }
        }
    }

    fn negation(&mut self) -> Parsed {
        let start = self.lexer.position();
        if self.lexer.keyword("not") {
            let inner = self.deeper(Self::negation)?;
            return Ok(self.spot(start, Syntax::Not(Box::new(inner))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.operand()?;
        let Some(comparison) = self.comparison_sign()? else {
            return Ok(left);
        };
        let start = left.range.start;
        // What `in` looks into is named, unless it is a list.
        let holder = matches!(comparison, Comparison::In | Comparison::NotIn)
            && self.lexer.peek() != Some('[');
        let right = match self.dialect {
            Dialect::Target if !holder => self.bare_operand()?,
            _ => self.operand()?,
        };
        let end = self.lexer.last_end();
        if self.comparison_sign()?.is_some() {
            return Err(ExpressionError::new(
                end..self.lexer.last_end(),
                "comparisons do not chain",
            )
            .with_help("write `a < b and b < c`"));
        }
        self.lexer.rewind(end);
        Ok(self.spot(
            start,
            Syntax::Compare(Box::new(left), comparison, Box::new(right)),
        ))
    }

    fn comparison_sign(&mut self) -> Result<Option<Comparison>, ExpressionError> {
        // Longer signs first.
        const SIGNS: [(&str, Comparison); 7] = [
            ("==", Comparison::Equal),
            ("=", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            ("<", Comparison::Less),
            (">=", Comparison::GreaterOrEqual),
            (">", Comparison::Greater),
        ];
        if let Some((_, comparison)) = SIGNS.iter().find(|(sign, _)| self.lexer.symbol(sign)) {
            return Ok(Some(*comparison));
        }
        if self.lexer.keyword("in") {
            return Ok(Some(Comparison::In));
        }
        let start = self.lexer.position();
        if !self.lexer.keyword("not") {
            return Ok(None);
        }
        if !self.lexer.keyword("in") {
            let range = start..self.lexer.last_end();
            return Err(ExpressionError::new(range, "expected `not in`"));
        }
        Ok(Some(Comparison::NotIn))
    }

    /// Counts one level of nesting: the stack is finite, and the text may be hostile.
    pub(super) fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.lexer.position();
            return Err(
                ExpressionError::new(at..at, "this expression is nested too deeply")
                    .with_help(format!("at most {MAX_DEPTH} levels are read")),
            );
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub(super) fn expected(&mut self, what: &str) -> ExpressionError {
        let start = self.lexer.position();
        let (end, found) = match self.lexer.peek() {
            Some(c) => (start + c.len_utf8(), format!("`{}`", c.escape_debug())),
            None => (start, "the end".to_owned()),
        };
        ExpressionError::new(start..end, format!("expected {what}, found {found}"))
    }

    pub(super) fn spot(&self, start: usize, syntax: Syntax) -> Spot {
        Spot {
            range: start..self.lexer.last_end(),
            syntax,
        }
    }
}
