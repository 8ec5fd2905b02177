//! What every kind of resource offers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::time::Timestamp;
use crate::value::Map;

/// `file:/etc/hosts`, `package:haproxy`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceId {
    kind: String,
    name: String,
}

impl ResourceId {
    #[must_use]
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
        }
    }

    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The text is not `kind:name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a resource: expected `kind:name`, as in `file:/etc/hosts`")]
pub struct InvalidResourceId(String);

impl FromStr for ResourceId {
    type Err = InvalidResourceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self::new(kind, name)),
            _ => Err(InvalidResourceId(text.to_owned())),
        }
    }
}

impl TryFrom<String> for ResourceId {
    type Error = InvalidResourceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Something on a machine that has at most one owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    Path(AbsolutePath),
    Package(String),
    /// A unit's definition.
    UnitFile(String),
    /// A unit's state: running, enabled.
    Service(String),
    User(String),
    Group(String),
    /// A part of a file that others have parts of, too.
    Part {
        path: AbsolutePath,
        part: ResourceId,
    },
    /// Nothing on the machine, only its own identity (a command, a wait).
    Nothing(ResourceId),
}

/// What a change does to service, from least to most.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    #[default]
    None,
    Reload,
    Restart,
    Reboot,
}

/// What will be true once a change is made; a plan's later resources see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The path will hold a file with this content, mode and ownership.
    File {
        path: AbsolutePath,
        digest: Digest,
        mode: u32,
        owner: String,
        group: String,
    },
    Directory {
        path: AbsolutePath,
        mode: u32,
        owner: String,
        group: String,
    },
    Symlink {
        path: AbsolutePath,
        target: String,
    },
    Absent {
        path: AbsolutePath,
    },
    /// The package will be installed; what it brings (files, users, units) is not known.
    Package {
        name: String,
        version: Option<String>,
    },
    UnitFile {
        unit: String,
    },
    Service {
        unit: String,
        running: bool,
        enabled: bool,
    },
    User {
        name: String,
    },
    Group {
        name: String,
    },
    /// It changes something nobody can predict: a command.
    Unknown,
}

/// A difference between what is and what must be, with what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// One word for the kind of change, stable: approval binds to it. `create`, `content`,
    /// `mode`, `owner`, `install`, `start`, `enable`, `restart`, `reload`, …
    pub verb: String,
    /// For people: `mode 0600 → 0644`.
    pub text: String,
    /// Old and new text of a file, where it may be shown.
    pub diff: Option<Diff>,
    pub impact: Impact,
    pub effects: Vec<Effect>,
}

impl Change {
    /// One that interrupts nobody, and leaves nothing that others of the plan can be told of.
    pub fn new(verb: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            verb: verb.into(),
            text: text.into(),
            diff: None,
            impact: Impact::None,
            effects: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_impact(self, impact: Impact) -> Self {
        Self { impact, ..self }
    }

    #[must_use]
    pub fn with_effects(self, effects: impl IntoIterator<Item = Effect>) -> Self {
        let effects = effects.into_iter().collect();
        Self { effects, ..self }
    }
}

/// Two texts to compare; how it is drawn is up to `ctl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Diff {
    /// A unified diff, three lines of context, bounded to 64 KiB.
    Text(String),
    /// The content changes and is a secret's.
    Sensitive,
    /// The content changes and is not text: bytes before, bytes after.
    Binary { before: Option<u64>, after: u64 },
}

/// One typed thing that must hold on a node.
pub trait Resource: Send + Sync {
    /// What it owns. Feeds conflicts, automatic edges and drift watches.
    fn subjects(&self) -> Vec<Subject>;

    /// What it stands on: ordered behind the owners of these where the catalog has them.
    fn needs(&self) -> Vec<Subject> {
        Vec::new()
    }

    /// Resources that it names in its own fields (`restart_on`, `on_change`): ordered behind.
    fn watches(&self) -> Vec<ResourceId> {
        Vec::new()
    }

    /// What differs now.
    ///
    /// # Errors
    /// The machine could not be looked at, or an earlier change leaves it unknowable.
    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>>;

    /// In a plan where looking answered "not yet": what would be done as far as the declaration
    /// alone tells.
    fn intent(&self) -> Vec<Change>;

    /// Makes the changes that [`Resource::plan`] gave.
    ///
    /// # Errors
    /// The machine refused; what was done until then stays.
    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()>;

    /// What a dependant compares: file content, package version, unit definition. Default: always the
    /// same, for what nothing can depend on but by order.
    ///
    /// # Errors
    /// The machine could not be looked at.
    fn fingerprint(&self, _host: &dyn ReadHost) -> HostResult<Fingerprint> {
        Ok(Fingerprint {
            digest: Digest::of(b""),
            changed_at: Some(Timestamp(i64::MIN)),
        })
    }

    /// Called after the resource was found in sync by an apply; a service notes what it runs on.
    ///
    /// # Errors
    /// The note could not be kept.
    fn confirm(&self, _host: &mut dyn Host) -> HostResult<()> {
        Ok(())
    }

    /// Live facts: how what it looks after stands at this moment. Names are those of the kind's
    /// `LIVE`; what cannot be told is left out, and is *unknown* to whoever asks. Needs no secret.
    ///
    /// # Errors
    /// Nothing can be told at all.
    fn live(&self, _host: &dyn ReadHost) -> HostResult<Map> {
        Ok(Map::new())
    }

    /// Does one of the kind's `ACTIONS`; what was done, in words for people.
    ///
    /// # Errors
    /// It did not come out as it should.
    fn act(&self, action: &str, _host: &mut dyn Host) -> HostResult<String> {
        Err(crate::host::HostError::failed(
            format!("do `{action}`"),
            "this kind of resource has no such action",
        ))
    }

    /// Some: adjacent packages are installed in one transaction.
    fn package_request(&self, _host: &dyn ReadHost) -> Option<crate::host::PackageRequest> {
        None
    }
}
