//! `drop_in`: a few lines that change a unit of somebody else.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::Unit;
use super::managed::ownership;
use super::unit::{Definition, UNITS, definition};
use super::{PathField, PathUse};
use crate::deserialize::{BlobField, Error, Located};
use crate::host::{Fingerprint, Host, HostResult, ReadHost};
use crate::resource::{Change, Resource, Subject};

/// `drop_in: haproxy.service/limits` is /etc/systemd/system/haproxy.service.d/limits.conf.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// The unit; default: what stands before the slash of the identity.
    unit: Option<Unit>,
    /// The file's name without `.conf`; default: what stands after the slash of the identity.
    name: Option<Located<String>>,
    /// A template file of the formula, rendered on the node.
    template: Option<BlobField>,
    /// The text itself.
    content: Option<String>,
}

struct DropIn(Definition);

impl Declaration for Fields {
    const NAME: &'static str = "drop_in";
    const HEALS: bool = true;
    const DOC: &'static str = "A drop-in that changes a systemd unit.";
    const PATH_FIELDS: &'static [PathField] = &[PathField {
        name: "template",
        holds: PathUse::Template,
    }];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let whole = place.fields.span;
        let split = place.id.name().split_once('/');
        let (unit, name) = match (self.unit, self.name, split) {
            (Some(unit), Some(name), _) => (unit, name),
            (None, None, Some((unit, name))) => {
                let unit = Unit::try_from(unit.to_owned()).map_err(|why| Error::new(whole, why))?;
                (
                    unit,
                    Located {
                        span: whole,
                        value: name.to_owned(),
                    },
                )
            }
            _ => {
                let error = Error::new(
                    whole,
                    "which unit it changes, and its own name, is not clear",
                );
                return Err(
                    error.with_help("write `drop_in: UNIT/NAME`, or give both `unit` and `name`")
                );
            }
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let text = name.value.strip_suffix(".conf").unwrap_or(&name.value);
        if text.is_empty() || text.starts_with('.') || !text.bytes().all(good) {
            let message = format!("`{}` is not the name of a drop-in", name.value);
            return Err(Error::new(name.span, message));
        }
        let path = format!("{UNITS}/{}.d/{text}.conf", unit.0);
        Ok(Box::new(DropIn(definition(
            unit.0,
            path,
            self.template,
            self.content,
            place,
        )?)))
    }
}

impl Resource for DropIn {
    /// The path only: a unit has one file, but any number of drop-ins.
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Path(self.0.file.path.clone())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        self.0.plan(host)
    }

    fn intent(&self) -> Vec<Change> {
        self.0.intent()
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        if let Some(directory) = self.0.file.path.parent()
            && host.stat(&directory)?.is_none()
        {
            host.make_directory(&directory, &ownership(None, 0o755, None, None))?;
        }
        self.0.apply(changes, host)
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        self.0.file.fingerprint(host)
    }
}
