//! Filters by name: `…-include` and `…-exclude`, of which one may be given.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

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

/// An expression that is asked about the same names at each scrape: what it said is remembered.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// None takes all.
    pattern: Option<Regex>,
    known: Mutex<HashMap<String, bool>>,
}

/// A kernel has some hundreds; more is not remembered.
const NAMES: usize = 4096;

impl Remembered {
    pub(crate) fn new(pattern: Option<Regex>) -> Self {
        Self {
            pattern,
            known: Mutex::default(),
        }
    }

    /// What of these is wanted: the function says it of each name.
    pub(crate) fn ask<T>(&self, body: impl FnOnce(&mut dyn FnMut(&str) -> bool) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        body(&mut |name| {
            let Some(pattern) = &self.pattern else {
                return true;
            };
            if let Some(said) = known.get(name) {
                return *said;
            }
            let said = pattern.is_match(name.as_bytes());
            if known.len() < NAMES {
                known.insert(name.to_owned(), said);
            }
            said
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_said() {
        let remembered = Remembered::new(Some(Regex::new("^a").unwrap()));
        for _ in 0..2 {
            assert!(remembered.ask(|wants| wants("ab") && !wants("ba")));
        }
        assert_eq!(remembered.known.lock().unwrap().len(), 2);
        assert!(Remembered::new(None).ask(|wants| wants("ba")));
    }
}
