//! Values with expressions in them: parsed once, evaluated per node.

use std::ops::Range;

use brine_model::expression::{
    Dialect, Expression, ExpressionError, Interpolated, PathUse, Scope, parse_interpolated,
};
use brine_model::span::{Key, Node, Span, Spanned};
use brine_model::value::Value;

use crate::issue::Issue;
use crate::source::Sources;

#[derive(Debug)]
pub(crate) enum Dynamic {
    /// No expression in it, however deep.
    Fixed(Spanned),
    Scalar(Scalar),
    List(Span, Vec<Self>),
    Map(Span, Vec<(Key, Self)>),
}

/// A scalar with at least one expression.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) span: Span,
    text: String,
    content: Interpolated,
}

/// A path that an expression or a template reads, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) span: Span,
}

impl Dynamic {
    /// What does not parse is reported and taken as it stands.
    pub(crate) fn parse(value: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) -> Self {
        let span = value.span;
        match &value.node {
            Node::Plain(text) | Node::Leaf(Value::String(text)) => match parse_interpolated(text) {
                Ok(Interpolated::Literal(literal)) => {
                    let node = match &value.node {
                        Node::Plain(_) => Node::Plain(literal),
                        _ => Node::Leaf(Value::String(literal)),
                    };
                    Self::Fixed(Spanned { span, node })
                }
                Ok(content) => Self::Scalar(Scalar {
                    span,
                    text: text.clone(),
                    content,
                }),
                Err(error) => {
                    issues.push(explain(&error, span, text, sources));
                    Self::Fixed(value.clone())
                }
            },
            Node::Leaf(_) => Self::Fixed(value.clone()),
            Node::List(items) => {
                let items = items.iter().map(|item| Self::parse(item, sources, issues));
                Self::List(span, items.collect()).settled()
            }
            Node::Map(pairs) => {
                let expressions = pairs.iter().filter(|(key, _)| key.text.contains("${{"));
                issues.extend(expressions.map(|(key, _)| {
                    Issue::error(key.span, "a key cannot be an expression")
                        .with_help("`for_each` makes several resources; a template writes any text")
                }));
                let pairs = pairs
                    .iter()
                    .map(|(key, item)| (key.clone(), Self::parse(item, sources, issues)));
                Self::Map(span, pairs.collect()).settled()
            }
        }
    }

    /// Evaluates; what fails is reported and gives none.
    pub(crate) fn evaluate(
        &self,
        scope: &dyn Scope,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Option<Spanned> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Scalar(scalar) => {
                let value = scalar.evaluate(scope, sources, issues)?;
                Some(Spanned::from_value(value, scalar.span))
            }
            Self::List(span, items) => {
                let items = items
                    .iter()
                    .map(|item| item.evaluate(scope, sources, issues));
                let items = items
                    .collect::<Vec<_>>()
                    .into_iter()
                    .collect::<Option<_>>()?;
                Some(Spanned {
                    span: *span,
                    node: Node::List(items),
                })
            }
            Self::Map(span, pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(key, item)| Some((key.clone(), item.evaluate(scope, sources, issues)?)));
                let pairs = pairs
                    .collect::<Vec<_>>()
                    .into_iter()
                    .collect::<Option<_>>()?;
                Some(Spanned {
                    span: *span,
                    node: Node::Map(pairs),
                })
            }
        }
    }

    pub(crate) fn mentions(&self, sources: &Sources, found: &mut Vec<Mention>) {
        match self {
            Self::Fixed(_) => {}
            Self::Scalar(scalar) => scalar.mentions(sources, found),
            Self::List(_, items) => items.iter().for_each(|item| item.mentions(sources, found)),
            Self::Map(_, pairs) => {
                pairs
                    .iter()
                    .for_each(|(_, item)| item.mentions(sources, found));
            }
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Fixed(value) => value.span,
            Self::Scalar(scalar) => scalar.span,
            Self::List(span, _) | Self::Map(span, _) => *span,
        }
    }

    /// A collection of fixed parts is fixed.
    fn settled(self) -> Self {
        let fixed = |item: Self| match item {
            Self::Fixed(value) => Some(value),
            _ => None,
        };
        match self {
            Self::List(span, items) if items.iter().all(Self::is_fixed) => {
                let items = items.into_iter().filter_map(fixed).collect();
                Self::Fixed(Spanned {
                    span,
                    node: Node::List(items),
                })
            }
            Self::Map(span, pairs) if pairs.iter().all(|(_, item)| item.is_fixed()) => {
                let pairs = pairs
                    .into_iter()
                    .filter_map(|(key, item)| Some((key, fixed(item)?)));
                Self::Fixed(Spanned {
                    span,
                    node: Node::Map(pairs.collect()),
                })
            }
            other => other,
        }
    }
}

impl Scalar {
    /// Reads a scalar that is an expression as a whole, with or without `${{ }}` around it.
    pub(crate) fn expression(
        value: &Spanned,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Option<Self> {
        let span = value.span;
        let text = match &value.node {
            Node::Plain(text) | Node::Leaf(Value::String(text)) => text,
            Node::Leaf(_) | Node::List(_) | Node::Map(_) => {
                issues.push(Issue::error(span, "expected an expression"));
                return None;
            }
        };
        let parsed = if text.contains("${{") {
            parse_interpolated(text)
        } else {
            let whole = Expression::parse(text, Dialect::Formula);
            whole.map(|expression| Interpolated::Whole(expression, 0..text.len()))
        };
        match parsed {
            Ok(content @ Interpolated::Whole(..)) => Some(Self {
                span,
                text: text.clone(),
                content,
            }),
            Ok(_) => {
                issues.push(
                    Issue::error(span, "expected one expression, found text around it")
                        .with_help("write the expression alone"),
                );
                None
            }
            Err(error) => {
                issues.push(explain(&error, span, text, sources));
                None
            }
        }
    }

    pub(crate) fn evaluate(
        &self,
        scope: &dyn Scope,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Option<Value> {
        match self.content.evaluate(scope) {
            Ok(value) => Some(value),
            Err(error) => {
                issues.push(explain(&error, self.span, &self.text, sources));
                None
            }
        }
    }

    /// Evaluates a condition.
    pub(crate) fn holds(
        &self,
        scope: &dyn Scope,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Option<bool> {
        let Interpolated::Whole(condition, _) = &self.content else {
            return None;
        };
        match condition.evaluate_bool(scope) {
            Ok(answer) => Some(answer),
            Err(error) => {
                issues.push(explain(&error, self.span, &self.text, sources));
                None
            }
        }
    }

    pub(crate) fn mentions(&self, sources: &Sources, found: &mut Vec<Mention>) {
        for PathUse { path, range } in self.content.paths() {
            let span = sources.within(self.span, &self.text, range);
            found.push(Mention { path, span });
        }
    }
}

fn explain(error: &ExpressionError, span: Span, text: &str, sources: &Sources) -> Issue {
    Issue::error(
        sources.within(span, text, widen(text, &error.range)),
        &error.message,
    )
    .with_optional_help(error.help.clone())
}

/// An empty range (something is missing here) marks the character before.
fn widen(text: &str, range: &Range<usize>) -> Range<usize> {
    if !range.is_empty() {
        return range.clone();
    }
    let end = range.start.min(text.len());
    let before = text
        .get(..end)
        .and_then(|before| before.chars().next_back());
    end - before.map_or(0, char::len_utf8)..end
}
