//! Cutting a wave into passes: what all members have to reach before any of them goes on.
//!
//! A role that exists is moved over node by node with all formulas in one step, so that a node is
//! taken out once; only what is done `once` for the role is a barrier. A role that is being formed is
//! cut at each formula as well: etcd must stand on all members before Patroni begins on any.

use std::collections::BTreeMap;

use brine_model::converge::Part;
use brine_model::name::{FormulaName, NodeName};
use brine_model::resource::ResourceId;

/// One node's catalog, as far as cutting goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeShape {
    pub(crate) forming: bool,
    /// The formula of each resource, in order.
    pub(crate) formulas: Vec<FormulaName>,
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
    /// Each node does its part. In a role that is being formed: all at once, and then this formula
    /// must be healthy.
    Each { forming: Option<FormulaName> },
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
    let formula = |place: u32| shape.formulas.get(place as usize);
    let mut cuts = Vec::new();
    let mut from = 0;
    let mut once = shape.once.iter().peekable();
    for place in 0..=end {
        let due = once.peek().is_some_and(|(at, _)| *at <= place);
        let changes = place > 0 && formula(place) != formula(place - 1);
        let over = place == end;
        if from < place && (due || over || (shape.forming && changes)) {
            let forming = formula(place - 1).filter(|_| shape.forming).cloned();
            cuts.push(Cut {
                kind: PassKind::Each { forming },
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
            kind: PassKind::Each { forming: None },
            part: Part { from: end, to: end },
        });
    }
    cuts
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
                    PassKind::Each { forming: None } => "each".to_owned(),
                    PassKind::Each {
                        forming: Some(formula),
                    } => format!("form {formula}"),
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
    fn a_role_that_is_formed_is_cut_at_each_formula() {
        let db = || {
            shape(
                true,
                &["base", "etcd", "etcd", "patroni"],
                &[(0, "x:early"), (4, "x:late")],
            )
        };
        check(
            &[("db01", db()), ("web01", shape(false, &["app"], &[]))],
            &[
                "once x:early: db01 0-0",
                "form base: db01 0-1",
                "form etcd: db01 1-3",
                "form patroni: db01 3-4",
                "once x:late: db01 4-4",
                "each: web01 0-1",
            ],
        );
    }

    #[test]
    fn an_empty_catalog_has_one_part() {
        check(&[("web01", shape(false, &[], &[]))], &["each: web01 0-0"]);
    }
}
