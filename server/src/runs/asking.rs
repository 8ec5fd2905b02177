//! Asking members for live facts.

use std::collections::BTreeSet;
use std::time::Duration;

use brine_model::catalog::{Entry, Policy};
use brine_model::expression::{Dialect, Expression};
use brine_model::live::LiveFacts;
use brine_model::name::NodeName;
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
    sources: Vec<Entry>,
    conditions: impl IntoIterator<Item = &'a str>,
) -> Vec<Entry> {
    let named: BTreeSet<String> = conditions
        .into_iter()
        .filter_map(|condition| Expression::parse(condition, Dialect::Formula).ok())
        .flat_map(|condition| {
            condition
                .paths()
                .into_iter()
                .map(|used| used.path.first().cloned())
                .collect::<Vec<_>>()
        })
        .flatten()
        .collect();
    let mut sources = sources;
    sources.retain(|source| named.contains(source.formula.as_str()));
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
        let source = |formula: &str| Entry {
            id: format!("x:{formula}").parse().expect("an id"),
            formula: formula.parse().expect("a name"),
            fields: brine_model::value::Map::new(),
            require: vec![],
            origin: brine_model::span::Origin::default(),
        };
        let sources = ["etcd", "patroni", "patroni-x"].map(source).to_vec();
        let told = named(sources, [condition]);
        let told: Vec<&str> = told.iter().map(|source| source.formula.as_str()).collect();
        assert_eq!(told, expected, "{condition}");
    }

    #[test]
    fn only_what_is_named_is_asked() {
        check("patroni.role = \"leader\"", &["patroni"]);
        check("not(etcd.leader) and patroni.lag < 5", &["etcd", "patroni"]);
        check("patroni-x.role = \"patroni\"", &["patroni-x"]);
    }
}
