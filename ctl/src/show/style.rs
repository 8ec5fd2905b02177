//! How a screen may look.

use brine_model::time::Timestamp;

/// What a renderer needs to know of where its text goes, and when.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    /// Columns, for what wraps (diagnostics).
    pub width: usize,
    /// Ages are told from here, so that renderers read no clock.
    pub now: Timestamp,
}

/// What a piece of text is, rather than which colour it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    Accent,
}

impl Tone {
    /// The ANSI code that starts it; none for plain text.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\x1b[1m"),
            Self::Dim => Some("\x1b[2m"),
            Self::Good => Some("\x1b[32m"),
            Self::Warn => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
            Self::Accent => Some("\x1b[36m"),
        }
    }
}
