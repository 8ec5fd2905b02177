//! What an operator did, for the audit log.

use brine_wire::operator::{OperatorReply, OperatorRequest};

/// In one line; none for what only looks. The match has no wildcard on purpose: a new request must
/// say which it is.
pub(super) fn mutation(request: &OperatorRequest) -> Option<String> {
    let joined = |names: &[brine_model::name::RoleName]| {
        names
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(",")
    };
    Some(match request {
        OperatorRequest::Status
        | OperatorRequest::Nodes
        | OperatorRequest::Node(_)
        | OperatorRequest::Tokens
        | OperatorRequest::Runs { .. }
        | OperatorRequest::Run(_)
        | OperatorRequest::Watch { .. }
        | OperatorRequest::Render { .. }
        | OperatorRequest::Refresh { .. } => return None,
        // Who has read what of the fleet is worth knowing.
        OperatorRequest::Query(query) => {
            format!("query {}", query.sql.chars().take(500).collect::<String>())
        }
        OperatorRequest::AddNode(node) => {
            format!("add node {} with roles {}", node.name, joined(&node.roles))
        }
        OperatorRequest::AcceptNode {
            name,
            fingerprint,
            roles,
        } => {
            let roles = joined(roles);
            format!(
                "accept {} as node {name} with roles {roles}",
                cut(fingerprint)
            )
        }
        OperatorRequest::RemoveNode(name) => format!("remove node {name}"),
        OperatorRequest::SetNode {
            name,
            roles,
            labels,
            address,
        } => {
            let roles = roles.as_deref().map(joined);
            let labels: Vec<&str> = labels.keys().map(String::as_str).collect();
            cut(&format!(
                "set node {name}: roles {roles:?}, labels {labels:?}, address {address:?}"
            ))
        }
        OperatorRequest::AddToken(token) => {
            let (names, roles) = (cut(&token.names), joined(&token.roles));
            format!(
                "add token for {} machines named {names} with roles {roles}",
                token.uses
            )
        }
        OperatorRequest::RevokeToken(id) => format!("revoke token {}", cut(id)),
        OperatorRequest::StartPlan(start) => format!("plan {}", cut(&start.target)),
        OperatorRequest::StartApply { start, approved } => {
            let how = if *approved { " without asking" } else { "" };
            let what = match (start.resume, &start.agreed) {
                (Some(run), _) => format!(" going on with run {run}"),
                (None, Some(_)) => " as planned before".to_owned(),
                (None, None) => String::new(),
            };
            format!("apply {}{what}{how}", cut(&start.target))
        }
        OperatorRequest::ReplaceNode { name, .. } => format!("replace node {name}"),
        OperatorRequest::PauseNode {
            name,
            until: Some(until),
            reason,
        } => {
            let reason = reason.as_deref().map_or_else(String::new, cut);
            format!("pause node {name} until {} s: {reason}", until.as_secs())
        }
        OperatorRequest::PauseNode { name, .. } => format!("resume node {name}"),
        OperatorRequest::StartActions(action) => cut(&format!(
            "do {:?} on {}",
            action.action, action.start.target
        )),
        OperatorRequest::Approve(run) => format!("approve run {run}"),
        OperatorRequest::Cancel(run) => format!("cancel run {run}"),
    })
}

pub(super) fn outcome(reply: &OperatorReply) -> String {
    match reply {
        OperatorReply::Refused(refusal) => format!("refused: {}", cut(&refusal.message)),
        OperatorReply::Invalid(_) => "refused: the states do not compile".to_owned(),
        OperatorReply::Run(run) => format!("run {run}"),
        OperatorReply::Token { id, .. } => format!("token {id}"),
        _ => "done".to_owned(),
    }
}

fn cut(text: &str) -> String {
    text.chars()
        .take(300)
        .flat_map(char::escape_debug)
        .collect()
}
