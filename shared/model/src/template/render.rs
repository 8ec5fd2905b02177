//! Nodes to text.

use std::borrow::Cow;

use super::TemplateError;
use super::analyse::Purpose;
use super::check::cannot_be;
use super::scope::{Frame, Meaning, Scope};
use super::syntax::{Block, BlockKind, Node, Term, TermKind};
use crate::expression::functions::Function;
use crate::value::{Map, SecretRef, SecretText, Value};

/// The longest text that is rendered: lists inside lists multiply.
const MAX_LENGTH: usize = 64 * 1024 * 1024;

type Rendering<T = ()> = Result<T, TemplateError>;

pub(super) fn render(
    nodes: &[Node],
    context: &Value,
    secrets: &dyn Fn(&SecretRef) -> Option<SecretText>,
) -> Rendering<String> {
    let scope = Scope::new(Cow::Borrowed(context));
    let mut renderer = Renderer {
        scope,
        secrets,
        out: String::new(),
    };
    renderer.nodes(nodes)?;
    Ok(renderer.out)
}

/// Whether `{{#if}}` takes it for true: neither false, null, zero nor empty.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Integer(value) => *value != 0,
        Value::Float(value) => *value != 0.0 && !value.is_nan(),
        Value::String(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Blob(_) | Value::Secret(_) => true,
    }
}

struct Renderer<'a> {
    scope: Scope<Cow<'a, Value>>,
    secrets: &'a dyn Fn(&SecretRef) -> Option<SecretText>,
    out: String,
}

impl<'a> Renderer<'a> {
    fn nodes(&mut self, nodes: &[Node]) -> Rendering {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Output(term) => {
                    let value = self.revealed(term)?;
                    let text = value.to_text();
                    self.out
                        .push_str(&text.ok_or_else(|| cannot_be(term, Purpose::Output, &value))?);
                    if self.out.len() > MAX_LENGTH {
                        let message = "what this template gives is too long";
                        return Err(TemplateError::new(term.range.clone(), message));
                    }
                }
                Node::Block(block) => self.block(block)?,
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &Block) -> Rendering {
        let (term, inverse) = (&block.argument, &block.inverse);
        match block.kind {
            BlockKind::If | BlockKind::Unless => {
                let value = self.revealed(term)?;
                let holds = is_true(&value) == (block.kind == BlockKind::If);
                self.nodes(if holds { &block.body } else { inverse })
            }
            BlockKind::With => {
                let value = self.value(term)?;
                if !is_true(&value) {
                    return self.nodes(inverse);
                }
                let locals = self.scope.locals();
                self.framed(block, value, Cow::Owned(Value::Null), locals)
            }
            BlockKind::Each => match self.value(term)? {
                Cow::Borrowed(Value::List(items)) => {
                    self.each(block, items.iter().map(|item| (None, Cow::Borrowed(item))))
                }
                Cow::Owned(Value::List(items)) => self.each(
                    block,
                    items.into_iter().map(|item| (None, Cow::Owned(item))),
                ),
                Cow::Borrowed(Value::Map(map)) => {
                    let members = map.iter();
                    self.each(
                        block,
                        members.map(|(key, v)| (Some(key.clone()), Cow::Borrowed(v))),
                    )
                }
                Cow::Owned(Value::Map(map)) => self.each(
                    block,
                    map.into_iter().map(|(key, v)| (Some(key), Cow::Owned(v))),
                ),
                value if *value == Value::Null => self.nodes(inverse),
                value => Err(cannot_be(term, Purpose::Each, &value)),
            },
        }
    }

    fn each(
        &mut self,
        block: &Block,
        items: impl ExactSizeIterator<Item = (Option<String>, Cow<'a, Value>)>,
    ) -> Rendering {
        let count = items.len();
        if count == 0 {
            return self.nodes(&block.inverse);
        }
        for (index, (key, item)) in items.enumerate() {
            let number = Value::Integer(i64::try_from(index).unwrap_or(i64::MAX));
            let mut locals = vec![
                ("index", Cow::Owned(number.clone())),
                ("first", Cow::Owned(Value::Bool(index == 0))),
                ("last", Cow::Owned(Value::Bool(index + 1 == count))),
            ];
            let key = key.map(Value::String);
            locals.extend(key.clone().map(|key| ("key", Cow::Owned(key))));
            self.framed(block, item, Cow::Owned(key.unwrap_or(number)), locals)?;
        }
        Ok(())
    }

    fn framed(
        &mut self,
        block: &Block,
        this: Cow<'a, Value>,
        key: Cow<'a, Value>,
        locals: Vec<(&'static str, Cow<'a, Value>)>,
    ) -> Rendering {
        let names = block
            .names
            .iter()
            .cloned()
            .zip([this.clone(), key])
            .collect();
        self.scope.push(Frame {
            this,
            names,
            locals,
        });
        let result = self.nodes(&block.body);
        self.scope.pop();
        result
    }

    /// The value with the texts of its secrets.
    fn revealed(&self, term: &Term) -> Rendering<Cow<'a, Value>> {
        let value = self.value(term)?;
        let mut secret = false;
        value.secrets(&mut |_| secret = true);
        if secret {
            self.reveal(term, &value).map(Cow::Owned)
        } else {
            Ok(value)
        }
    }

    fn reveal(&self, term: &Term, value: &Value) -> Rendering<Value> {
        match value {
            Value::Secret(secret) => match (self.secrets)(secret) {
                Some(text) => Ok(Value::String(text.reveal().to_owned())),
                None => {
                    let message = format!("the secret `{}` is not here", secret.name);
                    Err(TemplateError::new(term.range.clone(), message))
                }
            },
            Value::List(items) => items
                .iter()
                .map(|item| self.reveal(term, item))
                .collect::<Rendering<_>>()
                .map(Value::List),
            Value::Map(map) => {
                let members = map
                    .iter()
                    .map(|(key, item)| Ok((key.clone(), self.reveal(term, item)?)));
                members.collect::<Rendering<Map>>().map(Value::Map)
            }
            other => Ok(other.clone()),
        }
    }

    fn value(&self, term: &Term) -> Rendering<Cow<'a, Value>> {
        match &term.kind {
            TermKind::Literal(value) => Ok(Cow::Owned(value.clone())),
            TermKind::Reference(reference) => self.scope.resolve(reference).map_err(|unresolved| {
                let range = term.range.clone();
                TemplateError {
                    range,
                    message: unresolved.message,
                    help: unresolved.help,
                }
            }),
            TermKind::Call(Some(function), arguments) => self.call(term, function, arguments),
            TermKind::Call(None, _) => Err(TemplateError::new(
                term.range.clone(),
                "this helper cannot be called",
            )),
        }
    }

    fn call(
        &self,
        term: &Term,
        function: &Function,
        arguments: &[Term],
    ) -> Rendering<Cow<'a, Value>> {
        let values = arguments
            .iter()
            .map(|argument| Ok(self.revealed(argument)?.into_owned()));
        let values = values.collect::<Rendering<Vec<_>>>()?;
        function.call(&values).map(Cow::Owned).map_err(|error| {
            let place = error
                .argument
                .and_then(|at| arguments.get(at))
                .unwrap_or(term);
            TemplateError {
                range: place.range.clone(),
                message: error.message,
                help: error.help,
            }
        })
    }
}

impl Meaning for Cow<'_, Value> {
    fn member(&self, name: &str) -> Option<Self> {
        match self {
            Cow::Borrowed(value) => value.member(name).map(Cow::Borrowed),
            Cow::Owned(value) => value.member(name).cloned().map(Cow::Owned),
        }
    }

    fn names(&self) -> Vec<String> {
        match self.as_ref() {
            Value::Map(map) => map.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}
