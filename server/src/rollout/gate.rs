//! Whether a member may be taken out now.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::name::{NodeName, RoleName};

use super::{Member, Setup, Standing};

/// The fleet at one moment.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) setup: &'a Setup,
    /// As answered for this step.
    pub(super) standings: &'a BTreeMap<NodeName, Standing>,
    /// Members that are in their step.
    pub(super) in_step: &'a BTreeSet<NodeName>,
}

impl Moment<'_> {
    /// Whether the member is out already, by its own answer.
    pub(super) fn is_out(&self, name: &NodeName) -> bool {
        !matches!(self.standings.get(name), Some(Standing::Available))
    }

    /// Whether taking it out would take something away: at least a part of it serves.
    pub(super) fn is_missed(&self, name: &NodeName) -> bool {
        matches!(
            self.standings.get(name),
            Some(Standing::Available | Standing::Partly(_))
        )
    }

    /// The roles of `member` that exist; the others are just being formed.
    pub(super) fn formed_roles<'m>(
        &self,
        member: &'m Member,
    ) -> impl Iterator<Item = &'m RoleName> {
        let setup = self.setup;
        member.roles.iter().filter(|role| is_formed(setup, role))
    }

    /// Whether a role has room for one more step, whatever the members answer.
    pub(super) fn has_room(&self, role: &RoleName) -> bool {
        let in_step = self
            .in_step
            .iter()
            .filter_map(|name| self.setup.members.get(name))
            .filter(|member| member.roles.contains(role));
        in_step.count() < self.limit(role).max(1)
    }

    /// Whether the step of `name` may begin.
    ///
    /// # Errors
    /// Why it may not, for people.
    pub(super) fn check(&self, name: &NodeName) -> Result<(), String> {
        let Some(member) = self.setup.members.get(name) else {
            return Err(format!("{name} is not a member of anything"));
        };
        if matches!(self.standings.get(name), Some(Standing::Disconnected)) {
            return Err(format!(
                "{name} is disconnected: it cannot be reached for its step"
            ));
        }
        self.formed_roles(member)
            .try_for_each(|role| self.check_role(name, member, role))
    }

    fn check_role(&self, name: &NodeName, member: &Member, role: &RoleName) -> Result<(), String> {
        if !self.has_room(role) {
            return Err(format!("another member of {role} is in its step"));
        }
        // A member that is out altogether, or was never in, is not missed. One that only partly serves is:
        // its etcd may vote while its database lags.
        if !self.is_missed(name) || !member.formed.contains(role) {
            return Ok(());
        }
        let counted = || {
            self.setup
                .members
                .iter()
                .filter(|(_, member)| member.formed.contains(role))
        };
        let out: Vec<&NodeName> = counted()
            .map(|(other, _)| other)
            .filter(|other| *other != name)
            .filter(|other| self.in_step.contains(*other) || self.is_out(other))
            .collect();
        let limit = self.limit(role);
        if out.len() < limit {
            return Ok(());
        }
        let (all, left) = (counted().count(), counted().count() - out.len() - 1);
        if out.is_empty() {
            return Err(format!(
                "{role} allows no member to be unavailable: {name} cannot be touched"
            ));
        }
        let reasons: Vec<String> = out.iter().map(|other| self.describe(other)).collect();
        Err(format!(
            "{}: taking out {name} too would leave {left} of {all} members of {role} available, \
             and at most {limit} may be unavailable",
            reasons.join(", ")
        ))
    }

    fn describe(&self, name: &NodeName) -> String {
        match self.standings.get(name) {
            _ if self.in_step.contains(name) => format!("{name} is in its step"),
            Some(Standing::Unhealthy(why) | Standing::Partly(why)) => {
                format!("{name} is not healthy ({why})")
            }
            Some(Standing::Disconnected) => format!("{name} is disconnected"),
            Some(Standing::Available) | None => format!("{name} did not answer"),
        }
    }

    fn limit(&self, role: &RoleName) -> usize {
        self.setup
            .roles
            .get(role)
            .map_or(1, |rule| rule.max_unavailable as usize)
    }
}

fn is_formed(setup: &Setup, role: &RoleName) -> bool {
    setup.roles.get(role).is_some_and(|rule| !rule.forming)
}
