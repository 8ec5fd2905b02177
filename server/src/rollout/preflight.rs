//! Whether a rollout could begin at all: asked before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::name::NodeName;

use super::gate::Moment;
use super::{Setup, Standing, Work};

/// Whether at least one of the nodes whose step somebody would feel may take it now.
///
/// # Errors
/// Why none may, for people.
pub(crate) fn preflight(
    setup: &Setup,
    standings: &BTreeMap<NodeName, Standing>,
) -> Result<(), String> {
    let in_step = BTreeSet::new();
    let moment = Moment {
        setup,
        standings,
        in_step: &in_step,
    };
    let disturbed = setup
        .members
        .iter()
        .filter(|(_, member)| member.work == Some(Work::Disturb));
    let mut refused = None;
    for (name, _) in disturbed {
        match moment.check(name) {
            Ok(()) => return Ok(()),
            Err(why) => drop(refused.get_or_insert(why)),
        }
    }
    refused.map_or(Ok(()), Err)
}
