//! The only module that writes to a terminal: data on standard output, everything else on
//! standard error.

mod live;
mod terminal;

use std::process::ExitCode;

use brine_model::time::Timestamp;
use clap::ValueEnum;
use serde_json::{Value, json};

pub use live::Live;

use crate::error::CtlError;
use crate::exit::Exit;
use crate::show::style::Style;
use crate::{escape, json, show};
use terminal::Terminal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one document, or one line per event.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

/// Where a call's answers go.
#[derive(Debug)]
pub struct Output {
    format: Format,
    out: Style,
    err: Style,
    terminal: Terminal,
}

impl Output {
    #[must_use]
    pub fn new(format: Format, color: Color) -> Self {
        let terminal = Terminal::real();
        let (out, err) = terminal.styles(color);
        Self {
            format,
            out,
            err,
            terminal,
        }
    }

    /// Keeps what is written, and answers questions with `answers`; for tests.
    #[cfg(test)]
    pub(crate) fn captured(format: Format, answers: &[&str]) -> Self {
        let style = crate::testing::style();
        Self {
            format,
            out: style,
            err: style,
            terminal: Terminal::captured(answers),
        }
    }

    /// What was written to standard output and standard error.
    #[cfg(test)]
    pub(crate) fn written(&self) -> (String, String) {
        self.terminal.written()
    }

    /// The answer, as text or as one document.
    ///
    /// # Errors
    /// Standard output is full or gone; a reader that has had enough is no error.
    pub fn show(
        &self,
        text: impl FnOnce(Style) -> String,
        document: impl FnOnce() -> Value,
    ) -> Result<(), CtlError> {
        match self.format {
            Format::Text => self.data(&text(self.out)),
            Format::Json => self.json(&document()),
        }
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn json(&self, document: &Value) -> Result<(), CtlError> {
        let text = document.to_string();
        self.data(&format!("{}\n", escape::json(&text)))
    }

    /// The answer as text, where programs get theirs elsewhere.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn data_of(&self, text: impl FnOnce(Style) -> String) -> Result<(), CtlError> {
        self.data(&text(self.out))
    }

    /// Text as it is: already escaped, or on its way to a file.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn data(&self, text: &str) -> Result<(), CtlError> {
        self.terminal.out(text).map_err(CtlError::Output)
    }

    /// Something that is not the answer. Programs do not want it.
    pub fn note(&self, text: impl FnOnce(Style) -> String) {
        if self.format == Format::Text {
            self.terminal.err(&text(self.err));
        }
    }

    /// A note of one line.
    pub fn say(&self, text: &str) {
        self.note(|_| format!("{}\n", escape::line(text)));
    }

    pub fn error(&self, error: &CtlError) {
        match self.format {
            Format::Text => self.terminal.err(&show::failure::failure(error, self.err)),
            Format::Json => {
                let text = json::error(error).to_string();
                self.terminal.err(&format!("{}\n", escape::json(&text)));
            }
        }
    }

    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// The time of this call, which ages on screens are told from, too.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.out.now
    }

    /// Whether standard output is drawn for people's eyes.
    #[must_use]
    pub fn out_is_terminal(&self) -> bool {
        self.terminal.out_is_terminal()
    }

    /// Whether there is somebody to answer a question.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.format == Format::Text && self.terminal.can_ask()
    }

    /// Asks for a yes; anything else, the end of input too, is a no. May be dropped.
    pub async fn confirm(&self, question: &str) -> bool {
        self.terminal
            .err(&format!("{} [y/N] ", escape::line(question)));
        let answer = self.terminal.answer().await;
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }

    /// Returns when the operator presses Ctrl-C.
    pub async fn interrupted(&self) {
        self.terminal.interrupted().await;
    }

    /// Follows a run; `events` for programs that want each as a line.
    #[must_use]
    pub fn live(&self, events: bool) -> Live<'_> {
        Live::new(self, events)
    }
}

/// Help, version or a mistake on the command line, in clap's own words.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when even this cannot be written.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Ok.into()
    }
}

/// What a request without an answer of its own gives to programs.
#[must_use]
pub fn done() -> Value {
    json!({ "done": true })
}
