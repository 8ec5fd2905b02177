//! Everything that ends a call early: what, where, why, what to do, and the exit code.

use brine_model::diagnostic::Diagnostic;
use brine_wire::job::RunId;
use brine_wire::operator::{Refusal, Why};

use crate::client::ClientError;
use crate::exit::Exit;
use crate::saved::SavedError;
use crate::settings::SettingsError;
use crate::tree::TreeError;

#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Saved(#[from] SavedError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// Drawn with its places, not as one line.
    #[error("the state tree does not compile for the nodes concerned")]
    Invalid(Vec<Diagnostic>),
    #[error("lost the server while following run {run}; the run goes on")]
    Lost { run: RunId, source: ClientError },
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] std::io::Error),
}

/// The command line makes no sense; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("the target is empty; that never means all nodes")]
    EmptyTarget { verb: &'static str },
    #[error("the target is several words: `{joined}`")]
    ManyWords { verb: &'static str, joined: String },
    #[error("cannot ask for a yes: {why}")]
    CannotAsk { why: &'static str, instead: String },
    #[error("nothing to set on node `{node}`")]
    NothingToSet { node: String },
    #[error("label `{0}` is both set and removed")]
    LabelTwice(String),
    #[error("{problem}")]
    Action { problem: String, instead: String },
    #[error("{message}")]
    Target {
        message: String,
        help: Option<String>,
    },
    #[error("no apply has stopped half-way")]
    NothingStopped,
    #[error("there is no audit `{0}`")]
    NoAudit(String),
    #[error("the audit wants other values: `ctl audit {0}`")]
    AuditValues(String),
}

impl UsageError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::EmptyTarget { verb } => format!("for every node: `ctl {verb} all`"),
            Self::ManyWords { verb, joined } => format!("quote it: `ctl {verb} '{joined}'`"),
            Self::CannotAsk { instead, .. } | Self::Action { instead, .. } => instead.clone(),
            Self::NothingToSet { .. } => "give --role, --label, --unlabel or --address".to_owned(),
            Self::LabelTwice(_) => "keep one of --label and --unlabel".to_owned(),
            Self::Target { help, .. } => return help.clone(),
            Self::NoAudit(_) => "`ctl audit` lists them".to_owned(),
            Self::AuditValues(_) => "`ctl audit` lists what each asks for".to_owned(),
            Self::NothingStopped => {
                "see `ctl runs list`; another is named: `ctl apply --resume RUN`".to_owned()
            }
        })
    }
}

impl CtlError {
    /// What the program ends with.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Tree(_) => Exit::Usage,
            Self::Saved(SavedError::Unfit(_) | SavedError::Write { .. }) => Exit::Failed,
            Self::Saved(_) => Exit::Usage,
            Self::Settings(_) | Self::Client(_) | Self::Lost { .. } => Exit::Unreachable,
            Self::Refused(refusal) => match refusal.why {
                Why::BadRequest | Why::NotFound => Exit::Usage,
                Why::Conflict => Exit::Refused,
                Why::Forbidden => Exit::Unreachable,
                Why::Internal => Exit::Failed,
            },
            Self::Invalid(_) | Self::Output(_) | Self::Runtime(_) => Exit::Failed,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage(error) => error.hint(),
            Self::Saved(error) => Some(error.hint()),
            Self::Settings(error) => Some(error.hint()),
            Self::Tree(error) => error.hint(),
            Self::Client(error) => error.hint(),
            Self::Refused(refusal) => refusal.help.clone(),
            Self::Lost { run, .. } => Some(format!("see where it stands: `ctl runs watch {run}`")),
            Self::Invalid(_) => {
                Some("mend the state tree; `ctl check` tells the same offline".to_owned())
            }
            Self::Output(_) | Self::Runtime(_) => None,
        }
    }

    /// The reasons behind it, outermost first, without what the message itself says.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        causes
    }
}
