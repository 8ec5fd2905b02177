//! `gluster_brick`: a node's own brick of a volume.

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::cli;
use crate::deserialize::Error;
use crate::digest::Digest;
use crate::host::{Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, ResourceId, Subject};
use crate::value::{Map, Value};

/// `gluster_brick: /srv/brick`. Tells whether it serves and what is yet to be healed. On a machine
/// that took another's place it is filled from the other copies; an empty brick of a machine that was
/// not replaced is left alone: a disk that is not mounted looks the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    volume: String,
    /// The node's name, as the bricks have it.
    node: String,
    /// How often another machine took the node's place. Default: 0.
    generation: Option<u32>,
}

struct GlusterBrick {
    id: ResourceId,
    volume: String,
    /// `host:/path`.
    brick: String,
    /// The node's membership: until it is settled, its glusterd knows of no volume.
    member: Subject,
    generation: u32,
}

impl Declaration for Fields {
    const NAME: &'static str = "gluster_brick";
    const DOC: &'static str =
        "A node's brick of a GlusterFS volume; filled again on a replaced machine.";
    const LIVE: &'static [&'static str] = &["online", "backlog"];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let path: AbsolutePath = place.path()?;
        Ok(Box::new(GlusterBrick {
            id: place.id.clone(),
            brick: format!("{}:{path}", self.node),
            member: Subject::Nothing(ResourceId::new("gluster_member", &self.node)),
            volume: self.volume,
            generation: self.generation.unwrap_or_default(),
        }))
    }
}

impl GlusterBrick {
    fn mark(&self) -> (String, Digest) {
        let key = format!("gluster_brick:{}/filled", self.id.name());
        (key, Digest::of(&self.generation.to_le_bytes()))
    }

    /// The volume has it; it may be one that further peers have no brick of.
    fn is_part(&self, host: &dyn ReadHost) -> HostResult<bool> {
        if let Some(earlier) = host.coming(&self.member) {
            return Err(HostError::NotYet(earlier));
        }
        let volume = cli::volume(host, &self.volume)?.ok_or_else(|| {
            let doing = format!("look after the brick {}", self.brick);
            HostError::failed(doing, format!("there is no volume {}", self.volume))
        })?;
        Ok(volume.bricks.contains(&self.brick))
    }
}

impl Resource for GlusterBrick {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        vec![Subject::Service("glusterd.service".to_owned())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let (key, digest) = self.mark();
        if self.generation == 0 || host.mark(&key)? == Some(digest) {
            return Ok(Vec::new());
        }
        Ok(if self.is_part(host)? {
            self.intent()
        } else {
            Vec::new()
        })
    }

    fn intent(&self) -> Vec<Change> {
        if self.generation == 0 {
            return Vec::new();
        }
        vec![Change::new("fill", "fill it from the other copies")]
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let (volume, brick) = (self.volume.as_str(), self.brick.as_str());
        // A brick that runs has its data, or is being filled: a crash between the two lines below.
        if !cli::is_online(host.as_read(), volume, brick)? {
            cli::change(host, &["volume", "reset-brick", volume, brick, "start"])?;
            let words = [
                "volume",
                "reset-brick",
                volume,
                brick,
                brick,
                "commit",
                "force",
            ];
            cli::change(host, &words)?;
        }
        let (key, digest) = self.mark();
        host.set_mark(&key, digest)
    }

    fn live(&self, host: &dyn ReadHost) -> HostResult<Map> {
        let mut facts = Map::new();
        // Who has no brick has none that is down.
        let online = match self.is_part(host)? {
            true => cli::is_online(host, &self.volume, &self.brick)?,
            false => true,
        };
        facts.insert("online".to_owned(), Value::Bool(online));
        if let Some(backlog) = cli::backlog(host, &self.volume)? {
            facts.insert("backlog".to_owned(), Value::Integer(backlog));
        }
        Ok(facts)
    }
}
