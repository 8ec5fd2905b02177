//! Exit codes: a promise to scripts, never renumbered.

use std::process::ExitCode;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is as wished.
    Ok = 0,
    /// A node failed, a plan has failures, or the state tree has errors.
    Failed = 1,
    /// The command line or the target makes no sense, or names what does not exist.
    Usage = 2,
    /// The server cannot be reached, or does not let us in.
    Unreachable = 3,
    /// The server refused before touching anything: a lease, unreachable nodes, a gate, a
    /// saved plan that is stale.
    Refused = 4,
    /// The run was cancelled, or the question was answered with no.
    Cancelled = 5,
    /// Only with `--detailed-exit-code` of `ctl plan` and `ctl drift`: there are changes.
    Changes = 10,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// All of them with what they mean, as the help shows them.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Ok, "all is as wished"),
        (
            Self::Failed,
            "a node failed, a plan has failures, or the state tree has errors",
        ),
        (
            Self::Usage,
            "the command line or the target makes no sense, or names nothing known",
        ),
        (
            Self::Unreachable,
            "the server cannot be reached, or does not let you in",
        ),
        (
            Self::Refused,
            "refused with nothing touched: a lease, unreachable nodes, a gate, a stale plan",
        ),
        (
            Self::Cancelled,
            "the run was cancelled, or the question answered with no",
        ),
        (
            Self::Changes,
            "with `--detailed-exit-code` (`ctl plan`, `ctl drift`) only: there are changes",
        ),
        (
            Self::Interrupted,
            "interrupted by Ctrl-C; a run that was begun goes on",
        ),
    ];

    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The table at the end of `ctl --help`.
    #[must_use]
    pub fn help() -> String {
        let lines = Self::ALL
            .iter()
            .map(|(exit, text)| format!("\n  {:>3}  {text}", exit.code()));
        format!("Exit codes:{}", lines.collect::<String>())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
