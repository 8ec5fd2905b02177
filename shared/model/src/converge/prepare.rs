//! Decodes a catalog, all of it, before anything is looked at or touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Entry};
use crate::deserialize;
use crate::digest::Digest;
use crate::host::HostResult;
use crate::name::FormulaName;
use crate::resource::{Resource, ResourceId, Subject};
use crate::resources::{self, Kind, Materials};
use crate::span::{Origin, Span, Spanned};
use crate::value::{Map, SecretRef, SecretText, Value};

/// A catalog ready to plan and apply: decoded, with its templates rendered.
///
/// Deliberately without `Debug`: it holds the content of sensitive files.
pub struct Prepared {
    items: Vec<Item>,
    index: BTreeMap<ResourceId, usize>,
}

pub(super) struct Item {
    pub(super) id: ResourceId,
    pub(super) formula: FormulaName,
    pub(super) require: Vec<ResourceId>,
    pub(super) resource: Box<dyn Resource>,
}

/// Why a resource cannot even be planned on this agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{resource} ({origin}): {message}")]
pub struct PrepareError {
    pub resource: ResourceId,
    pub origin: Origin,
    pub message: String,
}

/// Decodes every resource and renders every template.
///
/// # Errors
/// All that is wrong, resource by resource. A kind or field that this program does not know says
/// that a newer agent is needed: the server has it, or it would not be in the catalog.
pub fn prepare(
    catalog: &Catalog,
    blob: &dyn Fn(&Digest) -> HostResult<Vec<u8>>,
    secret: &dyn Fn(&SecretRef) -> Option<SecretText>,
) -> Result<Prepared, Vec<PrepareError>> {
    let mut prepared = Prepared {
        items: Vec::new(),
        index: BTreeMap::new(),
    };
    let mut errors = Vec::new();
    for (position, entry) in catalog.resources.iter().enumerate() {
        let later_services = later_services(entry, &catalog.resources[position + 1..]);
        let materials = Materials {
            context: catalog.contexts.get(&entry.formula).unwrap_or(&Value::Null),
            blob,
            secret,
            later_services: &later_services,
        };
        match decode(entry, &materials) {
            Ok(resource) => prepared.push(entry, resource),
            Err(messages) => errors.extend(messages.into_iter().map(|message| PrepareError {
                resource: entry.id.clone(),
                origin: entry.origin.clone(),
                message,
            })),
        }
    }
    if errors.is_empty() {
        Ok(prepared)
    } else {
        Err(errors)
    }
}

impl Prepared {
    /// In the order to apply them.
    pub fn ids(&self) -> impl Iterator<Item = &ResourceId> {
        self.items.iter().map(|item| &item.id)
    }

    /// What each resource owns: what to watch for drift.
    pub fn subjects(&self) -> impl Iterator<Item = (&ResourceId, Vec<Subject>)> {
        self.items
            .iter()
            .map(|item| (&item.id, item.resource.subjects()))
    }

    #[must_use]
    pub fn resource(&self, id: &ResourceId) -> Option<&dyn Resource> {
        self.index
            .get(id)
            .map(|&position| self.items[position].resource.as_ref())
    }

    /// What must be right before `id` is.
    #[must_use]
    pub fn requires(&self, id: &ResourceId) -> &[ResourceId] {
        self.index
            .get(id)
            .map_or(&[], |&position| &self.items[position].require)
    }

    /// `ids`, and what compares itself with any of them: the service behind a file.
    #[must_use]
    pub fn with_dependants(&self, mut ids: BTreeSet<ResourceId>) -> BTreeSet<ResourceId> {
        for item in &self.items {
            if item.resource.watches().iter().any(|id| ids.contains(id)) {
                ids.insert(item.id.clone());
            }
        }
        ids
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    fn push(&mut self, entry: &Entry, resource: Box<dyn Resource>) {
        self.index.insert(entry.id.clone(), self.items.len());
        self.items.push(Item {
            id: entry.id.clone(),
            formula: entry.formula.clone(),
            require: entry.require.clone(),
            resource,
        });
    }
}

/// What a kind decodes: a catalog has no source text, so nothing here has a span.
pub(super) fn spanned_fields(fields: &Map) -> Spanned {
    Spanned::from_value(Value::Map(fields.clone()), Span::default())
}

fn decode(entry: &Entry, materials: &Materials<'_>) -> Result<Box<dyn Resource>, Vec<String>> {
    let name = entry.id.kind();
    let Some(kind) = resources::kind(name) else {
        return Err(vec![format!(
            "this agent does not know resources of kind `{name}`: it needs a newer agent"
        )]);
    };
    let unknown = unknown_fields(kind, &entry.fields);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    kind.decode(&entry.id, &spanned_fields(&entry.fields), Some(materials))
        .map_err(|error| {
            let message = |error: deserialize::Error| match error.help {
                Some(help) => format!("{}: {help}", error.message),
                None => error.message,
            };
            error.into_all().into_iter().map(message).collect()
        })
}

fn unknown_fields(kind: &Kind, fields: &Map) -> Vec<String> {
    fields
        .keys()
        .filter(|field| !kind.fields.contains(&field.as_str()))
        .map(|field| {
            let kind = kind.name;
            format!("this agent does not know `{field}` of `{kind}`: it needs a newer agent")
        })
        .collect()
}

/// The units of the services that follow `entry` in its formula.
fn later_services(entry: &Entry, later: &[Entry]) -> Vec<String> {
    later
        .iter()
        .filter(|other| other.formula == entry.formula && other.id.kind() == "service")
        .map(|service| resources::unit_of(service.id.name()))
        .collect()
}
