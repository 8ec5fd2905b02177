//! `gluster_peers`: who belongs to a trusted pool; done by one member for all.

use std::time::Duration;

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::super::peer::Peer;
use super::cli::{self, AGAIN, Fellow};
use crate::deserialize::{Error, ValueField};
use crate::host::{Host, HostError, HostResult, ReadHost};
use crate::resource::{Change, Resource, ResourceId, Subject};

/// For all to be connected.
const MEETS: Duration = Duration::from_secs(60);

/// `gluster_peers: static`, with `once`: any member of a pool may let others in, a stranger may not.
/// Who is no member any more is forgotten; GlusterFS refuses that of one that has a brick.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// All members with `name` and `address`. Names must resolve on all of them.
    peers: Vec<ValueField>,
    /// The name of the node that does it.
    node: String,
}

struct GlusterPeers {
    id: ResourceId,
    others: Vec<Peer>,
}

impl Declaration for Fields {
    const NAME: &'static str = "gluster_peers";
    const DOC: &'static str = "The members of a GlusterFS pool: who is missing is let in.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let mut others = Peer::list(&self.peers, place)?;
        others.retain(|peer| peer.name != self.node);
        Ok(Box::new(GlusterPeers {
            id: place.id.clone(),
            others,
        }))
    }
}

impl GlusterPeers {
    fn due(&self, host: &dyn ReadHost) -> HostResult<Due> {
        let pool = cli::pool(host, None)?.ok_or_else(|| {
            HostError::failed("ask who belongs to the pool", "glusterd does not answer")
        })?;
        // By its address, where a fellow was heard of before it was probed by name.
        let is = |fellow: &Fellow, peer: &Peer| [&peer.name, &peer.address].contains(&&fellow.host);
        let missing = self
            .others
            .iter()
            .filter(|peer| !pool.iter().any(|one| is(one, peer)));
        let gone = pool
            .iter()
            .filter(|fellow| !fellow.is_self() && !self.others.iter().any(|peer| is(fellow, peer)));
        Ok(Due {
            missing: missing.map(|peer| peer.name.clone()).collect(),
            gone: gone.map(|fellow| fellow.host.clone()).collect(),
        })
    }
}

/// What there is to do.
struct Due {
    missing: Vec<String>,
    /// In the pool, and no member any more.
    gone: Vec<String>,
}

impl Resource for GlusterPeers {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let Due { missing, gone } = self.due(host)?;
        let let_in = format!("let {} into the pool", missing.join(", "));
        let put_out = format!("forget {}, no member any more", gone.join(", "));
        let mut changes = Vec::new();
        changes.extend((!missing.is_empty()).then(|| Change::new("probe", let_in)));
        changes.extend((!gone.is_empty()).then(|| Change::new("detach", put_out)));
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        let names: Vec<&str> = self.others.iter().map(|peer| peer.name.as_str()).collect();
        vec![Change::new(
            "probe",
            format!("let {} into the pool", names.join(", ")),
        )]
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let Due { missing, gone } = self.due(host.as_read())?;
        for name in &gone {
            cli::change(host, &["peer", "detach", name, "force"])?;
        }
        for name in &missing {
            cli::change(host, &["peer", "probe", name])?;
        }
        let start = host.elapsed();
        loop {
            let pool = cli::pool(host.as_read(), None)?.unwrap_or_default();
            let met = |name: &String| {
                let mut fellows = pool.iter();
                fellows.any(|fellow| fellow.host == *name && fellow.connected)
            };
            if missing.iter().all(met) {
                return Ok(());
            }
            if host.elapsed().saturating_sub(start) >= MEETS {
                let doing = format!("see {} in the pool", missing.join(", "));
                return Err(HostError::failed(doing, "not connected in time"));
            }
            host.pause(AGAIN);
        }
    }
}
