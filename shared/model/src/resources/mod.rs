//! The kinds of resources. A kind is one file in this folder and one line in the list below.
//!
//! Each file has the fields as people write them (`Fields`, a plain derived struct), how they
//! become a resource (`Declaration::build`), and the resource: its plan and apply over the host
//! traits. There is deliberately no inheritance between kinds; what several share is a part that
//! they hold (`managed::ManagedFile`).

mod absent;
mod apt_repository;
mod block;
mod certificate;
mod command;
mod content;
mod declare;
mod diff;
mod directory;
mod drop_in;
mod etcd;
mod field;
mod file;
mod gluster;
mod group;
mod hosts_entry;
mod line;
mod lines;
mod managed;
mod mount;
mod owed;
mod package;
mod patroni;
mod peer;
mod postgres;
mod program;
mod secret;
mod service;
mod shared_file;
mod symlink;
mod sysctl;
#[cfg(test)]
mod tests;
mod timezone;
mod unit;
mod user;
mod virtual_address;
mod wait_for;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::deserialize::{self, Shape};
use crate::digest::Digest;
use crate::host::HostResult;
use crate::resource::{Resource, ResourceId};
use crate::span::Spanned;
use crate::value::{SecretRef, SecretText, Value};

pub use certificate::{certificate_name, key_ownership};
pub use package::package_list;
pub use service::unit_of;

/// All kinds, in the order of the book.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    vec![
        Kind::of::<file::Fields>(),
        Kind::of::<directory::Fields>(),
        Kind::of::<symlink::Fields>(),
        Kind::of::<absent::Fields>(),
        Kind::of::<line::Fields>(),
        Kind::of::<block::Fields>(),
        Kind::of::<hosts_entry::Fields>(),
        Kind::of::<package::Fields>(),
        Kind::of::<apt_repository::Fields>(),
        Kind::of::<service::Fields>(),
        Kind::of::<unit::Fields>(),
        Kind::of::<drop_in::Fields>(),
        Kind::of::<mount::Fields>(),
        Kind::of::<user::Fields>(),
        Kind::of::<group::Fields>(),
        Kind::of::<timezone::Fields>(),
        Kind::of::<sysctl::Fields>(),
        Kind::of::<command::Fields>(),
        Kind::of::<wait_for::Fields>(),
        Kind::of::<virtual_address::Fields>(),
        Kind::of::<certificate::Fields>(),
        Kind::of::<etcd::member::Fields>(),
        Kind::of::<etcd::voter::Fields>(),
        Kind::of::<patroni::config::Fields>(),
        Kind::of::<patroni::member::Fields>(),
        Kind::of::<postgres::role::Fields>(),
        Kind::of::<postgres::database::Fields>(),
        Kind::of::<gluster::member::Fields>(),
        Kind::of::<gluster::peers::Fields>(),
        Kind::of::<gluster::volume::Fields>(),
        Kind::of::<gluster::brick::Fields>(),
    ]
});

/// A kind of resource.
pub struct Kind {
    pub name: &'static str,
    /// Fields that name a file of the formula; in a catalog they hold its content as
    /// [`Value::Blob`].
    pub path_fields: &'static [PathField],
    /// All fields.
    pub fields: &'static [&'static str],
    /// One sentence for people.
    pub doc: &'static str,
    /// The live facts that it offers, under its formula's name.
    pub live: &'static [&'static str],
    /// What can be done to it beyond making it hold.
    pub actions: &'static [&'static str],
    /// Whether a node may mend it by itself, between applies.
    pub heals: bool,
    /// What its fields take.
    pub shape: fn() -> Shape,
    decode: Decode,
}

type Decode = fn(
    &ResourceId,
    &Spanned,
    Option<&Materials<'_>>,
) -> Result<Box<dyn Resource>, deserialize::Error>;

/// A field that names a file of the formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathField {
    pub name: &'static str,
    pub holds: PathUse,
}

/// What the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathUse {
    /// Rendered on the agent: its secrets and variables belong to the catalog.
    Template,
    /// Copied as it is.
    Source,
}

/// What an agent has and the server has not: with it, templates are rendered.
#[derive(Clone, Copy)]
pub struct Materials<'a> {
    /// What templates see.
    pub context: &'a Value,
    pub blob: &'a dyn Fn(&Digest) -> HostResult<Vec<u8>>,
    /// None for a secret that did not come with the catalog.
    pub secret: &'a dyn Fn(&SecretRef) -> Option<SecretText>,
    /// Units of the services that follow in the same formula: what a package with `start: false`
    /// keeps from starting.
    pub later_services: &'a [String],
}

#[must_use]
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Each kind with its fields.
#[must_use]
pub fn capability_list() -> BTreeMap<String, BTreeSet<String>> {
    let owned = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect();
    KINDS
        .iter()
        .map(|kind| (kind.name.to_owned(), owned(kind.fields)))
        .collect()
}

/// The digest of [`capability_list`]: what an agent tells of itself when it connects.
#[must_use]
pub fn capabilities() -> Digest {
    let list = capability_list();
    let parts = list.iter().flat_map(|(kind, fields)| {
        let fields = fields
            .iter()
            .flat_map(|field| [b".".as_slice(), field.as_bytes()]);
        std::iter::once(kind.as_bytes()).chain(fields)
    });
    Digest::of_parts(parts.collect::<Vec<_>>())
}

impl Kind {
    /// Reads the fields of one resource, without the identity's own key and without meta keys
    /// (`when`, `for_each`, `require`, …).
    ///
    /// Without `materials`, templates are only checked to be there; such a resource can be asked
    /// for its subjects, but not planned.
    ///
    /// # Errors
    /// The fields do not fit, or a template cannot be rendered.
    pub fn decode(
        &self,
        id: &ResourceId,
        fields: &Spanned,
        materials: Option<&Materials<'_>>,
    ) -> Result<Box<dyn Resource>, deserialize::Error> {
        (self.decode)(id, fields, materials)
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
