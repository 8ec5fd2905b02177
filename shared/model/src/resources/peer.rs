//! The members of a cluster, as `roles.ROLE` has them.

use super::declare::Place;
use crate::deserialize::{Error, ValueField};
use crate::value::Value;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) address: String,
}

impl Peer {
    /// The field `peers`: at least one, and each with what is needed to reach it.
    pub(super) fn list(given: &[ValueField], place: &Place<'_>) -> Result<Vec<Self>, Error> {
        let peers: Option<Vec<Self>> = given.iter().map(|peer| Self::of(&peer.0)).collect();
        peers.filter(|peers| !peers.is_empty()).ok_or_else(|| {
            let message = "`peers` is the list of members, each with `name` and `address`";
            place.error("peers", message)
        })
    }

    /// Whatever else a member of a role has is not of interest.
    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            name: text("name")?,
            address: text("address")?,
        })
    }
}
