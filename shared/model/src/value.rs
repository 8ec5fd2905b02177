//! The one pivot between YAML, expressions, templates, resources and the wire.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Keys are sorted, so that equal values have equal encodings and digests.
pub type Map = BTreeMap<String, Value>;

/// A value of the state language.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Value>),
    Map(Map),
    /// Bytes that travel apart from the catalog, named by what they contain.
    Blob(Digest),
    /// A secret that this value stands for; its text travels apart from the catalog.
    Secret(SecretRef),
}

/// Names a secret and its present version without telling anything about its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    /// Where it comes from: `formula.parameter`.
    pub name: String,
    /// Digest of the text under a key that only the server has: changes when the secret does.
    pub version: Digest,
}

/// The text of a secret. Shown nowhere: `Debug` is redacted, there is no `Display`.
#[derive(
    Clone, PartialEq, Eq, Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop,
)]
pub struct SecretText(String);

impl SecretText {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; every caller is a place where it could leak.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl Value {
    /// What it is, in the words of messages: `a string`, `a list`, …
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Blob(_) => "a blob",
            Self::Secret(_) => "a secret",
        }
    }

    /// The member `key` of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Calls `visit` with every secret in it, however deep.
    pub fn secrets<'a>(&'a self, visit: &mut dyn FnMut(&'a SecretRef)) {
        match self {
            Self::Secret(secret) => visit(secret),
            Self::List(items) => items.iter().for_each(|item| item.secrets(visit)),
            Self::Map(map) => map.values().for_each(|item| item.secrets(visit)),
            _ => {}
        }
    }

    /// Calls `visit` with every blob in it, however deep.
    pub fn blobs(&self, visit: &mut dyn FnMut(Digest)) {
        match self {
            Self::Blob(digest) => visit(*digest),
            Self::List(items) => items.iter().for_each(|item| item.blobs(visit)),
            Self::Map(map) => map.values().for_each(|item| item.blobs(visit)),
            _ => {}
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Value); N]> for Value {
    fn from(pairs: [(K, Value); N]) -> Self {
        Self::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}
