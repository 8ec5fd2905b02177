//! What changes inside a file.

use brine_model::resource::Diff;

use super::page::Page;
use super::style::Tone;

/// A unified diff in colours; what is secret or no text has no body.
pub fn draw(diff: &Diff, indent: usize, page: &mut Page) {
    if let Diff::Text(body) = diff {
        text(body, indent, page);
    }
}

/// The body of a unified diff.
pub fn text(body: &str, indent: usize, page: &mut Page) {
    for line in body.lines() {
        page.pad(indent).line(tone(line), line);
    }
}

/// What stands behind a change's text where there is no body to show.
#[must_use]
pub fn note(diff: Option<&Diff>) -> Option<String> {
    match diff {
        Some(Diff::Sensitive) => Some("(sensitive)".to_owned()),
        Some(Diff::Binary {
            before: Some(before),
            after,
        }) => Some(format!("(binary, {before} → {after} bytes)")),
        Some(Diff::Binary {
            before: None,
            after,
        }) => Some(format!("(binary, {after} bytes)")),
        Some(Diff::Text(_)) | None => None,
    }
}

fn tone(line: &str) -> Tone {
    match line.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Accent,
        _ => Tone::Plain,
    }
}
