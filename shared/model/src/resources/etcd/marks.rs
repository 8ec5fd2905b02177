//! What the node itself remembers of its membership.

use crate::digest::Digest;
use crate::host::{Host, HostResult, ReadHost};

/// Marks of one member, for the cluster of one token.
pub(super) struct Marks {
    name: String,
    digest: Digest,
}

impl Marks {
    pub(super) fn new(name: &str, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            digest: Digest::of(token.as_bytes()),
        }
    }

    fn data(&self) -> String {
        format!("etcd_member:{}/data", self.name)
    }

    fn founding(&self) -> String {
        format!("etcd_member:{}/founding", self.name)
    }

    /// What lies in the data directory, or will, came there by way of us.
    pub(super) fn is_ours(&self, host: &dyn ReadHost) -> HostResult<bool> {
        Ok(host.mark(&self.data())? == Some(self.digest))
    }

    pub(super) fn set_ours(&self, host: &mut dyn Host) -> HostResult<()> {
        host.set_mark(&self.data(), self.digest)
    }

    /// It is one of the founders, and was not yet seen in a cluster that works.
    pub(super) fn is_founding(&self, host: &dyn ReadHost) -> HostResult<bool> {
        Ok(host.mark(&self.founding())? == Some(self.digest))
    }

    pub(super) fn set_founding(&self, host: &mut dyn Host) -> HostResult<()> {
        host.set_mark(&self.founding(), self.digest)
    }

    pub(super) fn set_founded(&self, host: &mut dyn Host) -> HostResult<()> {
        host.set_mark(&self.founding(), Digest::of(b"founded"))
    }
}
