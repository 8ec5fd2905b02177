//! A run that may do exactly what was agreed to before: a saved plan, or a run to go on with.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::converge::Approval;
use brine_model::digest::Digest;
use brine_model::name::NodeName;
use brine_model::resource::ResourceId;
use brine_wire::operator::Agreed;

/// Whether a run over these catalogs, which would need these approvals, does no more than that.
///
/// # Errors
/// What has changed since, for people.
pub(super) fn check(
    agreed: &Agreed,
    catalogs: &BTreeMap<NodeName, Digest>,
    needed: &BTreeMap<NodeName, Approval>,
    once: &BTreeSet<ResourceId>,
) -> Result<(), String> {
    let mut changed = Vec::new();
    // Which member does what is done once may be another by now.
    let mut anywhere = Approval::default();
    for node in agreed.nodes.values() {
        for (id, verbs) in node.approval.0.iter().filter(|(id, _)| once.contains(id)) {
            let known = anywhere.0.entry(id.clone()).or_default();
            known.extend(verbs.iter().cloned());
        }
    }
    for (node, catalog) in catalogs {
        match agreed.nodes.get(node) {
            None => changed.push(format!("{node} was not part of it")),
            Some(agreed) if agreed.catalog != *catalog => {
                changed.push(format!("the catalog of {node} is another one by now"));
            }
            Some(agreed) => {
                let Some(needed) = needed.get(node) else {
                    continue;
                };
                let mut more = needed.0.iter().filter(|(id, verbs)| {
                    let alone = Approval(BTreeMap::from([((*id).clone(), (*verbs).clone())]));
                    let own = agreed.approval.includes(&alone);
                    !own && !anywhere.includes(&alone)
                });
                if let Some((id, verbs)) = more.next() {
                    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
                    changed.push(format!("{node} would now {} {id}", verbs.join(", ")));
                }
            }
        }
    }
    let gone = agreed
        .nodes
        .keys()
        .filter(|node| !catalogs.contains_key(*node));
    changed.extend(gone.map(|node| format!("{node} is no part of it any more")));
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "what was agreed to is stale: {}: plan again",
        changed.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brine_wire::operator::AgreedNode;

    fn approval(pairs: &[(&str, &[&str])]) -> Approval {
        let pairs = pairs.iter().map(|(id, verbs)| {
            let verbs = verbs.iter().map(|&verb| verb.to_owned()).collect();
            (id.parse().expect("an id"), verbs)
        });
        Approval(pairs.collect())
    }

    fn check_case(catalog: &str, needed: &[(&str, &[&str])], expected: &str) {
        let node: NodeName = "db01".parse().expect("a name");
        let agreed = Agreed {
            nodes: BTreeMap::from([(
                node.clone(),
                AgreedNode {
                    catalog: Digest::of(b"a"),
                    approval: approval(&[("file:/a", &["content", "mode"])]),
                },
            )]),
        };
        let catalogs = BTreeMap::from([(node.clone(), Digest::of(catalog.as_bytes()))]);
        let needed = BTreeMap::from([(node, approval(needed))]);
        let once = BTreeSet::from(["x:once".parse().expect("an id")]);
        let told = check(&agreed, &catalogs, &needed, &once)
            .err()
            .unwrap_or_default();
        assert!(
            told.contains(expected) && told.is_empty() == expected.is_empty(),
            "{told}"
        );
    }

    #[test]
    fn exactly_that_or_less() {
        check_case("a", &[("file:/a", &["content"])], "");
        check_case("a", &[], "");
        check_case(
            "a",
            &[("file:/a", &["create"])],
            "db01 would now create file:/a",
        );
        check_case("a", &[("service:x", &["restart"])], "restart service:x");
        check_case("b", &[], "another one by now");
    }
}
