//! Values as configuration files write them.

use super::arguments::{Arguments, FunctionError};
use crate::value::Value;

type Result<T = Value> = std::result::Result<T, FunctionError>;

pub(super) fn json(arguments: Arguments<'_>) -> Result {
    let json = to_json(arguments.value(0))?;
    if arguments.len() == 1 {
        return Ok(Value::String(json.to_string()));
    }
    let indent = " ".repeat(arguments.count(1)?);
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(&json, &mut serializer).map_err(|_| unwritable("JSON"))?;
    String::from_utf8(bytes)
        .map(Value::String)
        .map_err(|_| unwritable("JSON"))
}

/// The value in JSON's terms.
fn to_json(value: &Value) -> Result<serde_json::Value> {
    use serde_json::Value as Json;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .map(Json::Number)
            .ok_or_else(|| FunctionError::at(0, "a number that is infinite has no JSON"))?,
        Value::String(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_>>()?),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(k, v)| Ok((k.clone(), to_json(v)?)))
                .collect::<Result<_>>()?,
        ),
        Value::Blob(_) | Value::Secret(_) => return Err(no_text(value)),
    })
}

pub(super) fn toml(arguments: Arguments<'_>) -> Result {
    let value = to_toml(arguments.value(0))?;
    match value {
        toml::Value::Table(table) => toml::to_string(&table)
            .map(Value::String)
            .map_err(|_| unwritable("TOML")),
        inline => Ok(Value::String(inline.to_string())),
    }
}

fn to_toml(value: &Value) -> Result<toml::Value> {
    Ok(match value {
        Value::Null => {
            return Err(FunctionError::at(0, "TOML has no null").with_help("leave the member out"));
        }
        Value::Bool(value) => toml::Value::Boolean(*value),
        Value::Integer(value) => toml::Value::Integer(*value),
        Value::Float(value) => toml::Value::Float(*value),
        Value::String(text) => toml::Value::String(text.clone()),
        Value::List(items) => toml::Value::Array(items.iter().map(to_toml).collect::<Result<_>>()?),
        Value::Map(map) => toml::Value::Table(
            map.iter()
                .map(|(k, v)| Ok((k.clone(), to_toml(v)?)))
                .collect::<Result<_>>()?,
        ),
        Value::Blob(_) | Value::Secret(_) => return Err(no_text(value)),
    })
}

pub(super) fn indent(arguments: Arguments<'_>) -> Result {
    let (text, width) = (arguments.text(0)?, arguments.count(1)?);
    let margin = format!("\n{}", " ".repeat(width));
    // An empty line stays empty.
    let indented = text
        .replace('\n', &margin)
        .replace(&format!("{margin}\n"), "\n\n");
    Ok(Value::String(indented))
}

pub(super) fn quote(arguments: Arguments<'_>) -> Result {
    Ok(Value::String(quoted(&arguments.text(0)?)))
}

/// `text` in double quotes, escaped as JSON does.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

pub(super) fn shell_quote(arguments: Arguments<'_>) -> Result {
    let text = arguments.text(0)?;
    if text.contains('\0') {
        return Err(FunctionError::at(0, "no word of a shell holds a NUL"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:,@%+=".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(Value::String(text));
    }
    Ok(Value::String(format!("'{}'", text.replace('\'', r"'\''"))))
}

pub(super) fn base64(arguments: Arguments<'_>) -> Result {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = arguments.text(0)?;
    let mut encoded = String::with_capacity(text.len().div_ceil(3) * 4);
    for chunk in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place > chunk.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    Ok(Value::String(encoded))
}

pub(super) fn no_text(value: &Value) -> FunctionError {
    let error = FunctionError::at(0, format!("{} has no text here", value.kind()));
    error.with_help("a secret can only be used in a template, a blob only as a file's content")
}

fn unwritable(format: &str) -> FunctionError {
    FunctionError::at(0, format!("this value cannot be written as {format}"))
}
