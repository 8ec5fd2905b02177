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
    let number = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let parts = [(errors, "error"), (warnings, "warning")];
    let shown = parts.iter().filter(|(number, _)| *number > 0);
    shown.map(|(number, noun)| count(*number, noun)).collect::<Vec<_>>().join(", ")
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
    page.plain(&format!("{} in {folder}: ", count(files, "file"))).put(tone, &sum).end();
    page.finish()
}

#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// One finding; without colours this is also what a log holds.
fn one(diagnostic: &Diagnostic, style: Style) -> String {
    let theme =
        if style.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .with_links(false)
        .with_context_lines(1);
    let mut out = String::new();
    match handler.render_report(&mut out, &Finding::new(diagnostic)) {
        Ok(()) => out,
        // A place outside its source, from a server of another version: the words still count.
        Err(fmt::Error) => {
            let mut page = Page::new(style);
            page.put(Tone::Bad, "error: ").line(Tone::Plain, &diagnostic.message);
            page.finish()
        }
    }
}

/// [`Diagnostic`] in miette's terms; all text in it is safe to draw.
#[derive(Debug)]
struct Finding {
    severity: Severity,
    message: String,
    help: Option<String>,
    /// The first label's file, with all labels in it.
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    /// Labels in other files.
    related: Vec<Self>,
}

impl Finding {
    fn new(diagnostic: &Diagnostic) -> Self {
        let first = diagnostic.labels.first();
        let is_here = |label: &&Label| first.is_some_and(|first| first.file == label.file);
        let (here, elsewhere): (Vec<&Label>, Vec<&Label>) = diagnostic.labels.iter().partition(is_here);
        Self {
            severity: diagnostic.severity,
            message: escape::line(&diagnostic.message).into_owned(),
            help: diagnostic.help.as_deref().map(|help| escape::line(help).into_owned()),
            source: first.map(source),
            labels: here.into_iter().map(span).collect(),
            related: elsewhere.into_iter().map(Self::elsewhere).collect(),
        }
    }

    fn elsewhere(label: &Label) -> Self {
        let message = if label.message.is_empty() { "see also" } else { &label.message };
        Self {
            severity: Severity::Warning,
            message: escape::line(message).into_owned(),
            help: None,
            source: Some(source(label)),
            labels: vec![span(label)],
            related: Vec::new(),
        }
    }
}

fn source(label: &Label) -> NamedSource<String> {
    NamedSource::new(escape::line(&label.file), escape::same_length(&label.text).into_owned())
}

fn span(label: &Label) -> LabeledSpan {
    // Offsets beyond the text would make the whole report fail.
    let length = u32::try_from(label.text.len()).unwrap_or(u32::MAX);
    let clamp = |offset: u32| label.text.floor_char_boundary(offset.min(length) as usize);
    let (start, end) = (clamp(label.start), clamp(label.end));
    let message = Some(escape::line(&label.message).into_owned()).filter(|text| !text.is_empty());
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
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.related.is_empty() {
            return None;
        }
        Some(Box::new(self.related.iter().map(|finding| finding as &dyn miette::Diagnostic)))
    }
}
