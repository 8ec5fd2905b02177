//! Filters by name: `…-include` and `…-exclude`, of which one may be given.

use regex_lite::{Regex, RegexBuilder};

use crate::options::{Invalid, Options};
use crate::remembered::Remembered;

/// Which names count. Most of them are asked about at each scrape and matched once, so that a small engine will do.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    include: Option<Regex>,
    exclude: Option<Regex>,
    takes: Remembered<bool>,
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
            takes: Remembered::default(),
        })
    }

    /// Out of one option that says what does not count.
    pub(crate) fn excluding(options: &Options, option: &str) -> Result<Self, Invalid> {
        Ok(Self {
            exclude: compile(options, option, options.text(option))?,
            ..Self::default()
        })
    }

    /// Out of two options whose expressions are for the whole name.
    pub(crate) fn whole(options: &Options, include: &str, exclude: &str) -> Result<Self, Invalid> {
        let whole = |option| {
            let expression = format!("^(?:{})$", options.text(option));
            compile(options, option, &expression)
        };
        Ok(Self {
            include: whole(include)?,
            exclude: whole(exclude)?,
            takes: Remembered::default(),
        })
    }

    /// Out of one option that says what counts; none where it says nothing.
    pub(crate) fn including(options: &Options, option: &str) -> Result<Option<Self>, Invalid> {
        let include = compile(options, option, options.text(option))?;
        Ok(include.map(|include| Self {
            include: Some(include),
            ..Self::default()
        }))
    }

    pub(crate) fn takes(&self, name: &str) -> bool {
        if self.include.is_none() && self.exclude.is_none() {
            return true;
        }
        let takes = |name: &str| {
            let include = self.include.as_ref();
            let exclude = self.exclude.as_ref();
            include.is_none_or(|include| include.is_match(name))
                && !exclude.is_some_and(|exclude| exclude.is_match(name))
        };
        *self.takes.recall().of(name, takes)
    }
}

/// One expression; none for an empty one. The engine knows classes of ASCII only, which are those of RE2, for which the
/// options were written.
pub(crate) fn compile(
    options: &Options,
    option: &str,
    expression: &str,
) -> Result<Option<Regex>, Invalid> {
    if expression.is_empty() {
        return Ok(None);
    }
    RegexBuilder::new(expression)
        .size_limit(1 << 20)
        .build()
        .map(Some)
        .map_err(|error| options.invalid(option, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Definition, Opt, Value};

    static SOME: Definition = Definition {
        name: "some",
        enabled: true,
        options: &[
            Opt {
                name: "include",
                help: "",
                default: Value::Text(""),
            },
            Opt {
                name: "exclude",
                help: "",
                default: Value::Text("^lo$"),
            },
        ],
        new: |_| Ok(Box::new(|_: &_, _: &mut _| Ok(()))),
    };

    #[test]
    fn names_are_taken_each_time_as_the_first_time() {
        let mut options = Options::of(&SOME);
        let filter = Filter::new(&options, "include", "exclude").unwrap();
        for _ in 0..2 {
            let taken = ["lo", "eth0", "lo0", "", "lo"].map(|name| filter.takes(name));
            assert_eq!(taken, [false, true, true, true, false]);
        }
        options.set("include", "o");
        let filter = Filter::new(&options, "include", "exclude").unwrap();
        assert!(filter.takes("lo") && !filter.takes("eth0"));
        let filter = Filter::whole(&options, "include", "exclude").unwrap();
        assert!(filter.takes("o") && !filter.takes("lo"));
        let filter = Filter::excluding(&options, "exclude").unwrap();
        assert!(!filter.takes("lo") && filter.takes("eth0"));
        let filter = Filter::including(&options, "include").unwrap().unwrap();
        assert!(filter.takes("lo") && !filter.takes("eth0"));
        options.set("exclude", "x");
        assert!(Filter::new(&options, "include", "exclude").is_err());
    }

    #[test]
    fn expressions_are_those_of_re2_without_classes_of_unicode() {
        let options = Options::of(&SOME);
        let matches = |expression: &str, name: &str| {
            let compiled = compile(&options, "include", expression).unwrap();
            compiled.unwrap().is_match(name)
        };
        for (expression, yes, no) in [
            (r"^nvme\d+n\d+p\d+$", "nvme0n1p2", "nvme0n1"),
            ("^[[:alpha:]]+$", "eth", "eth0"),
            ("^[^[:space:]/]{2,3}$", "abc", "a/c"),
            (r"\bdocker[\w-]*", "x docker-1", "xdocker"),
            ("(?i)^ETH", "eth0", "veth0"),
            ("^(?:a|b(c)?)*$", "abcb", "abd"),
            ("^.$", "\u{e9}", "ab"),
        ] {
            assert!(matches(expression, yes), "{expression}: {yes}");
            assert!(!matches(expression, no), "{expression}: {no}");
        }
        for expression in ["(", "a{2000}{2000}", "[b-a]", "*"] {
            assert!(compile(&options, "include", expression).is_err());
        }
    }
}
