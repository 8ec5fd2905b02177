//! What is wrong with a state tree, drawn with the lines and carets.

use std::fmt;

use brine_model::diagnostic::{Diagnostic, Label, Severity};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::count::count;
use super::page::Page;
use super::style::{Style, Tone};
use crate::escape;

/// All findings, each with its places; empty without any.
#[must_use]
pub fn list(diagnostics: &[Diagnostic], style: Style) -> String {
    let mut page = Page::new(style);
    for diagnostic in diagnostics {
        page.drawn(&one(diagnostic, style)).gap();
    }
    page.finish()
}

/// `2 errors, 1 warning`.
#[must_use]
pub fn sum(diagnostics: &[Diagnostic]) -> String {
    let number = |severity| {
        diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count()
    };
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let parts = [(errors, "error"), (warnings, "warning")];
    let shown = parts.iter().filter(|(number, _)| *number > 0);
    shown
        .map(|(number, noun)| count(*number, noun))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The last line of a check.
#[must_use]
pub fn verdict(diagnostics: &[Diagnostic], files: usize, folder: &str, style: Style) -> String {
    let mut page = Page::new(style);
    let (tone, sum) = match (has_errors(diagnostics), diagnostics.is_empty()) {
        (true, _) => (Tone::Bad, sum(diagnostics)),
        (false, false) => (Tone::Warn, sum(diagnostics)),
        (false, true) => (Tone::Good, "all right".to_owned()),
    };
    page.plain(&format!("{} in {folder}: ", count(files, "file")))
        .put(tone, &sum)
        .end();
    page.finish()
}

#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// One finding: the place itself, then what it has to do with in other files.
fn one(diagnostic: &Diagnostic, style: Style) -> String {
    let first = diagnostic.labels.first();
    let is_here = |label: &&Label| first.is_some_and(|first| first.file == label.file);
    let (here, elsewhere): (Vec<&Label>, Vec<&Label>) = diagnostic.labels.iter().partition(is_here);
    let severity = match diagnostic.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let mut text = draw(&Finding::new(severity, &diagnostic.message, &here), style);
    for label in elsewhere {
        let message = if label.message.is_empty() {
            "see also"
        } else {
            &label.message
        };
        text += &draw(
            &Finding::new(miette::Severity::Advice, message, &[label]),
            style,
        );
    }
    if let Some(help) = &diagnostic.help {
        let mut page = Page::new(style);
        page.pad(2)
            .put(Tone::Accent, "help:")
            .plain(" ")
            .line(Tone::Plain, help);
        text += &page.finish();
    }
    text
}

fn draw(finding: &Finding, style: Style) -> String {
    let theme = if style.color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_links(false)
        .with_context_lines(1);
    let mut out = String::new();
    match handler.render_report(&mut out, finding) {
        Ok(()) => out,
        // A place outside its source, from a server of another version: the words still count.
        Err(fmt::Error) => format!("  {finding}\n"),
    }
}

/// A part of a [`Diagnostic`] in miette's terms; all text in it is safe to draw.
#[derive(Debug)]
struct Finding {
    severity: miette::Severity,
    message: String,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl Finding {
    /// All of `labels` are in the same file.
    fn new(severity: miette::Severity, message: &str, labels: &[&Label]) -> Self {
        let source = labels.first().map(|label| {
            let text = escape::same_length(&label.text).into_owned();
            NamedSource::new(escape::line(&label.file), text)
        });
        Self {
            severity,
            message: escape::line(message).into_owned(),
            source,
            labels: labels.iter().map(|label| span(label, message)).collect(),
        }
    }
}

/// What the headline says already is not said again at the caret.
fn span(label: &Label, headline: &str) -> LabeledSpan {
    // Offsets beyond the text, or within a character, would make the whole report fail.
    let length = u32::try_from(label.text.len()).unwrap_or(u32::MAX);
    let clamp = |offset: u32| label.text.floor_char_boundary(offset.min(length) as usize);
    let (start, end) = (clamp(label.start), clamp(label.end));
    let says_more = !label.message.is_empty() && label.message != headline;
    let message = says_more.then(|| escape::line(&label.message).into_owned());
    LabeledSpan::new(message, start, end.saturating_sub(start))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl miette::Diagnostic for Finding {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
