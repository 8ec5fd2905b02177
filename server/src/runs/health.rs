//! How members stand, asked on the members themselves.

use std::time::Duration;

use brine_model::catalog::{Health, Policy};
use brine_model::name::NodeName;
use brine_wire::job::{JobId, JobResult, Task};
use brine_wire::run::NodeState;

use super::perform::{NoResult, Order, perform};
use super::recorder::Recorder;
use crate::rollout::Standing;
use crate::store::StoreError;

/// An agent's answer may come a little later than the condition's own deadline.
const SLACK: Duration = Duration::from_secs(15);

/// All conditions of a node's roles, each once.
pub(super) fn conditions(policies: &[Policy]) -> Vec<Health> {
    let mut found: Vec<Health> = Vec::new();
    for health in policies.iter().flat_map(|policy| &policy.healthy) {
        if !found.contains(health) {
            found.push(health.clone());
        }
    }
    found
}

/// How a member stands now: for a gate, so without waiting long for it to get better.
pub(super) async fn standing(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    mut conditions: Vec<Health>,
) -> Standing {
    let limits = recorder.shared.limits;
    if recorder
        .shared
        .fleet
        .wait_at_most(node, limits.reconnect)
        .await
        .is_none()
    {
        return Standing::Disconnected;
    }
    if !recorder
        .shared
        .fleet
        .is_there(node, limits.sign_of_life)
        .await
    {
        return Standing::Disconnected;
    }
    if conditions.is_empty() {
        return Standing::Available;
    }
    let most = u32::try_from(limits.gate.as_secs()).unwrap_or(u32::MAX);
    let asked = conditions.len();
    for condition in &mut conditions {
        condition.within = condition.within.min(most);
    }
    match ask(recorder, node, id, conditions).await {
        Ok(failing) if failing.is_empty() => Standing::Available,
        Ok(failing) if failing.len() >= asked => Standing::Unhealthy(failing.join("; ")),
        Ok(failing) => Standing::Partly(failing.join("; ")),
        Err(NoResult::NeverSent) => Standing::Disconnected,
        Err(error) => Standing::Partly(error.to_string()),
    }
}

/// [`in_turn`], and the record says so.
pub(super) async fn visibly_in_turn(
    recorder: &Recorder,
    node: &NodeName,
    questions: Vec<(JobId, Health)>,
) -> Result<Result<(), String>, StoreError> {
    if !questions.is_empty() {
        recorder.state(node, NodeState::Draining, None).await?;
    }
    in_turn(recorder, node, questions).await
}

/// Asks one thing after the other, each until it holds or its time is up: how a member is taken out
/// of service, and put back.
pub(super) async fn in_turn(
    recorder: &Recorder,
    node: &NodeName,
    questions: Vec<(JobId, Health)>,
) -> Result<Result<(), String>, StoreError> {
    for (id, question) in questions {
        match ask(recorder, node, id, vec![question]).await {
            Ok(failing) if failing.is_empty() => {}
            Ok(failing) => return Ok(Err(failing.join("; "))),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Ok(()))
}

/// Waits until a member is healthy, as long as its conditions allow.
pub(super) async fn settle(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    conditions: Vec<Health>,
) -> Result<(), String> {
    if conditions.is_empty() {
        return Ok(());
    }
    match ask(recorder, node, id, conditions).await {
        Ok(failing) if failing.is_empty() => Ok(()),
        Ok(failing) => Err(failing.join("; ")),
        Err(error) => Err(error.to_string()),
    }
}

async fn ask(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    conditions: Vec<Health>,
) -> Result<Vec<String>, NoResult> {
    let longest = conditions
        .iter()
        .map(|condition| condition.within)
        .max()
        .unwrap_or(0);
    let within = Duration::from_secs(longest.into()) + SLACK;
    let task = Task::Health(conditions);
    Ok(
        match perform(
            recorder,
            Order {
                node,
                id,
                task,
                within,
                shown: None,
            },
        )
        .await?
        {
            JobResult::Health { failing } => failing,
            JobResult::Failed(why) => vec![why],
            _ => vec!["the agent answered another question".to_owned()],
        },
    )
}
