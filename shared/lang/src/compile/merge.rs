//! One owner for everything on a node.

use std::collections::BTreeMap;

use brine_model::resource::Subject;

use super::expand::Planned;
use crate::issue::Issue;

/// Merges equal declarations of one thing into the first; unequal ones are errors that show both.
pub(super) fn merge(planned: Vec<Planned>, issues: &mut Vec<Issue>) -> Vec<Planned> {
    let mut kept: Vec<Planned> = Vec::new();
    let mut owners: BTreeMap<Subject, usize> = BTreeMap::new();
    for candidate in planned {
        let subjects = candidate.resource.subjects();
        let owned = subjects
            .iter()
            .find_map(|s| owners.get(s).map(|owner| (s, *owner)));
        let same_id = kept
            .iter()
            .position(|other| other.entry.id == candidate.entry.id);
        let rival = owned.map(|(_, owner)| owner).or(same_id);
        let Some(index) = rival else {
            owners.extend(subjects.into_iter().map(|subject| (subject, kept.len())));
            kept.push(candidate);
            continue;
        };
        let first = &mut kept[index];
        if first.entry.id == candidate.entry.id && first.entry.fields == candidate.entry.fields {
            for required in candidate.require {
                if !first.require.iter().any(|(id, _)| *id == required.0) {
                    first.require.push(required);
                }
            }
            continue;
        }
        issues.push(conflict(
            first,
            &candidate,
            owned.map(|(subject, _)| subject),
        ));
    }
    kept
}

fn conflict(first: &Planned, second: &Planned, subject: Option<&Subject>) -> Issue {
    let (one, two) = (&first.entry, &second.entry);
    let message = if one.id == two.id {
        format!("`{}` is declared twice, and differently", one.id)
    } else {
        let what = subject.map_or_else(|| "the same thing".to_owned(), describe);
        format!("`{}` and `{}` both own {what}", one.id, two.id)
    };
    let differing = one
        .fields
        .iter()
        .filter(|(key, value)| two.fields.get(*key) != Some(value))
        .map(|(key, _)| key)
        .chain(
            two.fields
                .keys()
                .filter(|key| !one.fields.contains_key(*key)),
        )
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>();
    let help = if one.id == two.id && !differing.is_empty() {
        format!(
            "they differ in {}; make them equal, or leave one out",
            differing.join(", ")
        )
    } else {
        "leave one of them out".to_owned()
    };
    Issue::error(second.span, message)
        .with_place(
            first.span,
            format!("first declared here, by `{}`", one.formula),
        )
        .with_help(help)
}

fn describe(subject: &Subject) -> String {
    match subject {
        Subject::Path(path) => format!("the path `{}`", path.as_str()),
        Subject::Package(name) => format!("the package `{name}`"),
        Subject::UnitFile(unit) => format!("the definition of `{unit}`"),
        Subject::Service(unit) => format!("the state of `{unit}`"),
        Subject::User(name) => format!("the user `{name}`"),
        Subject::Group(name) => format!("the group `{name}`"),
        Subject::Part { path, part } => format!("`{part}` in the file `{}`", path.as_str()),
        Subject::Nothing(id) => format!("`{id}`"),
    }
}
