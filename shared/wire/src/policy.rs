//! Which principal may ask what: one place, and a request without a rule does not compile.

use brine_model::name::{NodeName, OperatorName};

use crate::agent::AgentRequest;
use crate::enroll::EnrollRequest;
use crate::operator::OperatorRequest;

/// Who a connection's certificate says its peer is; nothing else ever does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// No certificate.
    Anyone,
    Node(NodeName),
    Operator(OperatorName),
}

/// The kinds of principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    Anyone,
    Node,
    Operator,
}

impl Required {
    /// Whether `principal` is of this kind. An operator is no node, and a node no operator.
    #[must_use]
    pub const fn admits(self, principal: &Principal) -> bool {
        matches!(
            (self, principal),
            (Self::Anyone, Principal::Anyone)
                | (Self::Node, Principal::Node(_))
                | (Self::Operator, Principal::Operator(_))
        )
    }
}

/// Every request names who may ask it. The matches have no wildcard on purpose.
pub trait Policy {
    fn required(&self) -> Required;
}

impl Policy for EnrollRequest {
    fn required(&self) -> Required {
        match self {
            Self::Certificate(_) => Required::Anyone,
        }
    }
}

impl Policy for AgentRequest {
    fn required(&self) -> Required {
        match self {
            Self::Hello(_)
            | Self::Blob(_)
            | Self::Result { .. }
            | Self::Progress(_)
            | Self::Facts(_)
            | Self::Certificate { .. }
            | Self::Inventory(_)
            | Self::Section(_) => Required::Node,
        }
    }
}

impl Policy for OperatorRequest {
    fn required(&self) -> Required {
        match self {
            Self::Status
            | Self::Nodes
            | Self::Node(_)
            | Self::AddNode(_)
            | Self::AcceptNode { .. }
            | Self::RemoveNode(_)
            | Self::SetNode { .. }
            | Self::AddToken(_)
            | Self::Tokens
            | Self::RevokeToken(_)
            | Self::StartPlan(_)
            | Self::StartApply { .. }
            | Self::Approve(_)
            | Self::Cancel(_)
            | Self::Runs { .. }
            | Self::Run(_)
            | Self::Watch { .. }
            | Self::Render { .. }
            | Self::ReplaceNode { .. }
            | Self::PauseNode { .. }
            | Self::StartActions(_)
            | Self::Query(_)
            | Self::Refresh { .. } => Required::Operator,
        }
    }
}
