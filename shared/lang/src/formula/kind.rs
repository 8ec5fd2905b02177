//! What a parameter can be.

use std::net::IpAddr;

use brine_model::deserialize::{Error, from_spanned};
use brine_model::path::AbsolutePath;
use brine_model::span::{Node, Spanned};
use brine_model::value::{Map, Value};
use serde::Deserialize;

use crate::duration;

/// The `type:` of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ParameterType {
    String,
    Integer,
    Float,
    Boolean,
    /// 1 to 65535.
    Port,
    /// An absolute path.
    Path,
    /// A number with a unit: `30s`, `5m`.
    Duration,
    /// An IP address.
    Address,
    List,
    Map,
    Secret,
}

impl ParameterType {
    /// The value as this type.
    pub(crate) fn convert(self, value: &Spanned) -> Result<Value, Error> {
        match self {
            Self::String => from_spanned::<String>(value).map(Value::from),
            Self::Integer => from_spanned::<i64>(value).map(Value::Integer),
            Self::Float => from_spanned::<f64>(value).map(Value::Float),
            Self::Boolean => from_spanned::<bool>(value).map(Value::Bool),
            Self::Port => match from_spanned::<i64>(value)? {
                number @ 1..=65535 => Ok(Value::Integer(number)),
                number => Err(Error::new(value.span, format!("{number} is not a port"))
                    .with_help("ports are 1 to 65535")),
            },
            Self::Path => from_spanned::<AbsolutePath>(value).map(|p| Value::from(p.as_str())),
            Self::Duration => {
                let text = from_spanned::<String>(value)?;
                match duration::parse(&text) {
                    Ok(_) => Ok(Value::String(text)),
                    Err(message) => Err(Error::new(value.span, message)),
                }
            }
            Self::Address => {
                let text = from_spanned::<String>(value)?;
                match text.parse::<IpAddr>() {
                    Ok(_) => Ok(Value::String(text)),
                    Err(_) => Err(Error::new(
                        value.span,
                        format!("`{text}` is not an IP address"),
                    )),
                }
            }
            Self::List => match &value.node {
                Node::List(_) => Ok(value.clone().into_value()),
                _ => from_spanned::<Vec<String>>(value).map(|_| Value::List(Vec::new())),
            },
            Self::Map => match &value.node {
                Node::Map(_) => Ok(value.clone().into_value()),
                _ => from_spanned::<std::collections::BTreeMap<String, String>>(value)
                    .map(|_| Value::Map(Map::new())),
            },
            Self::Secret => match &value.node {
                Node::Leaf(secret @ Value::Secret(_)) => Ok(secret.clone()),
                _ => Err(Error::new(value.span, "expected a secret")),
            },
        }
    }

    /// Something of this type, for going on behind an error.
    pub(crate) fn placeholder(self) -> Value {
        match self {
            Self::String | Self::Secret => Value::from("placeholder"),
            Self::Integer | Self::Port => Value::Integer(1),
            Self::Float => Value::Float(1.0),
            Self::Boolean => Value::Bool(true),
            Self::Path => Value::from("/placeholder"),
            Self::Duration => Value::from("1s"),
            Self::Address => Value::from("192.0.2.1"),
            Self::List => Value::List(Vec::new()),
            Self::Map => Value::Map(Map::new()),
        }
    }
}
