//! `unit`: a systemd unit file of our own.

use serde::Deserialize;

use super::content::{Body, Given};
use super::declare::{Declaration, Place};
use super::field::Unit;
use super::managed::{ManagedFile, ownership};
use super::{PathField, PathUse};
use crate::deserialize::{BlobField, Error};
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, Subject};

/// Where units of the administrator lie: they win over a package's.
pub(super) const UNITS: &str = "/etc/systemd/system";

/// `unit: webapp.service`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// A template file of the formula, rendered on the node.
    template: Option<BlobField>,
    /// The text itself.
    content: Option<String>,
}

/// Part of a unit's definition: the file, and that systemd has read it.
pub(super) struct Definition {
    pub(super) unit: String,
    pub(super) file: ManagedFile,
}

struct UnitFile(Definition);

/// How unit files are given and kept: everybody may read them, so nothing secret goes in.
pub(super) fn definition(
    unit: String,
    path: String,
    template: Option<BlobField>,
    content: Option<String>,
    place: &Place<'_>,
) -> Result<Definition, Error> {
    let path = AbsolutePath::try_from(path)
        .map_err(|error| Error::new(place.fields.span, error.to_string()))?;
    let content = content.map(crate::deserialize::TextOrSecret::Text);
    let given = Given {
        template,
        source: None,
        content,
    };
    let body = Body::build(given, "`template` and `content`", false, place)?;
    if body.sensitive {
        let error = place.error(
            "template",
            "a unit file cannot hold a secret: everybody reads it",
        );
        return Err(error.with_help(
            "put it into a file and name that in `EnvironmentFile=` or `LoadCredential=`",
        ));
    }
    let file = ManagedFile {
        path,
        body,
        ownership: ownership(None, 0o644, None, None),
        validate: None,
        keep: false,
    };
    Ok(Definition { unit, file })
}

impl Declaration for Fields {
    const NAME: &'static str = "unit";
    const HEALS: bool = true;
    const DOC: &'static str = "A systemd unit file in /etc/systemd/system.";
    const PATH_FIELDS: &'static [PathField] = &[PathField {
        name: "template",
        holds: PathUse::Template,
    }];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let unit = place.name::<Unit>()?.0;
        let path = format!("{UNITS}/{unit}");
        Ok(Box::new(UnitFile(definition(
            unit,
            path,
            self.template,
            self.content,
            place,
        )?)))
    }
}

impl Definition {
    /// The file's changes, and `daemon-reload` with them, or alone where systemd has not read what
    /// is there: so that a crash between the two loses nothing.
    pub(super) fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let mut changes = self.file.plan(host)?;
        let unread = || match host.unit(&self.unit) {
            // Of a masked unit systemd says so for ever, and reads nothing of it anyway.
            Ok(state) => Ok(state.need_daemon_reload && state.load != "masked"),
            Err(HostError::NotYet(_)) => Ok(false),
            Err(error) => Err(error),
        };
        if !changes.is_empty() || unread()? {
            changes.push(daemon_reload(&self.unit));
        }
        Ok(changes)
    }

    pub(super) fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.file.apply(changes, host)?;
        host.daemon_reload()
    }

    pub(super) fn intent(&self) -> Vec<Change> {
        self.file
            .intent()
            .into_iter()
            .chain([daemon_reload(&self.unit)])
            .collect()
    }
}

/// systemd reads its units anew; nothing is stopped or started.
pub(super) fn daemon_reload(unit: &str) -> Change {
    Change::new("daemon-reload", format!("have systemd read {unit} anew")).with_effects([
        Effect::UnitFile {
            unit: unit.to_owned(),
        },
    ])
}

impl Resource for UnitFile {
    fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject::Path(self.0.file.path.clone()),
            Subject::UnitFile(self.0.unit.clone()),
        ]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        self.0.plan(host)
    }

    fn intent(&self) -> Vec<Change> {
        self.0.intent()
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.0.apply(changes, host)
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.0.file.fingerprint(host)
    }
}
