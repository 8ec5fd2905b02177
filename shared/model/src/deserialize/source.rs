//! The serde `Deserializer` over [`Spanned`].

use serde::de::{Deserializer, Visitor};

use super::access::{Entries, Items, KeyIn, Variant};
use super::failure::{Context, Failure, unknown};
use super::{field, number};
use crate::diagnostic::did_you_mean;
use crate::span::{Node, Spanned, resolve_plain};
use crate::value::Value;

/// One value as serde sees it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) value: &'a Spanned,
    pub(super) context: &'a Context,
}

impl<'a> Source<'a> {
    pub(super) fn new(value: &'a Spanned, context: &'a Context) -> Self {
        Self { value, context }
    }

    /// The scalar with its type decided; lists and maps are none.
    pub(super) fn scalar(&self) -> Option<Value> {
        match &self.value.node {
            Node::Plain(text) => Some(resolve_plain(text)),
            Node::Leaf(value) => Some(value.clone()),
            Node::List(_) | Node::Map(_) => None,
        }
    }

    /// `expected …, found …`, or what is special about a secret or blob in the wrong place.
    pub(super) fn mismatch(&self, expected: &str) -> Failure {
        let found = match &self.value.node {
            Node::Leaf(Value::Secret(_)) => return field::misplaced_secret(),
            Node::Leaf(Value::Blob(_)) => {
                return Failure::new("the content of a file cannot be used here");
            }
            Node::Plain(text) if text.is_empty() => "nothing".to_owned(),
            Node::Plain(text) => format!("`{text}`"),
            Node::Leaf(value) => value.kind().to_owned(),
            Node::List(_) => "a list".to_owned(),
            Node::Map(_) => "a map".to_owned(),
        };
        Failure::new(format!("expected {expected}, found {found}"))
    }

    /// The text for a string field.
    pub(super) fn text(&self) -> Result<String, Failure> {
        match &self.value.node {
            Node::Plain(text) => match resolve_plain(text) {
                Value::Null if text.is_empty() => Err(self.mismatch("a string")),
                Value::Null => Err(self
                    .mismatch("a string")
                    .with_help("quote it to mean the text")),
                _ => Ok(text.clone()),
            },
            // Numbers and booleans come from expressions: `PORT: ${{ webapp.port }}`.
            Node::Leaf(value) => value.to_text().ok_or_else(|| self.mismatch("a string")),
            Node::List(_) | Node::Map(_) => Err(self.mismatch("a string")),
        }
    }

    fn items(&self) -> Result<Items<'a>, Failure> {
        match &self.value.node {
            Node::List(items) => Ok(Items::new(items, self.context)),
            Node::Plain(text) if !text.is_empty() => Err(self
                .mismatch("a list")
                .with_help(format!("write `[{text}]`"))),
            _ => Err(self.mismatch("a list")),
        }
    }

    /// Records all keys that `known` does not have, so that one pass tells of each.
    fn refuse_unknown(&self, known: &'static [&'static str]) {
        let Node::Map(pairs) = &self.value.node else {
            return;
        };
        for (key, value) in pairs {
            if known.contains(&key.text.as_str()) || self.context.is_aside(value) {
                continue;
            }
            if let Some(near) = did_you_mean(&key.text, known.iter().copied()) {
                self.context.note_meant(self.value, near);
            }
            self.context
                .record(unknown("key", &key.text, known).into_error(key.span));
            self.context.leave_out(value);
        }
    }

    /// A key missing because its value did not fit, or was misspelt, is not news.
    fn judge_missing(&self, failure: Failure) -> Failure {
        let (Some(missing), Node::Map(pairs)) = (failure.missing_here(), &self.value.node) else {
            return failure;
        };
        let misfit = pairs
            .iter()
            .any(|(key, v)| key.text == missing && self.context.is_aside(v));
        if misfit || self.context.was_meant(self.value, missing) {
            return failure.into_consequence();
        }
        failure
    }
}

macro_rules! integers {
    ($($method:ident $type:ident $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(number::integer::<$type>(
                &self,
                &format!("{} to {}", $type::MIN, $type::MAX),
            )?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Source<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.value.node {
            Node::List(items) => visitor.visit_seq(Items::new(items, self.context)),
            Node::Map(pairs) => visitor.visit_map(Entries::new(pairs, self.context)),
            Node::Plain(_) | Node::Leaf(_) => match self.scalar() {
                Some(Value::Null) => visitor.visit_unit(),
                Some(Value::Bool(truth)) => visitor.visit_bool(truth),
                Some(Value::Integer(number)) => visitor.visit_i64(number),
                Some(Value::Float(number)) => visitor.visit_f64(number),
                Some(Value::String(text)) => visitor.visit_string(text),
                _ => Err(self.mismatch("a value")),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_bool(number::boolean(&self)?)
    }

    integers! {
        deserialize_i8 i8 visit_i8;
        deserialize_i16 i16 visit_i16;
        deserialize_i32 i32 visit_i32;
        deserialize_i64 i64 visit_i64;
        deserialize_u8 u8 visit_u8;
        deserialize_u16 u16 visit_u16;
        deserialize_u32 u32 visit_u32;
        deserialize_u64 u64 visit_u64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_f64(number::float(&self)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(self.mismatch("bytes"))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.scalar() {
            Some(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.scalar() {
            Some(Value::Null) => visitor.visit_unit(),
            _ => Err(self.mismatch("nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        field::newtype(self, name, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(self.items()?)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.value.node {
            Node::List(items) if items.len() > length => Err(Failure::new(format!(
                "expected {length} elements, found {}",
                items.len()
            ))),
            _ => visitor.visit_seq(self.items()?),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.value.node {
            Node::Map(pairs) => visitor.visit_map(Entries::new(pairs, self.context)),
            _ => Err(self.mismatch("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.refuse_unknown(fields);
        self.deserialize_map(visitor)
            .map_err(|failure| self.judge_missing(failure))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let known = |text: &str| {
            if variants.contains(&text) {
                Ok(())
            } else {
                Err(unknown("value", text, variants))
            }
        };
        match &self.value.node {
            Node::Map(pairs) => {
                let [(key, value)] = pairs.as_slice() else {
                    return Err(Failure::new("expected exactly one key")
                        .with_help(format!("one of {}", variants.join(", "))));
                };
                known(&key.text).map_err(|failure| failure.at(key.span))?;
                visitor.visit_enum(Variant::with(key, value, self.context))
            }
            _ => {
                let text = self.text().map_err(|_| {
                    let listed = variants
                        .iter()
                        .map(|v| format!("`{v}`"))
                        .collect::<Vec<_>>();
                    self.mismatch(&format!("one of {}", listed.join(", ")))
                })?;
                known(&text)?;
                visitor.visit_enum(Variant::bare(&text))
            }
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}

/// A key as serde sees it.
impl<'de> Deserializer<'de> for KeyIn<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if !variants.contains(&self.0) {
            return Err(unknown("key", self.0, variants));
        }
        visitor.visit_enum(Variant::bare(self.0))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
