//! What is wrong with a state tree, as data: compiled on the server, drawn by `ctl`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    Warning,
    Error,
}

/// One finding, complete in itself: it carries the source lines that it points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop: ``unknown key `porrt` ``.
    pub message: String,
    /// Where; the first is the place itself, further ones are related ("first defined here").
    pub labels: Vec<Label>,
    /// What to do about it: ``did you mean `port`?``.
    pub help: Option<String>,
}

/// A marked place in a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub file: Arc<str>,
    /// Byte range in `text`.
    pub start: u32,
    pub end: u32,
    /// The whole source; shared, not copied, within one process.
    pub text: Arc<str>,
    pub message: String,
}

impl Diagnostic {
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    #[must_use]
    pub fn with_label(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Label {
    /// Line and column of the start, both counted from 1, the column in characters.
    #[must_use]
    pub fn line_column(&self) -> (u32, u32) {
        line_column(&self.text, self.start)
    }
}

/// Line and column of a byte offset, both counted from 1, the column in characters.
#[must_use]
pub fn line_column(text: &str, offset: u32) -> (u32, u32) {
    let mut offset = (offset as usize).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}

/// From 0 to 1. In a short word two letters in the wrong order weigh heavily, but are one slip.
fn likeness(wrong: &str, candidate: &str) -> f64 {
    let likeness = strsim::jaro_winkler(wrong, candidate);
    let swapped = strsim::levenshtein(wrong, candidate) == 2
        && strsim::damerau_levenshtein(wrong, candidate) == 1;
    if swapped { likeness.max(0.9) } else { likeness }
}

/// The candidate nearest to `wrong`, if one is near enough to be what was meant.
#[must_use]
pub fn did_you_mean<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (likeness(wrong, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}
