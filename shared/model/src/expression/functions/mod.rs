//! The functions of expressions, which are the helpers of templates as well.
//!
//! Each is one line in [`FUNCTIONS`] and one function from values to a value. Their errors name
//! arguments by kind, never by content: it might be a secret's.

mod arguments;
mod format;
mod lists;
mod numbers;
mod texts;
mod yaml;

pub(crate) use arguments::{Arguments, FunctionError};

use super::scope::suggestion_among;
use crate::value::Value;

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    /// How it is called: `join(list, separator)`.
    pub usage: &'static str,
    /// What it gives.
    pub doc: &'static str,
    /// Fewest and most arguments.
    pub(crate) arity: (usize, usize),
    /// Whether an unknown fact reaches it, as `null`; otherwise the call is unknown itself.
    pub(crate) takes_null: bool,
    pub(crate) body: fn(Arguments<'_>) -> Result<Value, FunctionError>,
}

/// No upper limit to the arguments.
pub(crate) const ANY: usize = usize::MAX;

/// A table of functions: name, usage, arity, body, documentation.
macro_rules! function_table {
    ($($name:ident $usage:literal, $min:literal..=$max:expr, $body:path, $doc:literal;)*) => {
        &[$($crate::expression::functions::Function {
            name: stringify!($name),
            usage: concat!(stringify!($name), "(", $usage, ")"),
            doc: $doc,
            arity: ($min, $max),
            takes_null: matches!(stringify!($name).as_bytes(), b"default"),
            body: $body,
        }),*]
    };
}
pub(crate) use function_table;

/// Every function, sorted by subject.
#[rustfmt::skip]
static FUNCTIONS: &[Function] = function_table![
    // Anything.
    default "value, fallback", 2..=2, lists::default, "the value, or the fallback where it is null or an unknown fact";
    length "value", 1..=1, lists::length, "how many elements a list, members a map or characters a text has";
    contains "holder, value", 2..=2, lists::contains, "whether a list has the element, a map the key, or a text the part";
    lookup "holder, key, fallback?", 2..=3, lists::lookup, "the member of a map or element of a list; the fallback (or null) where there is none";
    // Lists and maps.
    first "list", 1..=1, lists::first, "the first element; an error if there is none";
    last "list", 1..=1, lists::last, "the last element; an error if there is none";
    join "list, separator?", 1..=2, lists::join, "the elements as one text, with the separator (or `,`) between";
    sort "list", 1..=1, lists::sort, "the elements in ascending order, versions as versions";
    unique "list", 1..=1, lists::unique, "the elements, each only once, in their order";
    keys "map", 1..=1, lists::keys, "the names of a map's members, sorted";
    values "map", 1..=1, lists::values, "a map's members, sorted by name";
    map "list, path", 2..=2, lists::map, "what each element has at the path: map(roles.db, \"patroni.port\")";
    where "list, path, value", 3..=3, lists::filter, "the elements that have the value at the path";
    without "list, value | list, path, value", 2..=3, lists::without, "the elements that are not the value, or that do not have it at the path";
    // Numbers.
    min "list | values…", 1..=ANY, numbers::min, "the least, versions as versions";
    max "list | values…", 1..=ANY, numbers::max, "the greatest, versions as versions";
    int "value", 1..=1, numbers::int, "an integer from a text or a number, cut off towards zero";
    round "number, digits?", 1..=2, numbers::round, "the nearest integer, or the nearest number with so many decimal digits";
    percent "number, share", 2..=2, numbers::percent, "so many hundredths of the number, rounded down: percent(facts.memory.total, 25)";
    // Text.
    string "value", 1..=1, texts::string, "a number or boolean as text";
    concat "values…", 1..=ANY, texts::concat, "the values as one text";
    lower "text", 1..=1, texts::lower, "in lower case";
    upper "text", 1..=1, texts::upper, "in upper case";
    trim "text", 1..=1, texts::trim, "without white space at both ends";
    replace "text, old, new", 3..=3, texts::replace, "with every occurrence of the old part replaced";
    split "text, separator", 2..=2, texts::split, "the list of parts between separators";
    starts_with "text, start", 2..=2, texts::starts_with, "whether the text starts so";
    ends_with "text, end", 2..=2, texts::ends_with, "whether the text ends so";
    // Formats of configuration files.
    json "value, indent?", 1..=2, format::json, "as JSON: on one line, or with so many spaces per level";
    yaml "value", 1..=1, yaml::yaml, "as YAML in block style; see `indent`";
    toml "value", 1..=1, format::toml, "as TOML: a map as a document, anything else as an inline value";
    indent "text, width", 2..=2, format::indent, "with so many spaces before every line but the first";
    quote "value", 1..=1, format::quote, "in double quotes, with quotes, backslashes and control characters escaped as in JSON";
    shell_quote "value", 1..=1, format::shell_quote, "as one word for a POSIX shell";
    base64 "text", 1..=1, format::base64, "in base 64, padded";
];

/// Every function, for documentation.
#[must_use]
pub fn functions() -> &'static [Function] {
    FUNCTIONS
}

/// The function called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// What may have been meant by `name`.
pub(crate) fn suggest(name: &str) -> Option<String> {
    suggestion_among(name, FUNCTIONS.iter().map(|function| function.name))
}

impl Function {
    /// Why so many arguments are not right.
    pub(crate) fn wrong_arity(&self, count: usize) -> Option<String> {
        let (min, max) = self.arity;
        let expected = match () {
            () if (min..=max).contains(&count) => return None,
            () if min == max => format!("{min}"),
            () if max == ANY => format!("at least {min}"),
            () => format!("{min} to {max}"),
        };
        let arguments = if expected == "1" {
            "argument"
        } else {
            "arguments"
        };
        Some(format!(
            "`{}` takes {expected} {arguments}, found {count}",
            self.name
        ))
    }

    /// Calls it; the arity is checked again, for not every caller has a parser before it.
    pub(crate) fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        match self.wrong_arity(arguments.len()) {
            Some(message) => Err(FunctionError {
                argument: None,
                message,
                help: None,
            }),
            None => (self.body)(Arguments(arguments)),
        }
    }
}
