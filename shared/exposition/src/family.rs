//! What a family is called, and what its numbers are.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

impl Kind {
    /// The format's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// A name or a help text: the program's own, or one that was made at run time, which whoever made it may keep.
#[derive(Debug, Clone)]
pub enum Words {
    Own(&'static str),
    Shared(Arc<str>),
}

impl Deref for Words {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(words) => words,
            Self::Shared(words) => words,
        }
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Words {}

impl Hash for Words {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Borrow<str> for Words {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&'static str> for Words {
    fn from(words: &'static str) -> Self {
        Self::Own(words)
    }
}

impl From<String> for Words {
    fn from(words: String) -> Self {
        Self::Shared(words.into())
    }
}

/// All that is said of a family beside its samples.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub(crate) name: Words,
    pub(crate) help: Words,
    pub(crate) kind: Kind,
}
