//! Saying no: what, why, and what to do.

use std::error::Error;

use brine_model::diagnostic::Diagnostic;
use brine_wire::operator::{OperatorReply, Refusal, Why};

use crate::compile::CompileError;
use crate::context::MintError;
use crate::runs::StartError;
use crate::secrets::SecretsError;
use crate::store::StoreError;

/// Why a request is not granted.
#[derive(Debug)]
pub(super) enum Refused {
    With(Refusal),
    Invalid(Vec<Diagnostic>),
}

impl Refused {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::why(Why::BadRequest, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::why(Why::NotFound, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::why(Why::Conflict, message)
    }

    fn why(why: Why, message: impl Into<String>) -> Self {
        Self::With(Refusal {
            why,
            message: message.into(),
            help: None,
        })
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        if let Self::With(refusal) = &mut self {
            refusal.help = Some(help.into());
        }
        self
    }

    pub(super) fn into_reply(self) -> OperatorReply {
        match self {
            Self::With(refusal) => OperatorReply::Refused(refusal),
            Self::Invalid(diagnostics) => OperatorReply::Invalid(diagnostics),
        }
    }

    /// The server's own trouble, with all its causes.
    fn internal(error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        tracing::error!(message, "a request failed");
        Self::why(Why::Internal, message)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::internal(&error).help("see the server's log and its disk")
    }
}

impl From<SecretsError> for Refused {
    fn from(error: SecretsError) -> Self {
        Self::internal(&error)
    }
}

impl From<MintError> for Refused {
    fn from(error: MintError) -> Self {
        Self::internal(&error).help("check `addresses` in /etc/brine/server.yaml")
    }
}

impl From<CompileError> for Refused {
    fn from(error: CompileError) -> Self {
        let help = match &error {
            CompileError::Load(_) => "check `states` in /etc/brine/server.yaml",
            _ => "see the server's log",
        };
        Self::internal(&error).help(help)
    }
}

impl From<StartError> for Refused {
    fn from(error: StartError) -> Self {
        let message = error.to_string();
        match error {
            StartError::Target(diagnostic) => {
                let refused = Self::bad(diagnostic.message.clone());
                match diagnostic.help {
                    Some(help) => refused.help(help),
                    None => refused,
                }
            }
            StartError::Invalid(diagnostics) => Self::Invalid(diagnostics),
            StartError::Unreachable(_) => Self::conflict(message)
                .help("start their agents, or go on without: --skip-unreachable"),
            StartError::Action(_) => Self::bad(message)
                .help("formulas list their actions; built in: service.restart, reboot, exec"),
            StartError::Resume(_) => Self::conflict(message).help("see `ctl runs list`"),
            StartError::Held { run, .. } => Self::conflict(message).help(format!(
                "wait for it with --wait, or see `ctl runs show {run}`"
            )),
            StartError::Store(error) => error.into(),
        }
    }
}
