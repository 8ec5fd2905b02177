//! Field types for what serde's data model does not have: blobs, secrets, places.
//!
//! Each asks for a newtype of a name that no derived type has, and [`newtype`] answers it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::access::Items;
use super::failure::Failure;
use super::source::Source;
use crate::digest::Digest;
use crate::span::{Node, SourceId, Span};
use crate::value::{Map, SecretRef, Value};

/// Bytes that travel apart: what a `template:` or `source:` has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobField(pub Digest);

/// A secret parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretField(pub SecretRef);

/// A string that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextOrSecret {
    Text(String),
    Secret(SecretRef),
}

/// Any value, blobs and secrets included.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueField(pub Value);

/// A list, or the one element by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

/// A value with the place it was written at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    pub span: Span,
    pub value: T,
}

pub(super) const BLOB: &str = "$brine::blob";
pub(super) const SECRET: &str = "$brine::secret";
pub(super) const TEXT_OR_SECRET: &str = "$brine::text-or-secret";
pub(super) const VALUE: &str = "$brine::value";
pub(super) const ONE_OR_MANY: &str = "$brine::one-or-many";
pub(super) const LOCATED: &str = "$brine::located";

pub(super) fn misplaced_secret() -> Failure {
    Failure::new("a secret cannot be used here")
        .with_help("put it into a file by a template; only fields made for secrets take one")
}

/// Answers the types of this file by their names; other newtypes are their content.
pub(super) fn newtype<'de, V: Visitor<'de>>(
    source: Source<'_>,
    name: &str,
    visitor: V,
) -> Result<V::Value, Failure> {
    match (name, &source.value.node) {
        (BLOB | VALUE, Node::Leaf(Value::Blob(digest))) => visitor.visit_bytes(digest.as_bytes()),
        (BLOB, _) => Err(source.mismatch("the content of a file")),
        (SECRET | VALUE | TEXT_OR_SECRET, Node::Leaf(Value::Secret(secret))) => {
            let parts = [secret.name.clone(), secret.version.to_string()];
            visitor.visit_newtype_struct(SeqDeserializer::new(parts.into_iter()))
        }
        (SECRET, _) => Err(source
            .mismatch("a secret")
            .with_help("declare a parameter of `type: secret` and name it in an expression")),
        (TEXT_OR_SECRET, _) => source.deserialize_string(visitor),
        (VALUE, _) => source.deserialize_any(visitor),
        (ONE_OR_MANY, Node::List(items)) => visitor.visit_seq(Items::new(items, source.context)),
        (ONE_OR_MANY, _) => visitor.visit_seq(Items::new(
            std::slice::from_ref(source.value),
            source.context,
        )),
        (LOCATED, _) => visitor.visit_seq(LocatedParts { source, given: 0 }),
        _ => visitor.visit_newtype_struct(source),
    }
}

struct LocatedParts<'a> {
    source: Source<'a>,
    given: u8,
}

impl<'de> SeqAccess<'de> for LocatedParts<'_> {
    type Error = Failure;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        use serde::de::IntoDeserializer;
        let Span {
            source: SourceId(file),
            start,
            end,
        } = self.source.value.span;
        self.given += 1;
        let number = match self.given {
            1 => file,
            2 => start,
            3 => end,
            _ => return seed.deserialize(self.source).map(Some),
        };
        seed.deserialize(number.into_deserializer()).map(Some)
    }
}

impl<'de> Deserialize<'de> for BlobField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Blob;
        impl Visitor<'_> for Blob {
            type Value = BlobField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the content of a file")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<BlobField, E> {
                digest(bytes).map(BlobField)
            }
        }
        deserializer.deserialize_newtype_struct(BLOB, Blob)
    }
}

fn digest<E: de::Error>(bytes: &[u8]) -> Result<Digest, E> {
    let bytes = bytes
        .try_into()
        .map_err(|_| E::custom("a digest has 32 bytes"))?;
    Ok(Digest::from_bytes(bytes))
}

/// Reads the two parts that [`newtype`] hands over for a secret.
fn secret<'de, D: Deserializer<'de>>(parts: D) -> Result<SecretRef, D::Error> {
    let [name, version] = <[String; 2]>::deserialize(parts)?;
    Ok(SecretRef {
        name,
        version: version.parse().map_err(de::Error::custom)?,
    })
}

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Secret;
        impl<'de> Visitor<'de> for Secret {
            type Value = SecretField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                parts: D,
            ) -> Result<SecretField, D::Error> {
                secret(parts).map(SecretField)
            }
        }
        deserializer.deserialize_newtype_struct(SECRET, Secret)
    }
}

impl<'de> Deserialize<'de> for TextOrSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TextOrSecret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a secret")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrSecret, E> {
                Ok(TextOrSecret::Text(text.to_owned()))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                parts: D,
            ) -> Result<TextOrSecret, D::Error> {
                secret(parts).map(TextOrSecret::Secret)
            }
        }
        deserializer.deserialize_newtype_struct(TEXT_OR_SECRET, Either)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = items.next_element()? {
                    elements.push(element);
                }
                Ok(OneOrMany(elements))
            }
        }
        deserializer.deserialize_newtype_struct(ONE_OR_MANY, Elements(PhantomData))
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Located<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Located<T>, A::Error> {
                let mut number = || {
                    let part: Option<u32> = parts.next_element()?;
                    part.ok_or_else(|| de::Error::custom("a place has three numbers"))
                };
                let span = Span::new(SourceId(number()?), number()?, number()?);
                let value = parts.next_element()?;
                let value = value.ok_or_else(|| de::Error::custom("a place without a value"))?;
                Ok(Located { span, value })
            }
        }
        deserializer.deserialize_newtype_struct(LOCATED, Parts(PhantomData))
    }
}

impl<'de> Deserialize<'de> for ValueField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_newtype_struct(VALUE, AnyValue)
            .map(ValueField)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        digest(bytes).map(Value::Blob)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, parts: D) -> Result<Value, D::Error> {
        secret(parts).map(Value::Secret)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(ValueField(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, ValueField(value))) = pairs.next_entry::<String, _>()? {
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}
