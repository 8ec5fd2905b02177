//! Roles in the order of their `after`.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::name::{NodeName, RoleName};

use super::{Rule, Setup};

/// The nodes to work on, wave after wave. A node of several roles goes with the last of them.
pub(crate) fn waves(setup: &Setup) -> Vec<BTreeSet<NodeName>> {
    let depths: BTreeMap<&RoleName, usize> = setup
        .roles
        .keys()
        .map(|role| (role, depth(role, &setup.roles, setup.roles.len())))
        .collect();
    let mut waves: BTreeMap<usize, BTreeSet<NodeName>> = BTreeMap::new();
    for (name, member) in setup
        .members
        .iter()
        .filter(|(_, member)| member.work.is_some())
    {
        let wave = member
            .roles
            .iter()
            .filter_map(|role| depths.get(role))
            .max();
        waves
            .entry(wave.copied().unwrap_or(0))
            .or_default()
            .insert(name.clone());
    }
    waves.into_values().collect()
}

/// How many roles must go before, one after the other. The compiler has refused circles; `left`
/// ends the search all the same.
fn depth(role: &RoleName, rules: &BTreeMap<RoleName, Rule>, left: usize) -> usize {
    let Some(rule) = rules.get(role).filter(|_| left > 0) else {
        return 0;
    };
    let earlier = rule
        .after
        .iter()
        .filter(|earlier| rules.contains_key(*earlier));
    earlier
        .map(|earlier| 1 + depth(earlier, rules, left - 1))
        .max()
        .unwrap_or(0)
}
