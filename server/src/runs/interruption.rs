//! Where a run stood when its server stopped.

use brine_model::name::NodeName;
use brine_wire::run::{NodeState, RunNode, RunPhase};

use crate::store::NodeUpdate;

/// In words for people: `the server stopped while backend02 applied`.
#[must_use]
pub(crate) fn reason(phase: RunPhase, nodes: &[RunNode]) -> String {
    let under_way: Vec<&str> = nodes
        .iter()
        .filter(|node| is_under_way(node.state))
        .map(|n| n.name.as_str())
        .collect();
    let untouched = nodes.iter().filter(|node| is_untouched(node)).count();
    let place = match phase {
        RunPhase::Planning => "while nodes planned: nothing was touched".to_owned(),
        RunPhase::Approval => "before the plan was approved: nothing was touched".to_owned(),
        _ if under_way.is_empty() => format!("between two steps: {untouched} untouched"),
        _ => format!(
            "while {} applied: {untouched} untouched",
            under_way.join(", ")
        ),
    };
    format!("the server stopped {place}")
}

/// What becomes of each node's place in the record: what is under way may still report.
#[must_use]
pub(crate) fn updates(nodes: &[RunNode]) -> Vec<(NodeName, NodeUpdate)> {
    let update = |node: &RunNode| {
        let (state, reason) = if is_under_way(node.state) {
            (
                NodeState::Waiting,
                "the server stopped; the result is awaited",
            )
        } else if is_untouched(node) {
            (NodeState::Untouched, "the server stopped before its turn")
        } else if node.state == NodeState::Between {
            let reason = "the server stopped before the rest of its catalog was applied";
            (NodeState::Changed, reason)
        } else {
            return None;
        };
        let update = NodeUpdate {
            state,
            reason: Some(reason.to_owned()),
            counts: None,
        };
        Some((node.name.clone(), update))
    };
    nodes.iter().filter_map(update).collect()
}

const fn is_under_way(state: NodeState) -> bool {
    matches!(
        state,
        NodeState::Applying | NodeState::Checking | NodeState::Waiting | NodeState::Draining
    )
}

/// Before its first step, or between two of which the first had nothing to do.
const fn is_untouched(node: &RunNode) -> bool {
    match node.state {
        NodeState::Pending | NodeState::Planning | NodeState::Planned => true,
        NodeState::Between => node.changed == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(states: &[(&str, NodeState)]) -> Vec<RunNode> {
        let node = |(name, state): &(&str, NodeState)| RunNode {
            name: name.parse().expect("a name"),
            roles: vec![],
            state: *state,
            reason: None,
            changed: 0,
            failed: 0,
        };
        states.iter().map(node).collect()
    }

    #[test]
    fn says_where_it_stood() {
        let rolling = nodes(&[
            ("backend01", NodeState::Changed),
            ("backend02", NodeState::Applying),
            ("backend03", NodeState::Planned),
        ]);
        assert_eq!(
            reason(RunPhase::Applying, &rolling),
            "the server stopped while backend02 applied: 1 untouched"
        );
        let states: Vec<_> = updates(&rolling)
            .into_iter()
            .map(|(name, update)| format!("{name} {:?}", update.state))
            .collect();
        assert_eq!(states, ["backend02 Waiting", "backend03 Untouched"]);
        assert!(reason(RunPhase::Approval, &rolling).contains("nothing was touched"));

        let mut between = nodes(&[
            ("db01", NodeState::Changed),
            ("db02", NodeState::Between),
            ("db03", NodeState::Between),
        ]);
        between[1].changed = 1;
        assert_eq!(
            reason(RunPhase::Applying, &between),
            "the server stopped between two steps: 1 untouched"
        );
        let states: Vec<_> = updates(&between)
            .into_iter()
            .map(|(name, update)| format!("{name} {:?}", update.state))
            .collect();
        assert_eq!(states, ["db02 Changed", "db03 Untouched"]);
    }
}
