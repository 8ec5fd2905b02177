//! What was said of a collector: its own options, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::collector::{Definition, Value};

/// The options of one collector.
#[derive(Debug, Clone)]
pub struct Options {
    definition: &'static Definition,
    /// Mostly one, the last of which counts; some options may be given again and again.
    given: BTreeMap<String, Vec<String>>,
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
        let given = self.given.entry(option.to_owned()).or_default();
        given.push(value.into());
    }

    /// The option's text: what was given, or the default.
    #[must_use]
    pub fn text(&self, option: &str) -> &str {
        if let Some(given) = self.last(option) {
            return given;
        }
        match self.default(option) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// All that was given, of an option that may be given again and again.
    #[must_use]
    pub fn texts(&self, option: &str) -> &[String] {
        self.given.get(option).map_or(&[], Vec::as_slice)
    }

    #[must_use]
    pub fn switch(&self, option: &str) -> bool {
        match (self.last(option), self.default(option)) {
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

    fn last(&self, option: &str) -> Option<&String> {
        self.given.get(option)?.last()
    }

    fn default(&self, option: &str) -> Option<Value> {
        let mut options = self.definition.options.iter();
        options
            .find(|known| known.name == option)
            .map(|known| known.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Opt;

    static DEFINITION: Definition = Definition {
        name: "some",
        enabled: true,
        options: &[
            Opt {
                name: "word",
                help: "",
                default: Value::Text("usual"),
            },
            Opt {
                name: "switch",
                help: "",
                default: Value::Switch(true),
            },
        ],
        new: |_| Ok(Box::new(|_: &_, _: &mut _| Ok(()))),
    };

    #[test]
    fn the_last_counts_where_all_do_not() {
        let mut options = Options::of(&DEFINITION);
        assert_eq!(options.text("word"), "usual");
        assert!(options.texts("word").is_empty());
        assert!(options.switch("switch"));
        options.set("word", "one");
        options.set("word", "two");
        options.set("switch", "false");
        assert_eq!(options.text("word"), "two");
        assert_eq!(options.texts("word"), ["one", "two"]);
        assert!(!options.switch("switch"));
        assert_eq!(options.flag("word"), "--collector.some.word");
    }
}
