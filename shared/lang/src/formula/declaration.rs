//! One entry of a formula's `resources:`.

use brine_model::diagnostic::did_you_mean;
use brine_model::resources::{self, Kind};
use brine_model::span::{Key, Node, Span, Spanned};
use brine_model::value::Value;

use crate::dynamic::{Dynamic, Mention, Scalar};
use crate::issue::Issue;
use crate::source::Sources;

/// Keys that any resource may have, read here and not by its kind.
const COMMON: &[&str] = &["require", "when", "for_each", "as", "once"];

#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) kind: &'static Kind,
    /// The kind and its id: `file: /etc/motd`.
    pub(crate) span: Span,
    /// One id or a list of them.
    pub(crate) id: Dynamic,
    pub(crate) fields: Vec<(Key, Dynamic)>,
    pub(crate) require: Option<Dynamic>,
    pub(crate) when: Option<Scalar>,
    pub(crate) for_each: Option<ForEach>,
    pub(crate) once: Option<Once>,
}

/// `once: true`, or `once: EXPRESSION` over live facts.
#[derive(Debug)]
pub(crate) struct Once {
    /// On the one member of whom this holds; none: on any.
    pub(crate) on: Option<Dynamic>,
}

/// `for_each: ${{ roles.db }}` with `as: peer`.
#[derive(Debug)]
pub(crate) struct ForEach {
    pub(crate) items: Dynamic,
    pub(crate) alias: String,
}

impl Declaration {
    pub(crate) fn parse(
        value: &Spanned,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Option<Self> {
        let Node::Map(pairs) = &value.node else {
            issues.push(
                Issue::error(value.span, "expected a resource")
                    .with_help("a resource is a map that starts with its kind: `- package: curl`"),
            );
            return None;
        };
        let Some(((kind_key, id), fields)) = pairs.split_first() else {
            issues.push(Issue::error(value.span, "a resource must name its kind"));
            return None;
        };
        let Some(kind) = resources::kind(&kind_key.text) else {
            issues.push(unknown_kind(kind_key, fields));
            return None;
        };
        let mut declaration = Self {
            kind,
            span: Span {
                end: id.span.end,
                ..kind_key.span
            },
            id: Dynamic::parse(id, sources, issues),
            fields: Vec::new(),
            require: None,
            when: None,
            for_each: None,
            once: None,
        };
        let before = issues.len();
        for (key, value) in fields {
            declaration.read(key, value, sources, issues);
        }
        declaration.read_alias(fields, issues);
        (issues.len() == before).then_some(declaration)
    }

    fn read(&mut self, key: &Key, value: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) {
        match key.text.as_str() {
            "require" => self.require = Some(Dynamic::parse(value, sources, issues)),
            "when" => self.when = Scalar::expression(value, sources, issues),
            "for_each" => {
                let items = Dynamic::parse(value, sources, issues);
                self.for_each = Some(ForEach {
                    items,
                    alias: "item".to_owned(),
                });
            }
            "as" => {}
            "once" => self.read_once(value, sources, issues),
            name if self.kind.fields.contains(&name) => {
                self.fields
                    .push((key.clone(), Dynamic::parse(value, sources, issues)));
            }
            name => {
                let known = self.kind.fields.iter().chain(COMMON).copied();
                let help = match did_you_mean(name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if self.kind.fields.is_empty() => {
                        format!("`{}` has no keys of its own", self.kind.name)
                    }
                    None => {
                        let listed = self.kind.fields.iter().map(|f| format!("`{f}`"));
                        let listed = listed.collect::<Vec<_>>().join(", ");
                        format!("`{}` knows {listed}", self.kind.name)
                    }
                };
                issues.push(
                    Issue::error(
                        key.span,
                        format!("unknown key `{name}` of a `{}`", self.kind.name),
                    )
                    .with_help(help),
                );
            }
        }
    }

    fn read_once(&mut self, value: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) {
        let on = match value.clone().into_value() {
            Value::Bool(false) => return,
            Value::Bool(true) => None,
            Value::String(_) => Some(Dynamic::parse(value, sources, issues)),
            other => {
                let message = format!("expected `true` or an expression, found {}", other.kind());
                issues.push(Issue::error(value.span, message).with_help(
                    "`once: true` takes any member, `once: patroni.role = \"leader\"` that one",
                ));
                return;
            }
        };
        self.once = Some(Once { on });
    }

    fn read_alias(&mut self, fields: &[(Key, Spanned)], issues: &mut Vec<Issue>) {
        let Some((key, value)) = fields.iter().find(|(key, _)| key.text == "as") else {
            return;
        };
        let Some(each) = &mut self.for_each else {
            issues.push(
                Issue::error(key.span, "`as` without `for_each`")
                    .with_help("`for_each` gives the list, `as` names its element"),
            );
            return;
        };
        match &value.node {
            Node::Plain(text) | Node::Leaf(Value::String(text)) if is_alias(text) => {
                each.alias.clone_from(text);
            }
            _ => issues.push(
                Issue::error(value.span, "this cannot name an element")
                    .with_help("a name is a-z, 0-9 and _, and starts with a letter"),
            ),
        }
    }

    /// Everything that its expressions read; those below `for_each` may read its alias.
    pub(crate) fn mentions(&self, sources: &Sources, found: &mut Vec<Mention>) {
        if let Some(each) = &self.for_each {
            each.items.mentions(sources, found);
        }
        self.id.mentions(sources, found);
        if let Some(when) = &self.when {
            when.mentions(sources, found);
        }
        if let Some(require) = &self.require {
            require.mentions(sources, found);
        }
        if let Some(on) = self.once.as_ref().and_then(|once| once.on.as_ref()) {
            on.mentions(sources, found);
        }
        self.fields
            .iter()
            .for_each(|(_, field)| field.mentions(sources, found));
    }
}

fn is_alias(text: &str) -> bool {
    let reserved = matches!(text, "node" | "facts" | "roles");
    !reserved
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn unknown_kind(first: &Key, others: &[(Key, Spanned)]) -> Issue {
    let issue = Issue::error(
        first.span,
        format!("unknown kind of resource `{}`", first.text),
    );
    if let Some((kind, _)) = others
        .iter()
        .find(|(key, _)| resources::kind(&key.text).is_some())
    {
        return Issue::error(first.span, "a resource must start with its kind")
            .with_place(kind.span, "this is the kind")
            .with_help(format!("move `{}` to the front", kind.text));
    }
    match did_you_mean(&first.text, resources::kinds().iter().map(|kind| kind.name)) {
        Some(near) => issue.with_help(format!("did you mean `{near}`?")),
        None => {
            let known = resources::kinds()
                .iter()
                .map(|kind| format!("`{}`", kind.name));
            issue.with_help(format!(
                "there are {}",
                known.collect::<Vec<_>>().join(", ")
            ))
        }
    }
}
