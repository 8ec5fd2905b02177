//! What goes wrong on the way, and what of it was recorded so far.

use std::cell::RefCell;
use std::fmt::Display;

use serde::de;

use super::Error;
use crate::diagnostic::did_you_mean;
use crate::span::{Span, Spanned};

/// What serde's error type is in here: place and culprit are filled in on the way out.
#[derive(Debug)]
pub(super) struct Failure {
    span: Option<Span>,
    message: String,
    help: Option<String>,
    /// The key that the failure says is missing.
    missing: Option<&'static str>,
    /// The innermost value that did not fit.
    culprit: Option<*const Spanned>,
    /// Follows from something already recorded.
    consequence: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            span: None,
            message: message.into(),
            help: None,
            missing: None,
            culprit: None,
            consequence: false,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    pub(super) fn blaming(mut self, value: &Spanned) -> Self {
        self.culprit.get_or_insert(std::ptr::from_ref(value));
        self
    }

    /// The key that is missing in the very map that the failure came out of.
    pub(super) fn missing_here(&self) -> Option<&'static str> {
        self.missing.filter(|_| self.culprit.is_none())
    }

    pub(super) fn into_consequence(mut self) -> Self {
        self.consequence = true;
        self
    }

    pub(super) fn is_consequence(&self) -> bool {
        self.consequence
    }

    pub(super) fn into_error(self, fallback: Span) -> Error {
        Error {
            span: self.span.unwrap_or(fallback),
            message: self.message,
            help: self.help,
            also: Vec::new(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {length} elements"))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        unknown("key", found, known)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        unknown("value", found, known)
    }

    fn missing_field(key: &'static str) -> Self {
        Self {
            missing: Some(key),
            ..Self::new(format!("missing key `{key}`"))
        }
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::new(format!("`{key}` is given twice"))
    }
}

pub(super) fn unknown(what: &str, found: &str, known: &[&str]) -> Failure {
    let failure = Failure::new(format!("unknown {what} `{found}`"));
    match did_you_mean(found, known.iter().copied()) {
        Some(near) => failure.with_help(format!("did you mean `{near}`?")),
        None if known.is_empty() => failure,
        None => {
            let listed = known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>();
            failure.with_help(format!("known here: {}", listed.join(", ")))
        }
    }
}

/// What one call of [`super::from_spanned`] has found so far.
#[derive(Default)]
pub(super) struct Context {
    errors: RefCell<Vec<Error>>,
    /// Values already recorded as not fitting: skipped from then on. Only compared, never read.
    aside: RefCell<Vec<*const Spanned>>,
    /// Keys that a misspelt one in the same map stands for: not reported missing on top.
    meant: RefCell<Vec<(*const Spanned, String)>>,
}

impl Context {
    pub(super) fn is_clean(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    pub(super) fn recorded(&self) -> usize {
        self.errors.borrow().len()
    }

    pub(super) fn record(&self, error: Error) {
        self.errors.borrow_mut().push(error);
    }

    pub(super) fn into_errors(self) -> Vec<Error> {
        self.errors.into_inner()
    }

    /// Whether there is a part to leave out, so that trying again gets further.
    pub(super) fn set_aside(&self, failure: &Failure) -> bool {
        match failure.culprit {
            Some(culprit) if !self.aside.borrow().contains(&culprit) => {
                self.aside.borrow_mut().push(culprit);
                true
            }
            _ => false,
        }
    }

    pub(super) fn leave_out(&self, value: &Spanned) {
        self.aside.borrow_mut().push(std::ptr::from_ref(value));
    }

    /// The misspelt key `wrong` of `map` stands for `key`.
    pub(super) fn note_meant(&self, map: &Spanned, key: &str) {
        self.meant
            .borrow_mut()
            .push((std::ptr::from_ref(map), key.to_owned()));
    }

    pub(super) fn was_meant(&self, map: &Spanned, key: &str) -> bool {
        let meant = self.meant.borrow();
        meant
            .iter()
            .any(|(other, meant)| std::ptr::eq(*other, map) && meant == key)
    }

    pub(super) fn is_aside(&self, value: &Spanned) -> bool {
        self.aside.borrow().contains(&std::ptr::from_ref(value))
    }
}
