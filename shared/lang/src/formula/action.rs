//! What can be done to a node beyond making it match: a formula's `actions:`.

use brine_model::deserialize::{Located, Shape, from_spanned};
use brine_model::span::{Key, Span, Spanned};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dynamic::{Dynamic, Mention};
use crate::issue::Issue;
use crate::source::Sources;

#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) span: Span,
    pub(crate) description: String,
    pub(crate) what: What,
    /// The member does not serve after it, and is not meant to.
    pub(crate) leaves: bool,
}

#[derive(Debug)]
pub(crate) enum What {
    /// An action of a resource's kind: `do: patroni_member:db01`, `verb: restart`.
    Act {
        resource: Dynamic,
        verb: Located<String>,
    },
    /// A program, as a list of arguments.
    Run(Dynamic),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    description: String,
    #[serde(default, rename = "do")]
    _do: Option<IgnoredAny>,
    #[serde(default)]
    leaves: bool,
    #[serde(default)]
    verb: Option<Located<String>>,
    #[serde(default, rename = "run")]
    _run: Option<IgnoredAny>,
}

impl Action {
    /// What is written for one.
    pub(crate) fn shape() -> Shape {
        Shape::of::<Written>()
    }

    pub(crate) fn parse(
        key: &Key,
        value: &Spanned,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Option<Self> {
        let written = match from_spanned::<Written>(value) {
            Ok(written) => written,
            Err(error) => {
                issues.extend(Issue::from_misfits(error));
                return None;
            }
        };
        let mut dynamic = |name: &str| {
            value
                .get(name)
                .map(|field| Dynamic::parse(field, sources, issues))
        };
        let what = match (dynamic("do"), written.verb, dynamic("run")) {
            (Some(resource), Some(verb), None) => What::Act { resource, verb },
            (None, None, Some(run)) => What::Run(run),
            _ => {
                issues.push(
                    Issue::error(key.span, format!("what `{}` does is not clear", key.text))
                        .with_help("give `do: KIND:ID` with `verb: …`, or `run: [program, …]`"),
                );
                return None;
            }
        };
        Some(Self {
            span: key.span,
            description: written.description,
            what,
            leaves: written.leaves,
        })
    }

    pub(crate) fn mentions(&self, sources: &Sources, found: &mut Vec<Mention>) {
        match &self.what {
            What::Act { resource, .. } => resource.mentions(sources, found),
            What::Run(run) => run.mentions(sources, found),
        }
    }
}
