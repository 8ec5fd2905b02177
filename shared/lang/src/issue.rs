//! Findings on their way to the report.

use brine_model::deserialize;
use brine_model::diagnostic::{Diagnostic, Severity};
use brine_model::span::Span;

use crate::source::Sources;

/// A diagnostic whose places are still spans.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Issue {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    /// The first is the place itself.
    pub(crate) places: Vec<(Span, String)>,
    pub(crate) help: Option<String>,
}

impl Issue {
    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            places: vec![(span, String::new())],
            ..Self::unplaced(message)
        }
    }

    pub(crate) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// About something that no file has.
    pub(crate) fn unplaced(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            places: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn with_optional_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(crate) fn with_place(mut self, span: Span, message: impl Into<String>) -> Self {
        self.places.push((span, message.into()));
        self
    }

    /// One for each thing that did not fit.
    pub(crate) fn from_misfits(error: deserialize::Error) -> impl Iterator<Item = Self> {
        error
            .into_all()
            .into_iter()
            .map(|error| Self::error(error.span, error.message).with_optional_help(error.help))
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(crate) fn into_diagnostic(self, sources: &Sources) -> Diagnostic {
        let labels = self
            .places
            .into_iter()
            .map(|(span, text)| sources.label(span, text));
        Diagnostic {
            severity: self.severity,
            message: self.message,
            labels: labels.collect(),
            help: self.help,
        }
    }
}

/// What something wrong in a file spoils, in the words of the tree; which nodes these are is
/// known once there is a fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    All,
    /// Nodes that have the formula, and those that read what it exports.
    Formula(String),
    Role(String),
    Env(String),
    Node(String),
}
