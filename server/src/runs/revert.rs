//! Taking a failed change back: nodes that the rollout has stepped over get their previous catalog.

use brine_model::catalog::OnFailure;
use brine_model::converge::{Part, Plan};
use brine_model::name::NodeName;
use brine_wire::codec;
use brine_wire::run::NodeState;

use super::apply::Campaign;
use super::driver::{Driver, Target};
use super::health::{conditions, settle};
use super::outcome::StepOutcome;
use super::plan::look;
use super::plans;
use super::roll::{Piece, apply_as};
use crate::store::{JobKind, StoreError};

/// Reverts where the roles say so; gives what to add to the run's reason.
///
/// The one that failed goes first: it is out anyway. Those that came out well follow, the latest
/// first and one at a time, and only as long as each is healthy again: a revert must not take more
/// out of service than the change did.
pub(super) async fn revert(driver: &mut Driver, campaign: &Campaign) -> Result<String, StoreError> {
    let failed = driver.tally.failed.clone();
    let mut nodes: Vec<NodeName> = failed.iter().cloned().collect();
    let stepped = driver.tally.stepped.iter().rev();
    nodes.extend(
        stepped
            .filter(|node| Some(*node) != failed.as_ref())
            .cloned(),
    );
    nodes.retain(|node| reverts(driver, node) && !driver.is_forming(node, &campaign.forming));
    // A failure takes back what its own roles changed, not what went well before them.
    if let Some(failed) = &failed {
        nodes.retain(|node| share_a_role(driver, node, failed));
    }
    // Where nothing was before there is nothing to go back to.
    nodes.retain(|node| driver.previous.contains_key(node));
    let mut reverted: Vec<String> = Vec::new();
    for node in nodes {
        match one(driver, &node).await? {
            Ok(()) => {
                let reason = Some("it has its previous catalog back");
                driver
                    .recorder
                    .state(&node, NodeState::Reverted, reason)
                    .await?;
                reverted.push(node.to_string());
            }
            Err(why) => {
                let reason = format!("cannot be reverted: {why}");
                driver
                    .recorder
                    .state(&node, NodeState::Failed, Some(&reason))
                    .await?;
                let done = said(&reverted);
                return Ok(format!("{done}; {node} {reason}"));
            }
        }
    }
    Ok(said(&reverted))
}

fn said(reverted: &[String]) -> String {
    if reverted.is_empty() {
        String::new()
    } else {
        format!("; reverted: {}", reverted.join(", "))
    }
}

fn share_a_role(driver: &Driver, one: &NodeName, other: &NodeName) -> bool {
    let roles = |node: &NodeName| driver.snapshot.node(node).map(|record| &record.roles);
    match (roles(one), roles(other)) {
        (Some(one), Some(other)) => one.iter().any(|role| other.contains(role)),
        _ => false,
    }
}

fn reverts(driver: &Driver, node: &NodeName) -> bool {
    driver
        .policies_now(node)
        .iter()
        .any(|policy| policy.on_failure == OnFailure::Revert)
}

async fn one(driver: &mut Driver, node: &NodeName) -> Result<Result<(), String>, StoreError> {
    let Some(previous) = driver.previous.get(node).cloned() else {
        return Ok(Err("it had no catalog before".to_owned()));
    };
    let target = match target(driver, node, &previous).await {
        Ok(target) => target,
        Err(why) => return Ok(Err(why)),
    };
    let recorder = driver.recorder.clone();
    let id = driver.steps.next(&recorder, node);
    let plan = match look(&recorder, node, id, target.clone(), JobKind::Look).await? {
        Ok(plan) => plan,
        Err(why) => return Ok(Err(why)),
    };
    let id = driver.steps.next(&recorder, node);
    let step = apply_as(
        &recorder,
        node,
        id,
        target.clone(),
        piece(&plan),
        JobKind::Revert,
    )
    .await?;
    match step.outcome {
        StepOutcome::InSync | StepOutcome::Changed => {}
        StepOutcome::Failed(why) => return Ok(Err(why)),
        StepOutcome::Cancelled => return Ok(Err("it stopped before it was done".to_owned())),
    }
    let id = driver.steps.next(&recorder, node);
    Ok(settle(&recorder, node, id, conditions(&target.policies)).await)
}

fn piece(plan: &Plan) -> Piece {
    Piece {
        part: Part::WHOLE,
        last: true,
        approval: plans::approval(plan, false),
    }
}

/// The catalog of before, as long as what it needs is still to be had.
async fn target(
    driver: &Driver,
    node: &NodeName,
    previous: &super::driver::Previous,
) -> Result<Target, String> {
    let store = driver.recorder.shared.store.clone();
    let digest = previous.catalog;
    let bytes = tokio::task::spawn_blocking(move || store.catalog_bytes(digest)).await;
    let bytes = bytes
        .ok()
        .flatten()
        .ok_or("the server no longer has its previous catalog")?;
    let catalog: brine_model::catalog::Catalog =
        codec::decode(&bytes, codec::MAX).map_err(|error| error.to_string())?;
    let input = driver
        .snapshot
        .fleet
        .nodes
        .iter()
        .find(|input| input.name == *node)
        .ok_or("it is not registered any more")?
        .clone();
    let secrets = driver.recorder.shared.secrets.clone();
    let texts = tokio::task::spawn_blocking(move || secrets.matching(catalog.secrets(), &input))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?
        .map_err(|name| format!("the secret `{name}` is another one by now"))?;
    Ok(Target {
        catalog: previous.catalog,
        secrets: texts,
        policies: previous.policies.clone(),
    })
}
