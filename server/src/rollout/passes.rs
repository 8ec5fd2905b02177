//! Cutting a wave into passes: what all members have to reach before any of them goes on.
//!
//! A role that exists is moved over node by node with all formulas in one step, so that a node is
//! taken out once; only what is done `once` for the role is a barrier. A role that is being formed is
//! cut around each formula that forms something as well: etcd begins on all members at once, and must
//! stand on all before Patroni begins on any.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::converge::Part;
use brine_model::name::{FormulaName, NodeName};
use brine_model::resource::ResourceId;

/// One node's catalog, as far as cutting goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeShape {
    pub(crate) forming: bool,
    /// The formula of each resource, in order.
    pub(crate) formulas: Vec<FormulaName>,
    /// Those that members form together.
    pub(crate) founded: BTreeSet<FormulaName>,
    /// What is done once, with the number of resources before it.
    pub(crate) once: Vec<(u32, ResourceId)>,
}

/// What is done before anything of the next pass begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) kind: PassKind,
    /// On which nodes, and how much of their catalogs.
    pub(crate) parts: BTreeMap<NodeName, Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PassKind {
    /// Each node does its part. In a role that is being formed: all at once, and then the formulas
    /// in it must be healthy.
    Each { forming: bool },
    /// One of the nodes does this.
    Once { resource: ResourceId },
}

/// The passes over the nodes of one wave: those that are being formed first.
pub(crate) fn passes(nodes: &BTreeMap<NodeName, NodeShape>) -> Vec<Pass> {
    let mut found = Vec::new();
    for forming in [true, false] {
        let cuts: BTreeMap<&NodeName, Vec<Cut>> = nodes
            .iter()
            .filter(|(_, shape)| shape.forming == forming)
            .map(|(node, shape)| (node, cut(shape)))
            .collect();
        // Members of one role have the same cuts in the same order; those of others go along.
        let most = cuts.values().map(Vec::len).max().unwrap_or(0);
        for number in 0..most {
            let mut passes: Vec<Pass> = Vec::new();
            for (node, cuts) in &cuts {
                let Some(Cut { kind, part }) = cuts.get(number) else {
                    continue;
                };
                match passes.iter_mut().find(|pass| pass.kind == *kind) {
                    Some(pass) => drop(pass.parts.insert((*node).clone(), *part)),
                    None => passes.push(Pass {
                        kind: kind.clone(),
                        parts: BTreeMap::from([((*node).clone(), *part)]),
                    }),
                }
            }
            found.extend(passes);
        }
    }
    found
}

struct Cut {
    kind: PassKind,
    part: Part,
}

fn cut(shape: &NodeShape) -> Vec<Cut> {
    let end = u32::try_from(shape.formulas.len()).unwrap_or(u32::MAX);
    let barriers = if shape.forming {
        barriers(shape)
    } else {
        BTreeSet::new()
    };
    let mut cuts = Vec::new();
    let mut from = 0;
    let mut once = shape.once.iter().peekable();
    for place in 0..=end {
        let due = once.peek().is_some_and(|(at, _)| *at <= place);
        let over = place == end;
        if from < place && (due || over || barriers.contains(&place)) {
            cuts.push(Cut {
                kind: PassKind::Each {
                    forming: shape.forming,
                },
                part: Part { from, to: place },
            });
            from = place;
        }
        while let Some((_, resource)) = once.next_if(|(at, _)| *at <= place) {
            cuts.push(Cut {
                kind: PassKind::Once {
                    resource: resource.clone(),
                },
                part: Part {
                    from: place,
                    to: place,
                },
            });
        }
    }
    if !cuts
        .iter()
        .any(|cut| cut.part.to == end && matches!(cut.kind, PassKind::Each { .. }))
    {
        // Nothing is left for the last part: it still says that the catalog is the node's own.
        cuts.push(Cut {
            kind: PassKind::Each { forming: false },
            part: Part { from: end, to: end },
        });
    }
    cuts
}

/// Before and behind each formula that members form together. Packages may stand earlier than the
/// rest of their formula, with those of others: what counts is what follows them.
fn barriers(shape: &NodeShape) -> BTreeSet<u32> {
    let mut barriers = BTreeSet::new();
    for founded in &shape.founded {
        let is_of = |(_, formula): &(usize, &FormulaName)| *formula == founded;
        let places = || shape.formulas.iter().enumerate();
        let Some((last, _)) = places().rfind(is_of) else {
            continue;
        };
        let mut first = last;
        while first > 0 && shape.formulas.get(first - 1) == Some(founded) {
            first -= 1;
        }
        barriers.extend(
            [first, last + 1]
                .into_iter()
                .filter_map(|at| u32::try_from(at).ok()),
        );
    }
    barriers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(forming: bool, formulas: &[&str], once: &[(u32, &str)]) -> NodeShape {
        NodeShape {
            forming,
            formulas: formulas
                .iter()
                .map(|name| name.parse().expect("a name"))
                .collect(),
            founded: ["etcd", "patroni"]
                .iter()
                .map(|name| name.parse().expect("a name"))
                .collect(),
            once: once
                .iter()
                .map(|(place, id)| (*place, id.parse().expect("an id")))
                .collect(),
        }
    }

    fn check(nodes: &[(&str, NodeShape)], expected: &[&str]) {
        let nodes = nodes
            .iter()
            .map(|(name, shape)| (name.parse().expect("a name"), shape.clone()))
            .collect();
        let told: Vec<String> = passes(&nodes)
            .iter()
            .map(|pass| {
                let parts: Vec<String> = pass
                    .parts
                    .iter()
                    .map(|(node, part)| format!("{node} {}-{}", part.from, part.to))
                    .collect();
                let kind = match &pass.kind {
                    PassKind::Each { forming: false } => "each".to_owned(),
                    PassKind::Each { forming: true } => "form".to_owned(),
                    PassKind::Once { resource } => format!("once {resource}"),
                };
                format!("{kind}: {}", parts.join(", "))
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_formed_role_is_cut_at_what_is_done_once() {
        let db = || {
            shape(
                false,
                &["etcd", "etcd", "patroni", "patroni"],
                &[(3, "x:a"), (3, "x:b")],
            )
        };
        check(
            &[("db01", db()), ("db02", db())],
            &[
                "each: db01 0-3, db02 0-3",
                "once x:a: db01 3-3, db02 3-3",
                "once x:b: db01 3-3, db02 3-3",
                "each: db01 3-4, db02 3-4",
            ],
        );
        check(
            &[("web01", shape(false, &["app", "app"], &[]))],
            &["each: web01 0-2"],
        );
    }

    #[test]
    fn a_role_that_is_formed_is_cut_around_what_is_formed() {
        let db = || {
            shape(
                true,
                &["base", "etcd", "exporter", "etcd", "etcd", "patroni"],
                &[(0, "x:early"), (6, "x:late")],
            )
        };
        check(
            &[("db01", db()), ("web01", shape(false, &["app"], &[]))],
            &[
                "once x:early: db01 0-0",
                "form: db01 0-3",
                "form: db01 3-5",
                "form: db01 5-6",
                "once x:late: db01 6-6",
                "each: web01 0-1",
            ],
        );
    }

    /// Roles that are formed in one wave go side by side, however many barriers each has.
    #[test]
    fn what_forms_nothing_is_one_part() {
        let monitoring = shape(true, &["base", "metrics", "alerts"], &[]);
        let db = shape(true, &["base", "etcd", "patroni"], &[]);
        check(
            &[("db01", db), ("mon01", monitoring)],
            &[
                "form: db01 0-1, mon01 0-3",
                "form: db01 1-2",
                "form: db01 2-3",
            ],
        );
    }

    #[test]
    fn an_empty_catalog_has_one_part() {
        check(&[("web01", shape(false, &[], &[]))], &["each: web01 0-0"]);
    }
}
