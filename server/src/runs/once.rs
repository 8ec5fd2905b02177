//! What is done once for a role: who does it, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::converge::{Approval, Part, Plan, PlanOutcome, Planned};
use brine_model::live::LiveFacts;
use brine_model::name::{NodeName, RoleName};
use brine_model::resource::ResourceId;
use brine_wire::job::{Extent, JobResult, Task};
use tokio::task::JoinSet;

use super::asking;
use super::driver::Driver;
use super::health::{conditions, standing};
use super::outcome::{self, StepOutcome};
use super::perform::{Order, perform};
use super::plans::{Plans, intent, is_quiet};
use crate::clock;
use crate::compile::OnceCatalog;
use crate::rollout::Standing;
use crate::store::{JobKind, StoreError};

/// Who does it.
#[derive(Debug, Clone)]
pub(super) enum Doer {
    Member(NodeName),
    /// Nobody of whom the condition holds; with what they say.
    Nobody(String),
}

/// A condition, none where any healthy member will do, and the nodes of the wave.
pub(super) type Asked = (Option<String>, Vec<NodeName>);

/// What became of it.
pub(super) enum Done {
    InSync,
    Changed,
    Failed(String),
}

impl Driver {
    /// Plans everything that is done once, as far as that can be known now.
    pub(super) async fn plan_once(
        &mut self,
        plans: &mut Plans,
        forming: &BTreeSet<RoleName>,
    ) -> Result<(), StoreError> {
        let mut due: Vec<(ResourceId, Vec<NodeName>)> = Vec::new();
        for node in self.targets.keys() {
            let compiled = self.snapshot.compilation.catalogs.get(node);
            for once in compiled
                .map(|compiled| compiled.once.as_slice())
                .unwrap_or_default()
            {
                match due.iter_mut().find(|(id, _)| *id == once.entry.id) {
                    Some((_, nodes)) => nodes.push(node.clone()),
                    None => due.push((once.entry.id.clone(), vec![node.clone()])),
                }
            }
        }
        // One answer is good for one plan.
        let mut doers: BTreeMap<Asked, Doer> = BTreeMap::new();
        for (id, nodes) in due {
            let Some(first) = nodes.first() else { continue };
            // Where its role is being formed there is nobody to ask, and much is yet to come before.
            let new = nodes.iter().all(|node| self.is_forming(node, forming));
            let planned = if new {
                self.intended(first, &id, plans)
            } else {
                let asked = self.asked(&id, &nodes);
                let doer = match doers.get(&asked) {
                    Some(doer) => doer.clone(),
                    None => {
                        let doer = self.doer(&id, &nodes).await?;
                        doers.entry(asked).or_insert(doer).clone()
                    }
                };
                match doer {
                    Doer::Member(node) => match self.look(&node, &id, plans).await? {
                        Some(planned) => {
                            // One outside the target is asked; it is shown, and approved, with one in it.
                            let inside = self.targets.contains_key(&node);
                            let shown = if inside { node } else { first.clone() };
                            plans.once.insert(id, (shown, planned));
                            continue;
                        }
                        None => self.intended(first, &id, plans),
                    },
                    Doer::Nobody(_) => self.intended(first, &id, plans),
                }
            };
            if let Some(planned) = planned {
                plans.once.insert(id, (first.clone(), planned));
            }
        }
        Ok(())
    }

    /// Whether nothing that a node is for exists yet. One role that does is enough for its members to go
    /// one by one, behind its gate.
    pub(super) fn is_forming(&self, node: &NodeName, forming: &BTreeSet<RoleName>) -> bool {
        self.snapshot.node(node).is_some_and(|record| {
            !record.roles.is_empty() && record.roles.iter().all(|role| forming.contains(role))
        })
    }

    /// What its declaration alone tells.
    fn intended(&self, node: &NodeName, id: &ResourceId, plans: &Plans) -> Option<Planned> {
        let compiled = self.snapshot.compilation.catalogs.get(node)?;
        let once = compiled.once.iter().find(|once| once.entry.id == *id)?;
        let before = compiled.catalog.resources.get(..once.place as usize);
        let plan = plans.nodes.get(node);
        let changed = before.unwrap_or_default().iter().rev().find(|entry| {
            let mut planned = plan.into_iter().flat_map(|plan| &plan.resources);
            planned.any(|planned| planned.id == entry.id && !is_quiet(planned))
        });
        let last = before.unwrap_or_default().last();
        let resource = changed
            .or(last)
            .map_or_else(|| id.clone(), |entry| entry.id.clone());
        Some(Planned {
            id: id.clone(),
            formula: once.entry.formula.clone(),
            outcome: PlanOutcome::After {
                resource,
                intent: intent(&once.entry),
            },
        })
    }

    /// Asks one member what it would do; none where it cannot tell before its own plan is applied.
    async fn look(
        &mut self,
        node: &NodeName,
        id: &ResourceId,
        plans: &Plans,
    ) -> Result<Option<Planned>, StoreError> {
        let plan = self.look_once(node, id).await?;
        let in_sync = plans.nodes.get(node).is_none_or(Plan::in_sync);
        let planned = plan.ok().and_then(|plan| plan.resources.into_iter().next());
        Ok(planned.filter(|planned| in_sync || !matches!(planned.outcome, PlanOutcome::Failed(_))))
    }

    async fn look_once(
        &mut self,
        node: &NodeName,
        id: &ResourceId,
    ) -> Result<Result<Plan, String>, StoreError> {
        let Some(catalog) = self.once_catalog(node, id) else {
            return Ok(Err("it does not compile".to_owned()));
        };
        let within = self.recorder.shared.limits.plan;
        let job = self.steps.next(&self.recorder, node);
        let deadline = clock::now().plus(within);
        let store = &self.recorder.shared.store;
        store
            .open_job(node.clone(), job, JobKind::Look, catalog.digest, deadline)
            .await?;
        let task = Task::Plan {
            catalog: catalog.digest,
            secrets: catalog.secrets,
        };
        let order = Order {
            node,
            id: job,
            task,
            within,
            shown: None,
        };
        Ok(match perform(&self.recorder, order).await {
            Ok(JobResult::Planned(plan)) => Ok(plan),
            Ok(JobResult::Failed(why)) => Err(why),
            Ok(_) => Err("the agent answered another question".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    fn once_catalog(&self, node: &NodeName, id: &ResourceId) -> Option<OnceCatalog> {
        self.snapshot.once.get(&(node.clone(), id.clone())).cloned()
    }

    /// Finds the member that does it, among all members of the nodes' roles.
    pub(super) async fn doer(
        &mut self,
        id: &ResourceId,
        nodes: &[NodeName],
    ) -> Result<Doer, StoreError> {
        let connected = self.recorder.shared.fleet.connected().await;
        let may =
            |node: &NodeName| connected.contains(node) && self.once_catalog(node, id).is_some();
        let others = self.snapshot.once.keys().filter(|(_, once)| once == id);
        let others = others
            .map(|(node, _)| node)
            .filter(|node| !nodes.contains(node));
        let members: Vec<NodeName> = nodes
            .iter()
            .chain(others)
            .filter(|node| may(node))
            .cloned()
            .collect();
        let (condition, _) = self.asked(id, &members);
        match condition {
            None => self.any_healthy(members).await,
            Some(condition) => Ok(self.the_one(&condition, members).await),
        }
    }

    /// What decides who does it, and among whom.
    pub(super) fn asked(&self, id: &ResourceId, nodes: &[NodeName]) -> Asked {
        let condition = nodes.first().and_then(|node| {
            let compiled = self.snapshot.compilation.catalogs.get(node)?;
            let once = compiled.once.iter().find(|once| once.entry.id == *id)?;
            once.on.clone()
        });
        (condition, nodes.to_vec())
    }

    async fn any_healthy(&mut self, members: Vec<NodeName>) -> Result<Doer, StoreError> {
        let mut reasons = Vec::new();
        for node in &members {
            let policies = self.policies_now(node);
            let job = self.steps.next(&self.recorder, node);
            match standing(&self.recorder, node, job, conditions(&policies)).await {
                Standing::Available => return Ok(Doer::Member(node.clone())),
                Standing::Disconnected => reasons.push(format!("{node} is disconnected")),
                Standing::Unhealthy(why) | Standing::Partly(why) => {
                    reasons.push(format!("{node}: {why}"));
                }
            }
        }
        Ok(Doer::Nobody(reasons.join("; ")))
    }

    async fn the_one(&mut self, condition: &str, members: Vec<NodeName>) -> Doer {
        let told = self.ask_all(&members, condition).await;
        let mut matching = Vec::new();
        let mut reasons = Vec::new();
        for (node, facts) in told {
            match facts {
                Ok(facts) if facts.holds(condition) == Ok(Some(true)) => matching.push(node),
                Ok(facts) => reasons.push(format!("{node}: {}", facts.explain(condition))),
                Err(why) => reasons.push(format!("{node}: {why}")),
            }
        }
        match matching.as_slice() {
            [one] => Doer::Member(one.clone()),
            [] => Doer::Nobody(format!(
                "`{condition}` holds nowhere: {}",
                reasons.join("; ")
            )),
            several => {
                let several: Vec<&str> = several.iter().map(NodeName::as_str).collect();
                Doer::Nobody(format!("`{condition}` holds on {}", several.join(" and ")))
            }
        }
    }

    async fn ask_all(
        &mut self,
        members: &[NodeName],
        condition: &str,
    ) -> BTreeMap<NodeName, Result<LiveFacts, String>> {
        let mut asked = JoinSet::new();
        for node in members {
            let compiled = self.snapshot.compilation.catalogs.get(node);
            let sources = compiled.map(|compiled| asking::sources(&compiled.policies));
            let sources = asking::named(sources.unwrap_or_default(), [condition]);
            let id = self.steps.next(&self.recorder, node);
            let (recorder, node) = (self.recorder.clone(), node.clone());
            asked.spawn(async move {
                let facts = asking::live(&recorder, &node, id, sources).await;
                (node, facts)
            });
        }
        asked.join_all().await.into_iter().collect()
    }

    /// Does it, where it is not so already. What was not approved is not done.
    pub(super) async fn do_once(
        &mut self,
        node: &NodeName,
        id: &ResourceId,
        approved: &Approval,
    ) -> Result<Done, StoreError> {
        let plan = match self.look_once(node, id).await? {
            Ok(plan) => plan,
            Err(why) => return Ok(Done::Failed(format!("{id} on {node}: {why}"))),
        };
        if let Some((_, why)) = plan.failures().next() {
            return Ok(Done::Failed(format!("{id} on {node}: {why}")));
        }
        if plan.in_sync() {
            return Ok(Done::InSync);
        }
        let Some(catalog) = self.once_catalog(node, id) else {
            return Ok(Done::Failed(format!("{id} on {node}: it does not compile")));
        };
        let within = self.recorder.shared.limits.apply;
        let job = self.steps.next(&self.recorder, node);
        let deadline = clock::now().plus(within);
        let store = &self.recorder.shared.store;
        store
            .open_job(node.clone(), job, JobKind::Once, catalog.digest, deadline)
            .await?;
        let task = Task::Apply {
            catalog: catalog.digest,
            secrets: catalog.secrets,
            approval: approved.clone(),
            part: Part::WHOLE,
            extent: Extent::Once,
        };
        let order = Order {
            node,
            id: job,
            task,
            within,
            shown: None,
        };
        let outcome = match perform(&self.recorder, order).await {
            Ok(result) => outcome::of_apply(&result).0,
            Err(error) => StepOutcome::Failed(error.to_string()),
        };
        Ok(match outcome {
            StepOutcome::InSync => Done::InSync,
            StepOutcome::Changed => {
                self.recorder.note(format!("{id}: done on {node}")).await?;
                Done::Changed
            }
            StepOutcome::Failed(why) => Done::Failed(format!("{node} failed: {why}")),
            StepOutcome::Cancelled => Done::Failed(format!("{node} stopped before it was done")),
        })
    }
}
