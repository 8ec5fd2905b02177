//! Fills plain derived structs from [`Spanned`] values, and says where what does not fit was
//! written.
//!
//! Derive `Deserialize` with `deny_unknown_fields` and call [`from_spanned`]. A `String` takes a
//! plain scalar by its source text (`mode: 0644` is `"0644"`), numbers and booleans resolve it, and
//! `#[serde(try_from = "String")]` newtypes validate under a caret. Avoid `flatten` and `untagged`:
//! serde buffers their content, which loses spans. Values that serde does not know come through
//! [`BlobField`], [`SecretField`], [`TextOrSecret`] and [`ValueField`].

mod access;
mod catalog;
mod failure;
mod field;
mod number;
mod shape;
mod source;

use std::fmt;

use serde::de::DeserializeOwned;

use crate::span::{Span, Spanned};

pub use catalog::settle;
pub use field::{BlobField, Located, OneOrMany, SecretField, TextOrSecret, ValueField};
pub use shape::Shape;

/// What does not fit, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub span: Span,
    pub message: String,
    pub help: Option<String>,
    /// Further things that do not fit in the same value, by place.
    pub also: Vec<Error>,
}

impl Error {
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
            also: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// All of them, one by one.
    #[must_use]
    pub fn into_all(mut self) -> Vec<Self> {
        let also = std::mem::take(&mut self.also);
        std::iter::once(self)
            .chain(also.into_iter().flat_map(Self::into_all))
            .collect()
    }

    /// Puts several into one; none if there is none.
    #[must_use]
    pub fn from_all(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.also.extend(errors);
        Some(first)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// More than anyone reads at once.
const MOST_ERRORS: usize = 50;

/// Fills `T` from `value`.
///
/// # Errors
/// The value does not fit. Not the first misfit only: a part that does not fit is set aside and
/// the rest is tried again, so that [`Error::also`] has what else there is to mend.
pub fn from_spanned<T: DeserializeOwned>(value: &Spanned) -> Result<T, Error> {
    let context = failure::Context::default();
    loop {
        let failure = match T::deserialize(source::Source::new(value, &context)) {
            Ok(filled) if context.is_clean() => return Ok(filled),
            Ok(_) => break,
            Err(failure) => failure,
        };
        let tried_again = context.set_aside(&failure);
        if !failure.is_consequence() {
            context.record(failure.into_error(value.span));
        }
        if !tried_again || context.recorded() >= MOST_ERRORS {
            break;
        }
    }
    let mut errors = context.into_errors();
    errors.sort_by_key(|error| error.span);
    Err(Error::from_all(errors).unwrap_or_else(|| Error::new(value.span, "the value does not fit")))
}

#[cfg(test)]
mod tests;
