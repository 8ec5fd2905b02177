//! Which of the roles of a run exist already: asked of all their members before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::catalog::Policy;
use brine_model::live::LiveFacts;
use brine_model::name::{NodeName, RoleName};
use tokio::task::JoinSet;

use super::asking;
use super::driver::Driver;
use super::members::{formed, roles_of};
use crate::rollout::formation::{Answer, Formation, Role, decide};
use crate::store::StoreError;

impl Driver {
    /// The roles that are to be formed.
    ///
    /// # Errors
    /// The store failed; `Ok(Err)` says why nothing may be touched, for people.
    pub(super) async fn forming(
        &mut self,
    ) -> Result<Result<BTreeSet<RoleName>, String>, StoreError> {
        self.snapshot.nodes = self.recorder.shared.store.nodes().await?.0;
        let targets: Vec<NodeName> = self.targets.keys().cloned().collect();
        let roles = roles_of(&targets, &self.snapshot);
        // What has been applied to anybody exists: there is nothing to ask. Should all have lost it,
        // a node that would found it anew is refused by its plan.
        let new = |name: &RoleName| {
            let mut members = self.snapshot.nodes.iter();
            !members.any(|node| !node.is_bare() && formed(node).contains(name))
        };
        let roles: BTreeSet<RoleName> = roles.into_iter().filter(new).collect();
        let told = self.ask_members(&roles).await;
        let mut forming = BTreeSet::new();
        for name in roles {
            let role = self.role(&name, &told);
            match decide(&name, &role) {
                Ok(Formation::Forming) => drop(forming.insert(name)),
                Ok(Formation::Formed) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(forming))
    }

    /// Asks each member that has conditions to be asked about; those that cannot be say why.
    async fn ask_members(
        &mut self,
        roles: &BTreeSet<RoleName>,
    ) -> BTreeMap<NodeName, Result<LiveFacts, String>> {
        let connected = self.recorder.shared.fleet.connected().await;
        let mut told = BTreeMap::new();
        let mut asked = JoinSet::new();
        let snapshot = self.snapshot.clone();
        for node in &snapshot.nodes {
            if !node.roles.iter().any(|role| roles.contains(role)) {
                continue;
            }
            let name = node.name.clone();
            let Some(compiled) = snapshot.compilation.catalogs.get(&name) else {
                told.insert(name, Err("its states do not compile".to_owned()));
                continue;
            };
            if compiled
                .policies
                .iter()
                .all(|policy| policy.formed.is_empty())
            {
                continue;
            }
            if !connected.contains(&name) {
                let why = match node.enrolled {
                    Some(_) => "it is disconnected",
                    None => "it has not enrolled yet",
                };
                told.insert(name, Err(why.to_owned()));
                continue;
            }
            let id = self.steps.next(&self.recorder, &name);
            let (recorder, sources) = (self.recorder.clone(), asking::sources(&compiled.policies));
            asked.spawn(async move {
                let facts = asking::live(&recorder, &name, id, sources).await;
                (name, facts)
            });
        }
        while let Some(ended) = asked.join_next().await {
            if let Ok((name, facts)) = ended {
                told.insert(name, facts);
            }
        }
        told
    }

    fn role(&self, name: &RoleName, told: &BTreeMap<NodeName, Result<LiveFacts, String>>) -> Role {
        let mut role = Role::default();
        for node in &self.snapshot.nodes {
            if !node.roles.contains(name) {
                continue;
            }
            let compiled = self.snapshot.compilation.catalogs.get(&node.name);
            let policy = compiled.and_then(|compiled| {
                let mut policies = compiled.policies.iter();
                policies.find(|policy| policy.role == *name)
            });
            let answer = match (policy, told.get(&node.name)) {
                (Some(policy), _) if policy.formed.is_empty() => None,
                (Some(policy), Some(Ok(facts))) => Some(answer(policy, facts)),
                (_, Some(Err(why))) => Some(Answer::Unknown(why.clone())),
                (Some(_), None) => Some(Answer::Unknown("it did not answer".to_owned())),
                // A member whose catalog does not have the role: it cannot say anything about it.
                (None, None | Some(Ok(_))) => None,
            };
            role.answers.insert(node.name.clone(), answer);
            if self.targets.contains_key(&node.name) {
                role.targeted.push(node.name.clone());
            }
        }
        role
    }
}

/// One yes is a yes: what one formula has formed must not be founded anew for another's sake.
fn answer(policy: &Policy, facts: &LiveFacts) -> Answer {
    let mut answer = Answer::No;
    for condition in &policy.formed {
        match facts.holds(&condition.text) {
            Ok(Some(true)) => return Answer::Yes,
            Ok(Some(false)) => {}
            Ok(None) => answer = Answer::Unknown(facts.explain(&condition.text)),
            Err(error) => answer = Answer::Unknown(error.to_string()),
        }
    }
    answer
}
