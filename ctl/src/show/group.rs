//! The same on many nodes is said once.

use std::collections::BTreeMap;

use brine_model::converge::{Plan, PlanOutcome, Planned};
use brine_model::name::NodeName;
use brine_model::resource::ResourceId;

/// Nodes, and what is the same on all of them and on no other.
#[derive(Debug)]
pub struct Section<'a, T> {
    pub nodes: Vec<&'a NodeName>,
    pub items: Vec<T>,
}

/// What would change, resource by resource: a file that differs from node to node does not keep
/// everything else about these nodes apart. What concerns most nodes comes first; within a
/// section the order is that of the catalogs.
#[must_use]
pub fn changes(plans: &[(NodeName, Plan)]) -> Vec<Section<'_, &'_ Planned>> {
    // The different outcomes of each resource, with the nodes that have them.
    let mut found: Vec<(&Planned, Vec<usize>)> = Vec::new();
    let mut places: BTreeMap<&ResourceId, Vec<usize>> = BTreeMap::new();
    for (index, (_, plan)) in plans.iter().enumerate() {
        for planned in plan
            .resources
            .iter()
            .filter(|p| p.outcome != PlanOutcome::InSync)
        {
            let known = places.entry(&planned.id).or_default();
            match known.iter().find(|&&place| found[place].0 == planned) {
                Some(&place) => found[place].1.push(index),
                None => {
                    known.push(found.len());
                    found.push((planned, vec![index]));
                }
            }
        }
    }
    sections(plans, found)
}

/// What is released, and where.
#[must_use]
pub fn released(plans: &[(NodeName, Plan)]) -> Vec<Section<'_, &'_ ResourceId>> {
    let mut found: BTreeMap<&ResourceId, Vec<usize>> = BTreeMap::new();
    for (index, (_, plan)) in plans.iter().enumerate() {
        for id in &plan.released {
            found.entry(id).or_default().push(index);
        }
    }
    sections(plans, found.into_iter().collect())
}

fn sections<T>(plans: &[(NodeName, Plan)], found: Vec<(T, Vec<usize>)>) -> Vec<Section<'_, T>> {
    let mut grouped: BTreeMap<Vec<usize>, Vec<T>> = BTreeMap::new();
    for (item, nodes) in found {
        grouped.entry(nodes).or_default().push(item);
    }
    let mut grouped: Vec<_> = grouped.into_iter().collect();
    grouped.sort_by_key(|(nodes, _)| std::cmp::Reverse(nodes.len()));
    let section = |(nodes, items): (Vec<usize>, Vec<T>)| Section {
        nodes: nodes.into_iter().map(|index| &plans[index].0).collect(),
        items,
    };
    grouped.into_iter().map(section).collect()
}
