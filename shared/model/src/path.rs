//! Paths on a managed node.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// An absolute path without `.`, `..`, empty components or a trailing slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsolutePath(String);

/// The text is not a path that a resource may name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    #[error("`{0}` is not an absolute path")]
    Relative(String),
    #[error("`{0}` has a `.`, `..` or empty component")]
    NotNormal(String),
    #[error("the path has a NUL character")]
    Nul,
}

impl AbsolutePath {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The directory it lies in; none for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, name) = self.0.rsplit_once('/')?;
        match (parent, name) {
            (_, "") => None,
            ("", _) => Some(Self("/".to_owned())),
            _ => Some(Self(parent.to_owned())),
        }
    }

    /// The last component; empty for `/`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// `self/name`, for a name that is one component.
    ///
    /// # Errors
    /// The name has a slash or is `.`, `..` or empty.
    pub fn join(&self, name: &str) -> Result<Self, InvalidPath> {
        Self::try_from(format!("{}/{name}", self.0.trim_end_matches('/')))
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.contains('\0') {
            return Err(InvalidPath::Nul);
        }
        let Some(relative) = text.strip_prefix('/') else {
            return Err(InvalidPath::Relative(text));
        };
        let normal = relative.is_empty()
            || relative
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
        if normal {
            Ok(Self(text))
        } else {
            Err(InvalidPath::NotNormal(text))
        }
    }
}

impl std::str::FromStr for AbsolutePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<AbsolutePath> for String {
    fn from(path: AbsolutePath) -> Self {
        path.0
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_absolute_paths_only() {
        for bad in ["", "a", "/a/", "/a//b", "/a/../b", "/./a", "/a\0"] {
            assert!(bad.parse::<AbsolutePath>().is_err(), "{bad}");
        }
        let path: AbsolutePath = "/etc/a.cfg".parse().expect("valid");
        assert_eq!(path.parent().map(String::from).as_deref(), Some("/etc"));
        assert_eq!(path.file_name(), "a.cfg");
        let root: AbsolutePath = "/".parse().expect("valid");
        assert_eq!(root.parent(), None);
        assert_eq!(root.join("x").map(String::from), Ok("/x".to_owned()));
    }
}
