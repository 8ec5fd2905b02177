//! A formula's typed inputs.

use brine_model::deserialize::{Error, Shape, from_spanned};
use brine_model::span::{Key, Node, Span, Spanned};
use brine_model::value::Value;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::kind::ParameterType;
use crate::dynamic::Dynamic;
use crate::issue::Issue;
use crate::source::Sources;

#[derive(Debug)]
pub(crate) struct Parameter {
    /// Where it is declared.
    pub(crate) span: Span,
    pub(crate) kind: ParameterType,
    pub(crate) default: Option<Dynamic>,
    /// Other formulas may read it.
    pub(crate) export: bool,
    /// For people.
    pub(crate) description: Option<String>,
    choices: Vec<Value>,
    min: Option<f64>,
    max: Option<f64>,
}

/// As written. The values that depend on `type` are read from the tree behind it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    r#type: ParameterType,
    #[serde(default, rename = "choices")]
    _choices: IgnoredAny,
    #[serde(default)]
    min: Option<f64>,
    #[serde(default)]
    max: Option<f64>,
    #[serde(default, rename = "default")]
    _default: IgnoredAny,
    #[serde(default)]
    export: bool,
    #[serde(default)]
    description: Option<String>,
}

impl Parameter {
    /// What is written for one.
    pub(crate) fn shape() -> Shape {
        Shape::of::<Written>()
    }

    /// Reads one declaration; what is wrong is reported, what is left is still a parameter, so
    /// that nobody is told that it does not exist.
    pub(crate) fn parse(
        key: &Key,
        value: &Spanned,
        sources: &Sources,
        issues: &mut Vec<Issue>,
    ) -> Self {
        let mut parameter = Self {
            span: key.span,
            kind: ParameterType::String,
            default: None,
            export: true,
            description: None,
            choices: Vec::new(),
            min: None,
            max: None,
        };
        if !is_parameter_name(&key.text) {
            issues.push(
                Issue::error(key.span, format!("`{}` cannot name a parameter", key.text))
                    .with_help("a name is a-z, 0-9 and _, and starts with a letter"),
            );
        }
        let written = match from_spanned::<Written>(value) {
            Ok(written) => written,
            Err(error) => {
                issues.extend(Issue::from_misfits(place_at_key(error, value, key)));
                parameter.default = Some(Dynamic::Fixed(Spanned {
                    span: value.span,
                    node: Node::Leaf(Value::Null),
                }));
                return parameter;
            }
        };
        parameter.kind = written.r#type;
        parameter.export = written.export;
        parameter.description = written.description;
        (parameter.min, parameter.max) = (written.min, written.max);
        parameter.read_choices(value, issues);
        if let Some(default) = value.get("default") {
            parameter.read_default(default, sources, issues);
        }
        parameter
    }

    fn read_choices(&mut self, value: &Spanned, issues: &mut Vec<Issue>) {
        let Some(choices) = value.get("choices") else {
            return;
        };
        let Node::List(items) = &choices.node else {
            issues.push(Issue::error(choices.span, "expected a list of values"));
            return;
        };
        for item in items {
            match self.kind.convert(item) {
                Ok(choice) => self.choices.push(choice),
                Err(error) => issues.extend(Issue::from_misfits(error)),
            }
        }
    }

    fn read_default(&mut self, default: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) {
        if self.kind == ParameterType::Secret {
            issues.push(
                Issue::error(default.span, "a secret has no default")
                    .with_help("the server makes one up where none is given"),
            );
            return;
        }
        let default = Dynamic::parse(default, sources, issues);
        if let Dynamic::Fixed(value) = &default
            && !is_null(value)
            && let Err(error) = self.convert(value)
        {
            issues.extend(Issue::from_misfits(error));
        }
        self.default = Some(default);
    }

    /// The value as this parameter's type, within its bounds.
    ///
    /// # Errors
    /// In words for people, at the value's place.
    pub(crate) fn convert(&self, value: &Spanned) -> Result<Value, Error> {
        if is_null(value) && self.may_be_null() {
            return Ok(Value::Null);
        }
        let converted = self.kind.convert(value)?;
        if !self.choices.is_empty() && !self.choices.contains(&converted) {
            let listed = self.choices.iter().map(show).collect::<Vec<_>>().join(", ");
            return Err(Error::new(
                value.span,
                format!("{} is not one of the choices", show(&converted)),
            )
            .with_help(format!("choose among {listed}")));
        }
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        let number = match converted {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        };
        if let (Some(number), Some(min)) = (number, self.min)
            && number < min
        {
            return Err(Error::new(
                value.span,
                format!("{number} is less than the minimum, {min}"),
            ));
        }
        if let (Some(number), Some(max)) = (number, self.max)
            && number > max
        {
            return Err(Error::new(
                value.span,
                format!("{number} is more than the maximum, {max}"),
            ));
        }
        Ok(converted)
    }

    /// `default: null` makes a parameter optional.
    fn may_be_null(&self) -> bool {
        match &self.default {
            Some(Dynamic::Fixed(value)) => is_null(value),
            _ => false,
        }
    }
}

fn is_null(value: &Spanned) -> bool {
    match &value.node {
        Node::Plain(_) => value.clone().into_value() == Value::Null,
        Node::Leaf(value) => *value == Value::Null,
        Node::List(_) | Node::Map(_) => false,
    }
}

fn is_parameter_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Integer(number) => format!("`{number}`"),
        Value::Float(number) => format!("`{number}`"),
        Value::Bool(truth) => format!("`{truth}`"),
        other => other.kind().to_owned(),
    }
}

/// What is wrong with the declaration as a whole (`type` is missing) stands at its name.
fn place_at_key(mut error: Error, value: &Spanned, key: &Key) -> Error {
    if error.span == value.span {
        error.span = key.span;
    }
    for other in &mut error.also {
        if other.span == value.span {
            other.span = key.span;
        }
    }
    error
}
