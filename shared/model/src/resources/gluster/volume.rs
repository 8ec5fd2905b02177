//! `gluster_volume`: a replicated volume; made and set by one member for all.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::super::peer::Peer;
use super::cli;
use crate::deserialize::{Error, ValueField};
use crate::host::{Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, ResourceId, Subject};

/// `gluster_volume: static`, with `once`. Its bricks are those that it was made with: a further peer
/// gets none, and none is ever taken away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// All members with `name` and `address`; the first of them get the bricks.
    peers: Vec<ValueField>,
    /// How many copies there are. Default: 3.
    replica: Option<u32>,
    /// The brick's directory, the same on all.
    brick: AbsolutePath,
    /// Options of the volume, as `gluster volume set` takes them.
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// Bricks may lie on the root file system, where a full volume fills the machine.
    #[serde(default)]
    on_root: bool,
}

struct GlusterVolume {
    id: ResourceId,
    bricks: Vec<String>,
    options: BTreeMap<String, String>,
    on_root: bool,
}

impl Declaration for Fields {
    const NAME: &'static str = "gluster_volume";
    const DOC: &'static str = "A replicated GlusterFS volume and its options.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let name = place.id.name();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.starts_with('-') || !name.bytes().all(good) {
            let message = format!("`{name}` is not the name of a volume");
            return Err(
                Error::new(place.fields.span, message).with_help("letters, digits, - and _")
            );
        }
        let peers = Peer::list(&self.peers, place)?;
        let replica = self.replica.unwrap_or(3) as usize;
        if replica < 3 {
            let message = "with fewer than three copies nobody can tell which of two is right";
            return Err(place.error("replica", message));
        }
        if peers.len() < replica {
            let message = format!(
                "{replica} copies need as many peers, there are {}",
                peers.len()
            );
            return Err(place.error("peers", message));
        }
        let brick = |peer: &Peer| format!("{}:{}", peer.name, self.brick);
        Ok(Box::new(GlusterVolume {
            id: place.id.clone(),
            bricks: peers.iter().take(replica).map(brick).collect(),
            options: self.options,
            on_root: self.on_root,
        }))
    }
}

impl GlusterVolume {
    fn due(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let found = cli::volume(host, self.id.name())?;
        let mut due = Vec::new();
        if found.is_none() {
            let bricks = self.bricks.join(" ");
            due.push(Change::new("create", format!("make it of {bricks}")));
        }
        let found = found.unwrap_or_default();
        let other = |(key, value): &(&String, &String)| found.options.get(*key) != Some(*value);
        for (key, value) in self.options.iter().filter(other) {
            let before = found.options.get(key).map_or("", String::as_str);
            due.push(Change::new("set", format!("{key} {before} → {value}")));
        }
        if !found.started {
            due.push(Change::new("start", "start it"));
        }
        Ok(due)
    }
}

impl Resource for GlusterVolume {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        self.due(host)
    }

    fn intent(&self) -> Vec<Change> {
        let verbs = ["create", "set", "start"].into_iter();
        let change = |verb: &str| Change::new(verb, format!("{verb} the volume"));
        verbs.map(change).collect()
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let name = self.id.name();
        let replica = self.bricks.len().to_string();
        if cli::volume(host.as_read(), name)?.is_none() {
            let mut words = vec!["volume", "create", name, "replica", &replica];
            words.extend(self.bricks.iter().map(String::as_str));
            if self.on_root {
                words.push("force");
            }
            cli::change(host, &words)?;
        }
        let found = cli::volume(host.as_read(), name)?.ok_or_else(|| {
            HostError::failed(format!("make the volume {name}"), "it is not there")
        })?;
        for (key, value) in &self.options {
            if found.options.get(key) != Some(value) {
                cli::change(host, &["volume", "set", name, key, value])?;
            }
        }
        if found.started {
            return Ok(());
        }
        cli::change(host, &["volume", "start", name])
    }
}
