//! What a catalog no longer speaks of.

use std::collections::BTreeSet;

use super::prepare::spanned_fields;
use crate::catalog::{Catalog, Entry};
use crate::resource::{ResourceId, Subject};
use crate::resources;

/// The resources of `old` that own something which nothing in `new` owns. It stays on the machine
/// as it is; Brine never deletes what it was not told to.
#[must_use]
pub fn released(old: &Catalog, new: &Catalog) -> Vec<ResourceId> {
    let kept: BTreeSet<Subject> = new.resources.iter().flat_map(subjects).collect();
    let leaves = |entry: &&Entry| {
        subjects(entry)
            .iter()
            .any(|subject| !kept.contains(subject))
    };
    // What was to be absent leaves nothing behind.
    let is_there = |entry: &&Entry| entry.id.kind() != "absent";
    old.resources
        .iter()
        .filter(is_there)
        .filter(leaves)
        .map(|entry| entry.id.clone())
        .collect()
}

/// What an entry leaves behind on the machine: nothing for a command or a wait.
fn subjects(entry: &Entry) -> Vec<Subject> {
    let Some(kind) = resources::kind(entry.id.kind()) else {
        // Another version's kind: known by its name only.
        return vec![Subject::Nothing(entry.id.clone())];
    };
    match kind.decode(&entry.id, &spanned_fields(&entry.fields), None) {
        Ok(resource) => {
            let mut subjects = resource.subjects();
            subjects.retain(|subject| !matches!(subject, Subject::Nothing(_)));
            subjects
        }
        Err(_) => vec![Subject::Nothing(entry.id.clone())],
    }
}
