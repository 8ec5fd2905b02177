//! The source texts of one compilation, and places in them.

use std::ops::Range;
use std::sync::Arc;

use brine_model::diagnostic::{Label, line_column};
use brine_model::span::{Origin, SourceId, Span};

#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<(Arc<str>, Arc<str>)>,
}

impl Sources {
    pub(crate) fn add(&mut self, path: &str, text: &str) -> SourceId {
        self.files.push((path.into(), text.into()));
        SourceId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    pub(crate) fn origin(&self, span: Span) -> Origin {
        let (file, text) = self.get(span.source);
        let (line, column) = line_column(text, span.start);
        Origin {
            file: Arc::clone(file),
            line,
            column,
        }
    }

    /// Marks a place; one that goes over several lines is cut after the first.
    pub(crate) fn label(&self, span: Span, message: impl Into<String>) -> Label {
        let (file, text) = self.get(span.source);
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let start = span.start.min(length);
        let marked = text
            .get(start as usize..span.end.min(length) as usize)
            .unwrap_or_default();
        let line = marked.lines().next().unwrap_or_default().trim_end();
        let end = start + u32::try_from(line.len()).unwrap_or_default();
        Label {
            file: Arc::clone(file),
            start,
            end,
            text: Arc::clone(text),
            message: message.into(),
        }
    }

    /// The place of `range` of the scalar `text` that was written at `span`: quotes, escapes and
    /// folded lines come between the two.
    pub(crate) fn within(&self, span: Span, text: &str, range: Range<usize>) -> Span {
        let Some(part) = text.get(range.clone()).filter(|part| !part.is_empty()) else {
            return span;
        };
        let written = self.slice(span);
        // The same words as often before it here as there.
        let earlier = text[..range.start].matches(part).count();
        let found = written.match_indices(part).nth(earlier);
        match found.and_then(|(at, _)| u32::try_from(at).ok()) {
            Some(at) => {
                let start = span.start + at;
                let length = u32::try_from(part.len()).unwrap_or_default();
                Span {
                    start,
                    end: start + length,
                    ..span
                }
            }
            None => span,
        }
    }

    fn slice(&self, span: Span) -> &str {
        let text = &self.get(span.source).1;
        text.get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    fn get(&self, id: SourceId) -> &(Arc<str>, Arc<str>) {
        &self.files[id.0 as usize]
    }
}
