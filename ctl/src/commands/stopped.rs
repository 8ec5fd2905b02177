//! Which run `ctl apply --resume` means.

use std::collections::BTreeSet;

use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::run::{NodeState, RunKind, RunPhase, RunSummary};

use super::follow;
use crate::client::{Server, ask};
use crate::error::{CtlError, UsageError};

/// How far back is looked for it.
const LIMIT: u32 = 200;

/// The run of this number, or the newest that has stopped half-way.
///
/// # Errors
/// There is none, or the server cannot be asked.
pub async fn find<S: Server>(run: Option<RunId>, server: &S) -> Result<RunSummary, CtlError> {
    if let Some(run) = run {
        return Ok(follow::record(server, run).await?.summary);
    }
    let request = OperatorRequest::Runs { limit: LIMIT };
    let runs = ask!(server, request, OperatorReply::Runs(runs) => runs)?;
    newest(runs).ok_or_else(|| UsageError::NothingStopped.into())
}

/// `runs` are the newest first. What has been applied since needs no going on.
fn newest(runs: Vec<RunSummary>) -> Option<RunSummary> {
    let mut done = BTreeSet::new();
    for run in runs.into_iter().filter(|run| run.kind == RunKind::Apply) {
        if run.phase == RunPhase::Succeeded {
            done.insert(run.target);
        } else if has_stopped(&run) && !done.contains(&run.target) {
            return Some(run);
        }
    }
    None
}

fn has_stopped(run: &RunSummary) -> bool {
    match run.phase {
        RunPhase::Failed | RunPhase::Interrupted => true,
        // Most are answers of no: they were never begun.
        RunPhase::Cancelled => run.nodes.iter().any(|node| was_touched(node.state)),
        _ => false,
    }
}

const fn was_touched(state: NodeState) -> bool {
    match state {
        NodeState::Applying
        | NodeState::Checking
        | NodeState::Changed
        | NodeState::Failed
        | NodeState::Waiting
        | NodeState::Between
        | NodeState::Reverted
        | NodeState::Draining => true,
        NodeState::Pending
        | NodeState::Planning
        | NodeState::Planned
        | NodeState::InSync
        | NodeState::Untouched
        | NodeState::SkippedUnreachable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{node, run};

    fn check(runs: &[(u64, RunKind, RunPhase, NodeState)], expected: Option<u64>) {
        let summary = |&(id, kind, phase, state): &(u64, RunKind, RunPhase, NodeState)| {
            let run = run(kind, phase, &[node("lb01", state, None)]);
            RunSummary {
                id: RunId(id),
                ..run.summary
            }
        };
        let found = newest(runs.iter().map(summary).collect());
        assert_eq!(found.map(|run| run.id.0), expected);
    }

    #[test]
    fn the_newest_that_was_begun_and_not_ended() {
        use NodeState::{Changed, Failed, Planned, Untouched};
        use RunKind::{Action, Apply, Plan};
        check(&[], None);
        check(
            &[
                (9, Action, RunPhase::Failed, Failed),
                (8, Plan, RunPhase::Failed, Failed),
                (7, Apply, RunPhase::Cancelled, Untouched),
                (6, Apply, RunPhase::Refused, Untouched),
                (5, Apply, RunPhase::Cancelled, Changed),
                (4, Apply, RunPhase::Failed, Failed),
            ],
            Some(5),
        );
        check(&[(4, Apply, RunPhase::Interrupted, Planned)], Some(4));
        check(
            &[
                (5, Apply, RunPhase::Succeeded, Changed),
                (4, Apply, RunPhase::Failed, Failed),
            ],
            None,
        );
    }
}
