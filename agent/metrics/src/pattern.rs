//! Filters by name: `…-include` and `…-exclude`, of which one may be given.

use regex::bytes::{Regex, RegexBuilder};

use crate::options::{Invalid, Options};

/// Which names count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl Filter {
    /// Out of the two options, of which an empty one says nothing.
    pub(crate) fn new(options: &Options, include: &str, exclude: &str) -> Result<Self, Invalid> {
        let (given, default) = (options.text(include), options.text(exclude));
        if !given.is_empty() && options.is_given(exclude) && !default.is_empty() {
            let why = format!("it cannot be given together with {}", options.flag(exclude));
            return Err(options.invalid(include, why));
        }
        // Who says what is in does not want the usual exceptions.
        let exception = if given.is_empty() { default } else { "" };
        Ok(Self {
            include: compile(options, include, given)?,
            exclude: compile(options, exclude, exception)?,
        })
    }

    pub(crate) fn takes(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.include
            .as_ref()
            .is_none_or(|include| include.is_match(name))
            && !self
                .exclude
                .as_ref()
                .is_some_and(|exclude| exclude.is_match(name))
    }
}

/// One expression; none for an empty one.
pub(crate) fn compile(
    options: &Options,
    option: &str,
    expression: &str,
) -> Result<Option<Regex>, Invalid> {
    if expression.is_empty() {
        return Ok(None);
    }
    // Classes are of ASCII, as in RE2, which the options were written for.
    RegexBuilder::new(expression)
        .unicode(false)
        .size_limit(1 << 20)
        .build()
        .map(Some)
        .map_err(|error| options.invalid(option, error.to_string()))
}
