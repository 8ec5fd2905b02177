//! What can be told about a template from a context, without rendering it.

use std::collections::BTreeSet;

use super::TemplateError;
use super::analyse::{Abstract, Purpose, analyse};
use super::scope::Meaning;
use super::syntax::{Node, Term};
use crate::value::Value;

pub(super) struct Findings {
    pub(super) errors: Vec<TemplateError>,
    pub(super) sensitive: bool,
}

/// Checks `nodes` against what `context` has.
pub(super) fn check(nodes: &[Node], context: &Value) -> Findings {
    let mut findings = Findings {
        errors: Vec::new(),
        sensitive: false,
    };
    let root = Shape {
        candidates: vec![context],
        open: false,
    };
    analyse(
        nodes,
        root,
        &mut |term: &Term, purpose, resolved| match resolved {
            Err(unresolved) => {
                let range = term.range.clone();
                let message = unresolved.message.clone();
                findings.errors.push(TemplateError {
                    range,
                    message,
                    help: unresolved.help.clone(),
                });
            }
            Ok(shape) => {
                findings.errors.extend(unfit(term, purpose, shape));
                if matches!(purpose, Purpose::Output | Purpose::Argument) {
                    let found = &mut findings.sensitive;
                    shape
                        .candidates
                        .iter()
                        .for_each(|value| value.secrets(&mut |_| *found = true));
                }
            }
        },
    );
    findings
}

/// The paths that `nodes` name.
pub(super) fn mentions(nodes: &[Node]) -> Vec<Vec<String>> {
    let mut paths = BTreeSet::new();
    analyse(nodes, Origin(Some(Vec::new())), &mut |_, _, resolved| {
        if let Ok(Origin(Some(path))) = resolved {
            paths.insert(path.clone());
        }
    });
    paths.into_iter().collect()
}

/// Why a value can never be what it is wanted for.
fn unfit(term: &Term, purpose: Purpose, shape: &Shape<'_>) -> Option<TemplateError> {
    let fits = |value: &Value| match purpose {
        Purpose::Output => value.to_text().is_some() || matches!(value, Value::Secret(_)),
        Purpose::Each => matches!(value, Value::List(_) | Value::Map(_)),
        Purpose::Argument | Purpose::Condition | Purpose::With => true,
    };
    let first = shape.candidates.first().filter(|_| !shape.open)?;
    if shape
        .candidates
        .iter()
        .any(|value| *value == &Value::Null || fits(value))
    {
        return None;
    }
    Some(cannot_be(term, purpose, first))
}

/// The error about a value that is not what it is wanted for; also told while rendering.
pub(super) fn cannot_be(term: &Term, purpose: Purpose, value: &Value) -> TemplateError {
    if purpose == Purpose::Each {
        let message = format!("`each` needs a list or a map, found {}", value.kind());
        return TemplateError::new(term.range.clone(), message);
    }
    let help = match value {
        Value::Null => "give it a value, write `{{default … \"…\"}}`, or ask `{{#if …}}` first",
        Value::List(_) => "write `{{join …}}` or `{{json …}}`, or walk it with `{{#each …}}`",
        Value::Map(_) => "name one of its members, or write `{{json …}}`",
        _ => "a blob is only a file's content",
    };
    TemplateError::new(term.range.clone(), format!("{} has no text", value.kind())).with_help(help)
}

/// The values that a name may stand for.
#[derive(Clone)]
struct Shape<'a> {
    candidates: Vec<&'a Value>,
    /// Whether it may be something else altogether.
    open: bool,
}

impl Meaning for Shape<'_> {
    fn member(&self, name: &str) -> Option<Self> {
        let candidates: Vec<_> = self
            .candidates
            .iter()
            .filter_map(|value| value.member(name))
            .collect();
        // What is null now may be a map another time, and a list may be longer.
        let open = self.open
            || self.candidates.iter().any(|value| match value {
                Value::Null => true,
                Value::List(_) => value.member(name).is_none() && name.parse::<usize>().is_ok(),
                _ => false,
            });
        (open || !candidates.is_empty()).then_some(Self { candidates, open })
    }

    fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for value in &self.candidates {
            if let Value::Map(map) = value {
                names.extend(map.keys().cloned());
            }
        }
        names.into_iter().collect()
    }
}

impl Abstract for Shape<'_> {
    fn anything() -> Self {
        Self {
            candidates: Vec::new(),
            open: true,
        }
    }

    fn element(&self) -> Self {
        let mut candidates = Vec::new();
        for value in &self.candidates {
            match value {
                Value::List(items) => candidates.extend(items),
                Value::Map(map) => candidates.extend(map.values()),
                _ => {}
            }
        }
        let open = self.open || candidates.is_empty();
        Self { candidates, open }
    }

    fn can_be_map(&self) -> bool {
        let map = |value: &&Value| matches!(value, Value::Map(_) | Value::Null);
        self.open || self.candidates.iter().any(map)
    }
}

/// Where a value comes from; `None` if from no one place.
#[derive(Clone)]
struct Origin(Option<Vec<String>>);

impl Meaning for Origin {
    fn member(&self, name: &str) -> Option<Self> {
        let extend = |path: &Vec<String>| [path.as_slice(), &[name.to_owned()]].concat();
        Some(Self(self.0.as_ref().map(extend)))
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Abstract for Origin {
    fn anything() -> Self {
        Self(None)
    }

    fn element(&self) -> Self {
        self.member("*").unwrap_or(Self(None))
    }

    fn can_be_map(&self) -> bool {
        true
    }
}
