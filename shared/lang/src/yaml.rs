//! YAML text to [`Spanned`].
//!
//! A subset on purpose: one document, plain string keys, no anchors, no tags. What is left out is
//! refused with a reason, never ignored.

use brine_model::span::{Key, Node, SourceId, Span, Spanned};
use brine_model::value::Value;
use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StrInput};

use crate::issue::Issue;

/// Reads `text`; duplicate keys are reported without giving up, a syntax error gives nothing.
pub(crate) fn parse(text: &str, source: SourceId, issues: &mut Vec<Issue>) -> Option<Spanned> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader {
        parser,
        text,
        source,
        issues,
    };
    match reader.document() {
        Ok(root) => Some(root),
        Err(Stop(issue)) => {
            issues.push(issue);
            None
        }
    }
}

/// What makes reading on pointless.
struct Stop(Issue);

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    source: SourceId,
    issues: &'a mut Vec<Issue>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Spanned, Stop> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => {
                    return Err(Stop(Issue::error(span, "the file is empty")));
                }
                event => {
                    let root = self.value(event, span)?;
                    return self.end().map(|()| root);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Stop> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), span) => {
                    return Err(Stop(
                        Issue::error(span, "a second YAML document begins here")
                            .with_help("one file holds one document; remove the `---`"),
                    ));
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span) -> Result<Spanned, Stop> {
        if let Some(tag) = event.tag() {
            return Err(refuse(span, &format!("the tag `{}`", tag.original())));
        }
        if event.anchor_id().is_some_and(|id| id != 0) {
            return Err(refuse(span, "an anchor"));
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let node = match style {
                    ScalarStyle::Plain => Node::Plain(text.into_owned()),
                    _ => Node::Leaf(Value::String(text.into_owned())),
                };
                Ok(Spanned { span, node })
            }
            Event::SequenceStart(..) => self.list(span),
            Event::MappingStart(..) => self.map(span),
            Event::Alias(..) => Err(refuse(span, "an alias")),
            _ => Err(Stop(Issue::error(span, "expected a value"))),
        }
    }

    fn list(&mut self, start: Span) -> Result<Spanned, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let span = Span {
                        end: end.end.max(start.end),
                        ..start
                    };
                    return Ok(Spanned {
                        span,
                        node: Node::List(items),
                    });
                }
                (event, span) => items.push(self.value(event, span)?),
            }
        }
    }

    fn map(&mut self, start: Span) -> Result<Spanned, Stop> {
        let mut pairs: Vec<(Key, Spanned)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    let span = Span {
                        end: span.end.max(start.end),
                        ..start
                    };
                    return Ok(Spanned {
                        span,
                        node: Node::Map(pairs),
                    });
                }
                Event::Scalar(text, _, 0, None) => Key {
                    text: text.into_owned(),
                    span,
                },
                Event::Scalar(..) | Event::Alias(..) => {
                    return Err(refuse(span, "an anchor, alias or tag"));
                }
                _ => {
                    return Err(Stop(
                        Issue::error(span, "a key must be a word")
                            .with_help("quote an expression: `\"${{ … }}\"`"),
                    ));
                }
            };
            let (event, span) = self.next()?;
            let value = self.value(event, span)?;
            if let Some((first, _)) = pairs.iter().find(|(other, _)| other.text == key.text) {
                self.issues.push(
                    Issue::error(
                        key.span,
                        format!("`{}` is given twice in one map", key.text),
                    )
                    .with_place(first.span, "first given here"),
                );
                continue;
            }
            pairs.push((key, value));
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                Ok((event, self.span(range.start, range.end)))
            }
            Some(Err(error)) => Err(Stop(self.explain(&error))),
            None => Ok((
                Event::StreamEnd,
                self.span(self.text.len(), self.text.len()),
            )),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span::new(self.source, offset(start), offset(end))
    }

    /// The parser's error in the words of somebody who writes states.
    fn explain(&self, error: &ScanError) -> Issue {
        let at = error
            .marker()
            .byte_offset()
            .unwrap_or(self.text.len())
            .min(self.text.len());
        let at = self.text.floor_char_boundary(at);
        let width = self.text[at..]
            .chars()
            .next()
            .filter(|c| *c != '\n')
            .map_or(0, char::len_utf8);
        let issue = |message: &str| Issue::error(self.span(at, at + width), message);
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        if let Some(tab) = tab_in_indentation(line) {
            let at = line_start + tab;
            return Issue::error(self.span(at, at + 1), "a tab cannot indent YAML")
                .with_help("indent with spaces");
        }
        let expression_in_flow = line.contains("${{") && line.contains(['[', '{']);
        match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation => {
                issue("a tab cannot indent YAML").with_help("indent with spaces")
            }
            ErrorKind::UnclosedQuotedScalar => issue("the quote is never closed"),
            ErrorKind::UnclosedFlowCollection { open } => {
                issue(&format!("the `{open}` is never closed"))
            }
            ErrorKind::UnknownAnchor => issue("anchors and aliases are not supported"),
            _ if expression_in_flow => issue("this is not YAML: a `{` in the way")
                .with_help("quote an expression that stands inside `[ ]` or `{ }`: `\"${{ … }}\"`"),
            ErrorKind::MappingValueNotAllowed => issue("a `:` is not expected here")
                .with_help("check the indentation, or quote a text that has `: ` in it"),
            ErrorKind::InvalidIndentation
            | ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::ExpectedBlockSequenceEntry => {
                issue("the indentation does not fit what stands above")
            }
            kind => issue(&format!("this is not YAML: {kind}")),
        }
    }
}

fn refuse(span: Span, what: &str) -> Stop {
    Stop(
        Issue::error(span, format!("{what} is not supported"))
            .with_help("write the value out, or make it a parameter"),
    )
}

fn tab_in_indentation(line: &str) -> Option<usize> {
    let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
    line[..indentation].find('\t')
}
