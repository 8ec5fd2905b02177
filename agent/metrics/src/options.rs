//! What was said of a collector: its own options, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::collector::{Definition, Value};

/// The options of one collector.
#[derive(Debug, Clone)]
pub struct Options {
    definition: &'static Definition,
    given: BTreeMap<String, String>,
}

/// An option that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {why}")]
pub struct Invalid {
    pub flag: String,
    pub why: String,
}

impl Options {
    /// Nothing was said.
    #[must_use]
    pub fn of(definition: &'static Definition) -> Self {
        Self {
            definition,
            given: BTreeMap::new(),
        }
    }

    /// Says something of an option; switches are `true` or `false`.
    pub fn set(&mut self, option: &str, value: impl Into<String>) {
        self.given.insert(option.to_owned(), value.into());
    }

    /// The option's text: what was given, or the default.
    #[must_use]
    pub fn text(&self, option: &str) -> &str {
        if let Some(given) = self.given.get(option) {
            return given;
        }
        match self.default(option) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    #[must_use]
    pub fn switch(&self, option: &str) -> bool {
        match (self.given.get(option), self.default(option)) {
            (Some(given), _) => given == "true",
            (None, Some(Value::Switch(on))) => on,
            _ => false,
        }
    }

    /// Seconds, or a number with `ms`, `s`, `m` or `h` behind it.
    ///
    /// # Errors
    /// It is none of them.
    pub fn duration(&self, option: &str) -> Result<Duration, Invalid> {
        let text = self.text(option);
        let end = text
            .find(|letter: char| letter.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let unit = match &text[end..] {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => f64::NAN,
        };
        let seconds = text[..end].parse::<f64>().unwrap_or(f64::NAN) * unit;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| self.invalid(option, format!("`{text}` is no duration: 500ms, 2s, 1m")))
    }

    #[must_use]
    pub fn is_given(&self, option: &str) -> bool {
        self.given.contains_key(option)
    }

    /// As it stands on a command line.
    #[must_use]
    pub fn flag(&self, option: &str) -> String {
        format!("--collector.{}.{option}", self.definition.name)
    }

    #[must_use]
    pub fn invalid(&self, option: &str, why: impl Into<String>) -> Invalid {
        Invalid {
            flag: self.flag(option),
            why: why.into(),
        }
    }

    fn default(&self, option: &str) -> Option<Value> {
        let mut options = self.definition.options.iter();
        options
            .find(|known| known.name == option)
            .map(|known| known.default)
    }
}
