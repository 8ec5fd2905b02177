//! Asking members for live facts.

use std::time::Duration;

use brine_model::catalog::{Entry, Policy};
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

/// Those of them whose facts a condition names: asking a cluster of which a member is dead takes seconds.
pub(super) fn named(sources: Vec<Entry>, condition: &str) -> Vec<Entry> {
    let outside = |c: char| !(c.is_alphanumeric() || c == '_' || c == '.');
    let named = |source: &Entry| {
        let mut words = condition.split(outside);
        words.any(|word| {
            word.split_once('.').map(|(formula, _)| formula) == Some(source.formula.as_str())
        })
    };
    sources.into_iter().filter(named).collect()
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
