//! Text to syntax: the values that logic and comparisons join.

use super::functions;
use super::parse::{Parsed, Parser};
use super::syntax::{Spot, Syntax};
use super::{Dialect, ExpressionError};
use crate::value::Value;

impl Parser<'_> {
    /// The right side of a comparison in a target: bare words are strings there.
    pub(super) fn bare_operand(&mut self) -> Parsed {
        let start = self.lexer.position();
        if self.lexer.symbol("[") {
            return self.list(start, Self::bare_operand);
        }
        let word = self.lexer.bare_word();
        if self.lexer.peek_adjacent() == Some('(') {
            self.lexer.rewind(start);
            return self.operand();
        }
        match word {
            None => self.operand(),
            Some("and" | "or" | "not" | "in") => {
                let range = start..self.lexer.last_end();
                Err(
                    ExpressionError::new(range, "expected a value to compare with")
                        .with_help("quote the word if it is meant as a string"),
                )
            }
            Some(word) => {
                let value = literal_word(word).or_else(|| number(word));
                let text = word.to_owned();
                let syntax = match value {
                    Some(value @ (Value::Integer(_) | Value::Float(_))) => {
                        Syntax::Number(value, text)
                    }
                    Some(value) => Syntax::Literal(value),
                    None => Syntax::Literal(Value::String(text)),
                };
                Ok(self.spot(start, syntax))
            }
        }
    }

    /// A value, and the parts that are picked from it.
    pub(super) fn operand(&mut self) -> Parsed {
        let mut spot = self.primary()?;
        let start = spot.range.start;
        let members = self.members()?;
        if !members.is_empty() {
            spot = match spot.syntax {
                Syntax::Path(path) => self.spot(start, Syntax::Path([path, members].concat())),
                _ => self.spot(start, Syntax::Member(Box::new(spot), members)),
            };
        }
        Ok(spot)
    }

    /// `.name`, `[0]` and `["name"]`, without white space before.
    fn members(&mut self) -> Result<Vec<String>, ExpressionError> {
        let mut members = Vec::new();
        loop {
            let start = self.lexer.last_end();
            match self.lexer.peek_adjacent() {
                Some('.') => {
                    self.lexer.symbol(".");
                    let name = self.lexer.identifier();
                    members.push(
                        name.ok_or_else(|| self.expected("a name after the dot"))?
                            .into(),
                    );
                }
                Some('[') => {
                    self.lexer.symbol("[");
                    let index = match self.lexer.string()? {
                        Some(name) => Some(name),
                        None => self.lexer.number().map(str::to_owned),
                    };
                    let index = index.ok_or_else(|| {
                        self.expected("an index")
                            .with_help("write `[0]` or `[\"name\"]`")
                    })?;
                    members.push(index);
                    self.close("]", start)?;
                }
                _ => return Ok(members),
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let start = self.lexer.position();
        if let Some(text) = self.lexer.string()? {
            return Ok(self.spot(start, Syntax::Literal(Value::String(text))));
        }
        if let Some(text) = self.lexer.number() {
            let range = start..self.lexer.last_end();
            let value = number(text).ok_or_else(|| {
                ExpressionError::new(range, format!("`{text}` is not a number"))
                    .with_help(format!("quote it if it is text: `\"{text}\"`"))
            })?;
            return Ok(self.spot(start, Syntax::Number(value, text.to_owned())));
        }
        if self.lexer.symbol("(") {
            let inner = self.any()?;
            self.close(")", start)?;
            return Ok(self.spot(start, inner.syntax));
        }
        if self.lexer.symbol("[") {
            return self.list(start, Self::any);
        }
        match self.lexer.identifier() {
            None => Err(self.expected("a value")),
            Some(word @ ("and" | "or" | "not" | "in")) => Err(ExpressionError::new(
                start..self.lexer.last_end(),
                format!("expected a value, found `{word}`"),
            )),
            Some(name) if self.lexer.peek_adjacent() == Some('(') => self.call(start, name),
            Some(word) => {
                let value = literal_word(word);
                let syntax = value.map_or_else(|| Syntax::Path(vec![word.into()]), Syntax::Literal);
                if self.dialect == Dialect::Target && word == "all" && !self.selects() {
                    return Ok(self.spot(start, Syntax::Literal(Value::Bool(true))));
                }
                Ok(self.spot(start, syntax))
            }
        }
    }

    /// Whether a part is picked from what was just read.
    fn selects(&self) -> bool {
        matches!(self.lexer.peek_adjacent(), Some('.' | '['))
    }

    fn call(&mut self, start: usize, name: &str) -> Parsed {
        let name_range = start..self.lexer.last_end();
        let Some(function) = functions::find(name) else {
            let error = ExpressionError::new(name_range, format!("unknown function `{name}`"));
            return Err(ExpressionError {
                help: functions::suggest(name),
                ..error
            });
        };
        self.lexer.symbol("(");
        let arguments = self.items(start, ")", Self::any)?;
        if let Some(message) = function.wrong_arity(arguments.len()) {
            return Err(ExpressionError::new(start..self.lexer.last_end(), message)
                .with_help(format!("use it as `{}`: {}", function.usage, function.doc)));
        }
        Ok(self.spot(start, Syntax::Call(function, arguments)))
    }

    fn list(&mut self, start: usize, item: fn(&mut Self) -> Parsed) -> Parsed {
        let items = self.deeper(|parser| parser.items(start, "]", item))?;
        Ok(self.spot(start, Syntax::List(items)))
    }

    /// Items between commas, up to `close`; a comma may follow the last.
    fn items(
        &mut self,
        start: usize,
        close: &str,
        item: fn(&mut Self) -> Parsed,
    ) -> Result<Vec<Spot>, ExpressionError> {
        let mut items = Vec::new();
        while !self.lexer.symbol(close) {
            items.push(item(self)?);
            if !self.lexer.symbol(",") {
                self.close(close, start)?;
                break;
            }
        }
        Ok(items)
    }

    fn close(&mut self, close: &str, start: usize) -> Result<(), ExpressionError> {
        if self.lexer.symbol(close) {
            return Ok(());
        }
        let error = self.expected(&format!("`{close}`"));
        Err(ExpressionError {
            range: start..error.range.end,
            ..error
        })
    }
}

fn literal_word(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => None,
    }
}

/// An integer, or else a float with a digit first: `inf` and `nan` are words.
fn number(text: &str) -> Option<Value> {
    if let Ok(integer) = text.parse() {
        return text
            .starts_with(|c| c != '+')
            .then_some(Value::Integer(integer));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let float: f64 = digits
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| text.parse().ok())??;
    float.is_finite().then_some(Value::Float(float))
}
