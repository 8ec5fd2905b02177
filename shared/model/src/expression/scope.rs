//! Where the names in an expression come from.

use crate::diagnostic::did_you_mean;
use crate::value::Value;

/// Answers what a path stands for.
pub trait Scope {
    /// The value at `path`; an index into a list is a segment of digits.
    fn lookup(&self, path: &[&str]) -> Lookup;
}

/// What a path stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    Found(Value),
    /// A live fact that nobody has reported: every comparison with it is false.
    Unknown,
    /// There can be no such thing; an error.
    Missing {
        help: Option<String>,
    },
}

/// A map, walked member by member.
impl Scope for Value {
    fn lookup(&self, path: &[&str]) -> Lookup {
        let mut value = self;
        for segment in path {
            match value.member(segment) {
                Some(member) => value = member,
                None => {
                    return Lookup::Missing {
                        help: suggestion(value, segment),
                    };
                }
            }
        }
        Lookup::Found(value.clone())
    }
}

impl Value {
    /// The member of a map, or the element of a list that the digits in `segment` count to.
    #[must_use]
    pub fn member(&self, segment: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(segment),
            Self::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// Why `value` has no `segment`, or what may have been meant.
pub(crate) fn suggestion(value: &Value, segment: &str) -> Option<String> {
    match value {
        Value::Map(map) => suggestion_among(segment, map.keys().map(String::as_str)),
        Value::List(items) if segment.parse::<usize>().is_ok() => Some(format!(
            "the list has {} elements, counted from 0",
            items.len()
        )),
        Value::List(_) => Some("this is a list: write `[0]` for its first element".to_owned()),
        other => Some(format!("what comes before `{segment}` is {}", other.kind())),
    }
}

/// The name nearest to `wrong`, or else the names there are.
pub(crate) fn suggestion_among<'a>(
    wrong: &str,
    names: impl Iterator<Item = &'a str>,
) -> Option<String> {
    const SHOWN: usize = 12;
    // Keys may stem from a machine: none may reach a terminal that could do something to it.
    let names: Vec<&str> = names
        .filter(|name| !name.contains(char::is_control))
        .collect();
    if let Some(near) = did_you_mean(wrong, names.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    match names.len() {
        0 => Some("there is nothing here".to_owned()),
        1..=SHOWN => Some(format!("there is: {}", names.join(", "))),
        _ => None,
    }
}
