//! An error: what, where, why, what to do.

use super::diagnostics;
use super::page::Page;
use super::style::{Style, Tone};
use crate::error::CtlError;

#[must_use]
pub fn failure(error: &CtlError, style: Style) -> String {
    let mut page = Page::new(style);
    if let CtlError::Invalid(findings) = error {
        page.drawn(&diagnostics::list(findings, style));
    }
    let message = error.to_string();
    let mut lines = message.lines();
    page.put(Tone::Bad, "error:")
        .plain(" ")
        .plain(lines.next().unwrap_or_default())
        .end();
    for line in lines {
        page.pad(2).plain(line).end();
    }
    for cause in error.causes() {
        page.pad(2)
            .put(Tone::Dim, "because:")
            .plain(" ")
            .plain(&cause)
            .end();
    }
    if let Some(hint) = error.hint() {
        page.put(Tone::Accent, "hint:")
            .plain(" ")
            .plain(&hint)
            .end();
    }
    page.finish()
}
