//! Standard input, output and error; or, in tests, what stands in for them.

use std::io::{self, IsTerminal, Write};

use brine_model::time::Timestamp;
use terminal_size::{Width, terminal_size_of};

use super::Color;
use crate::env;
use crate::show::style::Style;

/// Without a terminal, or on a very wide one: still a comfortable line.
const WIDTH: u16 = 100;

#[derive(Debug)]
pub(super) enum Terminal {
    Real {
        input: bool,
        out: bool,
        err: bool,
    },
    #[cfg(test)]
    Captured(std::cell::RefCell<Captured>),
}

#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Captured {
    out: String,
    err: String,
    answers: std::collections::VecDeque<String>,
}

impl Terminal {
    pub(super) fn real() -> Self {
        Self::Real {
            input: io::stdin().is_terminal(),
            out: io::stdout().is_terminal(),
            err: io::stderr().is_terminal(),
        }
    }

    /// Of standard output and standard error.
    pub(super) fn styles(&self, color: Color) -> (Style, Style) {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os(env::TERM).is_some_and(|term| term == "dumb");
        let style = |terminal: bool, width: Option<Width>| Style {
            color: match color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => terminal && !dumb && !set(env::NO_COLOR),
            },
            width: width
                .map_or(WIDTH, |Width(width)| width)
                .clamp(40, WIDTH)
                .into(),
            now: now(),
        };
        let width = |size: Option<(Width, _)>| size.map(|(width, _)| width);
        (
            style(
                self.out_is_terminal(),
                width(terminal_size_of(io::stdout())),
            ),
            style(
                self.err_is_terminal(),
                width(terminal_size_of(io::stderr())),
            ),
        )
    }

    pub(super) fn out(&self, text: &str) -> io::Result<()> {
        match self {
            Self::Real { .. } => {
                let mut out = io::stdout().lock();
                match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    // `ctl … | head` has seen enough; what we do must still come to its end.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    result => result,
                }
            }
            #[cfg(test)]
            Self::Captured(captured) => {
                captured.borrow_mut().out.push_str(text);
                Ok(())
            }
        }
    }

    /// A note that cannot be written is lost: there is no better place to say so.
    pub(super) fn err(&self, text: &str) {
        match self {
            Self::Real { .. } => {
                let mut err = io::stderr().lock();
                let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
            }
            #[cfg(test)]
            Self::Captured(captured) => captured.borrow_mut().err.push_str(text),
        }
    }

    pub(super) fn out_is_terminal(&self) -> bool {
        matches!(self, Self::Real { out: true, .. })
    }

    pub(super) fn err_is_terminal(&self) -> bool {
        matches!(self, Self::Real { err: true, .. })
    }

    /// A question must be seen as well as answered.
    pub(super) fn can_ask(&self) -> bool {
        match self {
            Self::Real { input, err, .. } => *input && *err,
            #[cfg(test)]
            Self::Captured(captured) => !captured.borrow().answers.is_empty(),
        }
    }

    pub(super) async fn answer(&self) -> String {
        match self {
            Self::Real { .. } => {
                // On a thread of its own: meanwhile the connection must be kept alive. It is left
                // behind where the answer no longer matters; the program then ends anyway.
                let read = tokio::task::spawn_blocking(|| {
                    let mut line = String::new();
                    io::stdin().read_line(&mut line).map(|_| line)
                });
                read.await.ok().and_then(Result::ok).unwrap_or_default()
            }
            #[cfg(test)]
            Self::Captured(captured) => captured
                .borrow_mut()
                .answers
                .pop_front()
                .unwrap_or_default(),
        }
    }

    pub(super) async fn interrupted(&self) {
        if matches!(self, Self::Real { .. }) && tokio::signal::ctrl_c().await.is_ok() {
            return;
        }
        std::future::pending::<()>().await;
    }

    #[cfg(test)]
    pub(super) fn captured(answers: &[&str]) -> Self {
        let answers = answers.iter().map(|&answer| answer.to_owned()).collect();
        Self::Captured(
            Captured {
                answers,
                ..Captured::default()
            }
            .into(),
        )
    }

    #[cfg(test)]
    pub(super) fn written(&self) -> (String, String) {
        match self {
            Self::Real { .. } => Default::default(),
            Self::Captured(captured) => {
                let captured = captured.borrow();
                (captured.out.clone(), captured.err.clone())
            }
        }
    }
}

fn now() -> Timestamp {
    i64::try_from(jiff::Timestamp::now().as_nanosecond())
        .map_or_else(|_| Timestamp::default(), Timestamp)
}
