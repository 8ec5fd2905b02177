//! Values as YAML that means the same to every reader, old and new.

use super::arguments::{Arguments, FunctionError};
use super::format::{no_text, quoted};
use crate::value::Value;

type Result<T = Value> = std::result::Result<T, FunctionError>;

/// In block style, without a line end after the last line.
pub(super) fn yaml(arguments: Arguments<'_>) -> Result {
    let mut out = String::new();
    write(arguments.value(0), 0, &mut out)?;
    Ok(Value::String(out))
}

/// Writes `value` at the present position; further lines start at column `depth`.
fn write(value: &Value, depth: usize, out: &mut String) -> Result<()> {
    match value {
        Value::List(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                new_line(at, depth, out);
                out.push_str("- ");
                write(item, depth + 2, out)?;
            }
        }
        Value::Map(map) if !map.is_empty() => {
            for (at, (key, item)) in map.iter().enumerate() {
                new_line(at, depth, out);
                out.push_str(&scalar(key));
                out.push(':');
                if matches!(item, Value::List(items) if !items.is_empty())
                    || matches!(item, Value::Map(map) if !map.is_empty())
                {
                    new_line(1, depth + 2, out);
                } else {
                    out.push(' ');
                }
                write(item, depth + 2, out)?;
            }
        }
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
        Value::Null => out.push_str("null"),
        Value::String(text) => out.push_str(&scalar(text)),
        Value::Float(float) if float.is_nan() => out.push_str(".nan"),
        Value::Float(float) if float.is_infinite() => {
            out.push_str(if *float > 0.0 { ".inf" } else { "-.inf" });
        }
        Value::Float(_) | Value::Integer(_) | Value::Bool(_) => {
            out.push_str(&value.to_text().unwrap_or_default());
        }
        Value::Blob(_) | Value::Secret(_) => return Err(no_text(value)),
    }
    Ok(())
}

fn new_line(at: usize, depth: usize, out: &mut String) {
    if at > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    }
}

/// Plain where nobody could take it for anything but text, YAML 1.1 included (`no`, `1:30`, dates).
fn scalar(text: &str) -> String {
    const OTHER: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
    ];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    let is_text = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && text.bytes().all(plain)
        && !OTHER.iter().any(|other| other.eq_ignore_ascii_case(text));
    if is_text {
        text.to_owned()
    } else {
        quoted(text)
    }
}
