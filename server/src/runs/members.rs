//! The members of the roles that a run touches, as they are when its rollout begins.
//!
//! Read anew then: a run may have waited, for a lease or for a yes, while others formed a role.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::catalog::Health;
use brine_model::name::{NodeName, RoleName};

use super::health::conditions;
use crate::compile::Snapshot;
use crate::rollout::{Member, Rule, Setup};
use crate::store::NodeRecord;

/// All registered members of the targets' roles, targeted or not. Of a role that is not in
/// `forming` it is taken that it exists.
pub(super) fn setup(
    targets: &[NodeName],
    forming: &BTreeSet<RoleName>,
    snapshot: &Snapshot,
) -> Setup {
    let roles = roles_of(targets, snapshot);
    let members = snapshot.nodes.iter().filter_map(|node| {
        let own: BTreeSet<RoleName> = node
            .roles
            .iter()
            .filter(|role| roles.contains(*role))
            .cloned()
            .collect();
        let formed = formed(node)
            .intersection(&own)
            .filter(|role| !forming.contains(*role))
            .cloned()
            .collect();
        let concerned = !own.is_empty() || targets.contains(&node.name);
        concerned.then(|| {
            (
                node.name.clone(),
                Member {
                    roles: own,
                    formed,
                    work: None,
                },
            )
        })
    });
    let rules = roles.iter().map(|role| {
        let policies = snapshot
            .compilation
            .catalogs
            .values()
            .flat_map(|c| &c.policies);
        let of_role = policies.filter(|policy| policy.role == *role);
        let max_unavailable = of_role
            .map(|policy| policy.max_unavailable)
            .min()
            .unwrap_or(1);
        let info = snapshot.compilation.roles.get(role);
        let after = info
            .map(|info| info.after.iter().cloned().collect())
            .unwrap_or_default();
        (
            role.clone(),
            Rule {
                max_unavailable,
                after,
                forming: forming.contains(role),
            },
        )
    });
    Setup {
        members: members.collect(),
        roles: rules.collect(),
    }
}

/// The roles that have been applied to a node, as the policies of its last catalog tell.
pub(super) fn formed(node: &NodeRecord) -> BTreeSet<RoleName> {
    if node.is_bare() {
        // The cluster still counts on whoever had the place before: it is missed until it is back.
        return if node.generation > 0 {
            node.roles.iter().cloned().collect()
        } else {
            BTreeSet::new()
        };
    }
    let applied: BTreeSet<RoleName> = node
        .policies
        .iter()
        .map(|policy| policy.role.clone())
        .collect();
    // Not known any more which: to count it in all of them is the careful guess.
    if applied.is_empty() {
        node.roles.iter().cloned().collect()
    } else {
        applied
    }
}

/// Until its step, a member is asked what its last applied catalog says: the new one may speak of a
/// port that nobody listens on yet.
pub(super) fn asked_before(setup: &Setup, snapshot: &Snapshot) -> BTreeMap<NodeName, Vec<Health>> {
    let of = |name: &NodeName| {
        let node = snapshot.node(name)?;
        if node.is_bare() {
            return Some((name.clone(), Vec::new()));
        }
        let compiled = snapshot
            .compilation
            .catalogs
            .get(name)
            .map(|c| c.policies.as_slice());
        let known = if node.policies.is_empty() {
            compiled.unwrap_or_default()
        } else {
            &node.policies
        };
        Some((name.clone(), conditions(known)))
    };
    setup.members.keys().filter_map(of).collect()
}

pub(super) fn roles_of(nodes: &[NodeName], snapshot: &Snapshot) -> BTreeSet<RoleName> {
    nodes
        .iter()
        .filter_map(|node| snapshot.node(node))
        .flat_map(|node| node.roles.clone())
        .collect()
}
