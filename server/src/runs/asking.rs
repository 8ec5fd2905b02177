//! Asking members for live facts.

use std::time::Duration;

use brine_model::catalog::{Entry, Policy};
use brine_model::expression::{Dialect, Expression, PathUse};
use brine_model::live::LiveFacts;
use brine_model::name::NodeName;
use brine_model::resources;
use brine_wire::job::{JobId, JobResult, Task};

use super::perform::{Order, perform};
use super::recorder::Recorder;
use crate::rollout::Rank;

/// A member whose programs hang must not hold the others up for longer.
const WITHIN: Duration = Duration::from_secs(60);

/// What tells the live facts of a node's roles, each once.
pub(super) fn sources(policies: &[Policy]) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for source in policies.iter().flat_map(|policy| &policy.sources) {
        if !found.iter().any(|one| one.id == source.id) {
            found.push(source.clone());
        }
    }
    found
}

/// Those of them whose facts the conditions name: asking a cluster of which a member is dead takes
/// seconds. A condition that cannot be read is for whoever evaluates it to say.
pub(super) fn named<'a>(
    mut sources: Vec<Entry>,
    conditions: impl IntoIterator<Item = &'a str>,
) -> Vec<Entry> {
    let facts: Vec<PathUse> = conditions
        .into_iter()
        .filter_map(|condition| Expression::parse(condition, Dialect::Formula).ok())
        .flat_map(|condition| condition.paths())
        .collect();
    sources.retain(|source| {
        let tells = resources::kind(source.id.kind()).map_or(&[] as &[&str], |kind| kind.live);
        facts.iter().any(|fact| match fact.path.as_slice() {
            [formula, name, ..] => {
                formula == source.formula.as_str() && tells.contains(&name.as_str())
            }
            _ => false,
        })
    });
    sources
}

/// Asks one member.
///
/// # Errors
/// It did not answer; with why, for people.
pub(super) async fn live(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    sources: Vec<Entry>,
) -> Result<LiveFacts, String> {
    let order = Order {
        node,
        id,
        task: Task::Live(sources),
        within: WITHIN,
        shown: None,
    };
    match perform(recorder, order).await {
        Ok(JobResult::Live(facts)) => Ok(facts),
        Ok(JobResult::Failed(why)) => Err(why),
        Ok(_) => Err("its agent answered another question".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where the formulas' order puts a member that tells this of itself.
pub(super) fn rank(policies: &[Policy], facts: &LiveFacts) -> Rank {
    use brine_model::catalog::End;
    let mut rules = policies.iter().flat_map(|policy| &policy.order);
    let decides = rules.find(|rule| facts.holds(&rule.condition.text) == Ok(Some(true)));
    match decides.map(|rule| rule.end) {
        Some(End::First) => Rank::First,
        Some(End::Last) => Rank::Last,
        None => Rank::Between,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(condition: &str, expected: &[&str]) {
        let source = |(formula, id): (&str, &str)| Entry {
            id: id.parse().expect("an id"),
            formula: formula.parse().expect("a name"),
            fields: brine_model::value::Map::new(),
            require: vec![],
            origin: brine_model::span::Origin::default(),
        };
        let sources = [
            ("etcd", "etcd_member:a"),
            ("patroni", "patroni_member:b"),
            ("patroni-x", "patroni_member:c"),
            ("glusterfs", "gluster_member:d"),
            ("glusterfs", "gluster_brick:/e"),
        ];
        let told = named(sources.map(source).to_vec(), [condition]);
        let told: Vec<&str> = told.iter().map(|source| source.id.name()).collect();
        assert_eq!(told, expected, "{condition}");
    }

    #[test]
    fn only_what_is_named_is_asked() {
        check("patroni.role = \"leader\"", &["b"]);
        check("not(etcd.leader) and patroni.lag < 5", &["a", "b"]);
        check("patroni-x.role = \"patroni\"", &["c"]);
        check("glusterfs.speaker", &["d"]);
        check("glusterfs.online and glusterfs.backlog = 0", &["/e"]);
    }
}
