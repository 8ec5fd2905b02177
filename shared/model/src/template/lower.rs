//! Handlebars' syntax tree to ours: names are resolved, places are found, and what we do not
//! support is refused.

use std::ops::Range;

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, TemplateErrorReason};

use super::locate::{Source, Tag};
use super::reference::Reference;
use super::syntax::{Block, BlockKind, Node, Term, TermKind};
use super::{TemplateError, operators};
use crate::value::{Map, Value};

/// The nodes of `text`, and what is wrong with them whatever the context is.
pub(super) fn lower(text: &str) -> Result<(Vec<Node>, Vec<TemplateError>), TemplateError> {
    let source = Source::new(text);
    let template = handlebars::Template::compile(text).map_err(|error| refusal(&source, &error))?;
    let mut lowering = Lowering {
        source,
        errors: Vec::new(),
        at: 0,
    };
    let nodes = lowering.nodes(&template);
    Ok((nodes, lowering.errors))
}

/// Handlebars speaks in terms of its grammar, which is no help.
fn refusal(source: &Source<'_>, error: &handlebars::TemplateError) -> TemplateError {
    if let TemplateErrorReason::InvalidParam(argument) = error.reason() {
        let start = source.text.find(argument.as_str()).unwrap_or(0);
        let end = if argument.is_empty() {
            0
        } else {
            start + argument.len()
        };
        return TemplateError::new(start..end, "this argument is no value");
    }
    let (line, column) = error.pos().unwrap_or((1, 1));
    let range = source.tag_around(source.offset(line, column)).range;
    TemplateError::new(range, "this tag is not as a template's tags are")
        .with_help("there are {{name}}, {{helper value \"text\" (helper value)}} and {{#block}}")
}

struct Lowering<'a> {
    source: Source<'a>,
    errors: Vec<TemplateError>,
    /// The end of the last tag, from where a `{{else if}}` is looked for: it has no line.
    at: usize,
}

impl<'a> Lowering<'a> {
    fn nodes(&mut self, template: &handlebars::Template) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(template.elements.len());
        for (index, element) in template.elements.iter().enumerate() {
            let mapped = template.mapping.get(index);
            let start = mapped.map(|mapping| self.source.offset(mapping.0, mapping.1));
            nodes.extend(self.node(element, start));
        }
        nodes
    }

    fn node(&mut self, element: &TemplateElement, start: Option<usize>) -> Option<Node> {
        match element {
            TemplateElement::RawString(text) => Some(Node::Text(text.clone())),
            TemplateElement::Comment(_) => None,
            TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper) => {
                let mut tag = self.enter(start, "");
                Some(Node::Output(self.expression(helper, &mut tag)))
            }
            TemplateElement::HelperBlock(helper) => self.block(helper, start),
            _ => {
                let range = self.enter(start, "").range;
                self.refuse(range, "there are no partials and decorators here");
                None
            }
        }
    }

    fn enter(&mut self, start: Option<usize>, name: &str) -> Tag<'a> {
        let tag = match start {
            Some(start) => self.source.tag(start),
            None => self.source.else_tag(self.at, name),
        };
        self.at = tag.range.end;
        tag
    }

    fn block(&mut self, helper: &HelperTemplate, start: Option<usize>) -> Option<Node> {
        let name = helper.name.as_name().unwrap_or_default();
        let mut tag = self.enter(start, name);
        if name == "raw" {
            let text = helper
                .template
                .iter()
                .flat_map(|template| &template.elements);
            let text = text.filter_map(|element| match element {
                TemplateElement::RawString(text) => Some(text.as_str()),
                _ => None,
            });
            return Some(Node::Text(text.collect()));
        }
        let name_range = tag.word(name);
        let mut arguments = self.arguments(helper, &mut tag);
        let argument = arguments.pop();
        let body = helper
            .template
            .as_ref()
            .map(|body| self.nodes(body))
            .unwrap_or_default();
        let inverse = helper
            .inverse
            .as_ref()
            .map(|body| self.nodes(body))
            .unwrap_or_default();
        let Some(kind) = BlockKind::from_name(name) else {
            let help = "there are `if`, `unless`, `each`, `with` and `raw`";
            let error = TemplateError::new(name_range, format!("unknown block `{name}`"));
            self.errors.push(error.with_help(help));
            return None;
        };
        let names: Vec<String> = match &helper.block_param {
            None => Vec::new(),
            Some(BlockParam::Single(value)) => vec![value],
            Some(BlockParam::Pair((value, key))) => vec![value, key],
            Some(_) => Vec::new(),
        }
        .into_iter()
        .filter_map(|name| name.as_name().map(str::to_owned))
        .collect();
        let most_names = match kind {
            BlockKind::If | BlockKind::Unless => 0,
            BlockKind::With => 1,
            BlockKind::Each => 2,
        };
        if names.len() > most_names {
            self.refuse(
                tag.range.clone(),
                &format!("`{name}` names at most {most_names} values"),
            );
        }
        match argument.filter(|_| arguments.is_empty()) {
            Some(argument) => Some(Node::Block(Box::new(Block {
                kind,
                argument,
                names,
                body,
                inverse,
            }))),
            None => {
                let found = helper.params.len();
                self.refuse(
                    tag.range,
                    &format!("`{name}` takes 1 argument, found {found}"),
                );
                None
            }
        }
    }

    /// What stands alone in a tag or in parentheses.
    fn expression(&mut self, helper: &HelperTemplate, tag: &mut Tag<'a>) -> Term {
        match &helper.name {
            Parameter::Name(name) => self.call(name, helper, tag),
            other => self.term(other, tag),
        }
    }

    fn call(&mut self, name: &str, helper: &HelperTemplate, tag: &mut Tag<'a>) -> Term {
        let range = tag.word(name);
        let arguments = self.arguments(helper, tag);
        let mut function = operators::find(name);
        match function {
            None => {
                let error = TemplateError::new(range.clone(), format!("unknown helper `{name}`"));
                self.errors.push(TemplateError {
                    help: operators::suggest(name),
                    ..error
                });
            }
            Some(known) => {
                if let Some(message) = known.wrong_arity(arguments.len()) {
                    let help = format!("use it as `{}`: {}", operators::usage(known), known.doc);
                    self.errors
                        .push(TemplateError::new(range.clone(), message).with_help(help));
                    function = None;
                }
            }
        }
        Term {
            range,
            kind: TermKind::Call(function, arguments),
        }
    }

    fn arguments(&mut self, helper: &HelperTemplate, tag: &mut Tag<'a>) -> Vec<Term> {
        let terms = helper
            .params
            .iter()
            .map(|parameter| self.term(parameter, tag))
            .collect();
        if let Some(name) = helper.hash.keys().min() {
            let range = tag.range.clone();
            self.refuse(
                range,
                &format!("there are no named arguments here: `{name}=…`"),
            );
        }
        terms
    }

    fn term(&mut self, parameter: &Parameter, tag: &mut Tag<'a>) -> Term {
        match parameter {
            Parameter::Name(text)
            | Parameter::Path(Path::Relative((_, text)) | Path::Local((_, _, text))) => {
                let range = tag.word(text);
                Term {
                    range,
                    kind: TermKind::Reference(Reference::parse(text)),
                }
            }
            Parameter::Literal(json) => {
                let range = match json {
                    serde_json::Value::String(_) => tag.string(),
                    other => tag.word(&other.to_string()),
                };
                Term {
                    range,
                    kind: TermKind::Literal(from_json(json)),
                }
            }
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(helper) => {
                    // `(name)` calls, unlike `{{name}}`.
                    match &helper.name {
                        Parameter::Path(Path::Relative((_, name))) => self.call(name, helper, tag),
                        _ => self.expression(helper, tag),
                    }
                }
                _ => self.unsupported(tag),
            },
            _ => self.unsupported(tag),
        }
    }

    /// What a later Handlebars may have that this one has not.
    fn unsupported(&mut self, tag: &Tag<'a>) -> Term {
        let range = tag.range.clone();
        self.refuse(range.clone(), "this kind of argument is not supported");
        Term {
            range,
            kind: TermKind::Literal(Value::Null),
        }
    }

    fn refuse(&mut self, range: Range<usize>, message: &str) {
        self.errors.push(TemplateError::new(range, message));
    }
}

fn from_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(members) => Value::Map(
            members
                .iter()
                .map(|(name, value)| (name.clone(), from_json(value)))
                .collect::<Map>(),
        ),
    }
}
