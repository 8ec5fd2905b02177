//! `file`: a file with its content, mode and owner.

use serde::Deserialize;

use super::content::{Body, Given};
use super::declare::{Declaration, Place};
use super::field::{Account, Argv, Mode};
use super::managed::{ManagedFile, accounts, ownership};
use super::program;
use super::{PathField, PathUse};
use crate::deserialize::{BlobField, Error, TextOrSecret};
use crate::host::{Fingerprint, Host, HostResult, ReadHost};
use crate::resource::{Change, Resource, Subject};

/// `file: /etc/haproxy/haproxy.cfg`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// A template file of the formula, rendered on the node.
    template: Option<BlobField>,
    /// A file of the state tree, copied as it is.
    source: Option<BlobField>,
    /// The content itself: text, or one secret.
    content: Option<TextOrSecret>,
    /// Default: root.
    owner: Option<Account>,
    /// Default: root.
    group: Option<Account>,
    /// Default: 0644, of a sensitive file 0600.
    mode: Option<Mode>,
    /// A program that accepts the new content, which `{}` stands for, before it takes its place.
    validate: Option<Argv>,
    /// Write only where nothing is there; mode and owner hold all the same.
    #[serde(default)]
    keep: bool,
    /// Show nobody the content. Of itself where a template can show a secret.
    #[serde(default)]
    sensitive: bool,
}

struct File(ManagedFile);

impl Declaration for Fields {
    const NAME: &'static str = "file";
    const HEALS: bool = true;
    const DOC: &'static str = "A file with its content, mode and owner, replaced atomically.";
    const PATH_FIELDS: &'static [PathField] = &[
        PathField {
            name: "template",
            holds: PathUse::Template,
        },
        PathField {
            name: "source",
            holds: PathUse::Source,
        },
    ];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let path = place.path()?;
        if let Some(Argv(argv)) = &self.validate
            && !argv.iter().any(|argument| argument.contains("{}"))
        {
            let error = place.error("validate", "`validate` does not name the file to check");
            return Err(error.with_help("write {} where the program takes the file's path"));
        }
        let given = Given {
            template: self.template,
            source: self.source,
            content: self.content,
        };
        let body = Body::build(
            given,
            "`template`, `source` and `content`",
            self.sensitive,
            place,
        )?;
        let mode = if body.sensitive { 0o600 } else { 0o644 };
        Ok(Box::new(File(ManagedFile {
            path,
            ownership: ownership(
                self.mode.as_ref(),
                mode,
                self.owner.as_ref(),
                self.group.as_ref(),
            ),
            body,
            validate: self.validate.as_ref().map(program::plain),
            keep: self.keep,
        })))
    }
}

impl Resource for File {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Path(self.0.path.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let directory = self.0.path.parent().map(Subject::Path);
        directory
            .into_iter()
            .chain(accounts(&self.0.ownership))
            .collect()
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
        self.0.fingerprint(host)
    }
}
