//! `gluster_member`: a node's place in its trusted pool.

use std::time::Duration;

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::super::managed::ownership;
use super::super::peer::Peer;
use super::cli::{self, AGAIN, Fellow};
use crate::deserialize::{Error, ValueField};
use crate::digest::Digest;
use crate::host::{Content, Host, HostError, HostResult, ReadHost, UnitVerb};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, ResourceId, Subject};
use crate::value::{Map, Value};

const INFO: &str = "/var/lib/glusterd/glusterd.info";
const UNIT: &str = "glusterd.service";

/// What brings `gluster`, and does not start it.
const PACKAGE: &str = "glusterfs-server";

/// One file for each of the others, named by its UUID.
const PEERS: &str = "/var/lib/glusterd/peers";

/// In such a file: it belongs to the pool, and the pool to it.
const IN_CLUSTER: &str = "3";

/// For its fellows to tell of volumes.
const LEARNS: Duration = Duration::from_secs(60);

/// `gluster_member: backend02`. Tells how the node stands in the pool. A machine that took another's
/// place (`generation`) takes its identity as well: the pool knows its members by UUID.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// How often another machine took the node's place. Default: 0.
    generation: Option<u32>,
    /// All members with `name` and `address`, this one with them. Names must resolve on all of them.
    peers: Vec<ValueField>,
}

struct GlusterMember {
    id: ResourceId,
    generation: u32,
    others: Vec<Peer>,
    info: AbsolutePath,
    peers: AbsolutePath,
}

/// Whose place a machine takes, as the pool knows it.
struct Predecessor {
    uuid: String,
    told_by: String,
    /// The others: UUID and name.
    fellows: Vec<(String, String)>,
}

impl Declaration for Fields {
    const NAME: &'static str = "gluster_member";
    const DOC: &'static str =
        "A node's place in its GlusterFS pool, which a replaced machine takes over.";
    const LIVE: &'static [&'static str] = &["formed", "connected", "speaker"];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let mut others = Peer::list(&self.peers, place)?;
        others.retain(|peer| peer.name != place.id.name());
        let path = |path: &str| {
            AbsolutePath::try_from(path.to_owned())
                .map_err(|error| Error::new(place.fields.span, error.to_string()))
        };
        Ok(Box::new(GlusterMember {
            id: place.id.clone(),
            generation: self.generation.unwrap_or_default(),
            others,
            info: path(INFO)?,
            peers: path(PEERS)?,
        }))
    }
}

impl GlusterMember {
    fn name(&self) -> &str {
        self.id.name()
    }

    /// What the node notes once it has its predecessor's identity.
    fn mark(&self) -> (String, Digest) {
        let key = format!("gluster_member:{}/identity", self.name());
        (key, Digest::of(&self.generation.to_le_bytes()))
    }

    /// What the others know of the node; none where nobody knows it.
    fn predecessor(&self, host: &dyn ReadHost) -> HostResult<Option<Predecessor>> {
        for peer in &self.others {
            let Some(fellows) = cli::pool(host, Some(&peer.name))? else {
                continue;
            };
            let (own, fellows): (Vec<Fellow>, Vec<Fellow>) =
                fellows.into_iter().partition(|one| one.host == self.name());
            let Some(own) = own.into_iter().next() else {
                continue;
            };
            let name = |fellow: &Fellow| match fellow.is_self() {
                true => peer.name.clone(),
                false => fellow.host.clone(),
            };
            return Ok(Some(Predecessor {
                uuid: own.uuid,
                told_by: peer.name.clone(),
                fellows: fellows
                    .iter()
                    .map(|one| (one.uuid.clone(), name(one)))
                    .collect(),
            }));
        }
        Ok(None)
    }

    /// Whether it is to become who its predecessor was.
    fn is_due(&self, host: &dyn ReadHost) -> HostResult<bool> {
        let (key, digest) = self.mark();
        if self.generation == 0 || host.mark(&key)? == Some(digest) {
            return Ok(false);
        }
        // Of whom no pool knows, there is no place to take.
        Ok(self.predecessor(host)?.is_some())
    }

    fn speaks(&self, fellows: &[Fellow], host: &dyn ReadHost) -> HostResult<bool> {
        if fellows.len() > 1 {
            let mut connected = fellows.iter().filter(|one| one.connected && !one.is_self());
            return Ok(connected.all(|one| one.host.as_str() > self.name()));
        }
        // A pool of one speaks for nobody where the others have one.
        if self
            .others
            .iter()
            .any(|peer| peer.name.as_str() < self.name())
        {
            return Ok(false);
        }
        for peer in &self.others {
            if cli::pool(host, Some(&peer.name))?.is_some_and(|pool| pool.len() > 1) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The line of the identity file that names it, replaced.
    fn with_uuid(&self, uuid: &str, host: &dyn ReadHost) -> HostResult<String> {
        let content = host.read(&self.info)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let others = text.lines().filter(|line| !line.starts_with("UUID="));
        let mut lines = vec![format!("UUID={uuid}")];
        lines.extend(others.map(str::to_owned));
        Ok(lines.join("\n") + "\n")
    }

    /// Waits until the fellow that told of its place has told of all volumes, too.
    fn catch_up(&self, fellow: &str, host: &mut dyn Host) -> HostResult<()> {
        let start = host.elapsed();
        loop {
            let due = cli::volumes(host.as_read(), Some(fellow))?;
            let known = cli::volumes(host.as_read(), None)?;
            if known.is_some() && known == due {
                return Ok(());
            }
            if host.elapsed().saturating_sub(start) >= LEARNS {
                let doing = format!("see {} back in its pool", self.name());
                let why = format!("it does not know the volumes that {fellow} knows");
                return Err(HostError::failed(doing, why));
            }
            host.pause(AGAIN);
        }
    }

    fn write(&self, path: &AbsolutePath, text: String, host: &mut dyn Host) -> HostResult<()> {
        let content = Content::Bytes(text.into_bytes());
        host.write_file(path, &content, &ownership(None, 0o600, None, None), None)
    }
}

impl Resource for GlusterMember {
    fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject::Path(self.info.clone()),
            Subject::Nothing(self.id.clone()),
        ]
    }

    fn needs(&self) -> Vec<Subject> {
        vec![Subject::Package(PACKAGE.to_owned())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        Ok(if self.is_due(host)? {
            self.intent()
        } else {
            Vec::new()
        })
    }

    fn intent(&self) -> Vec<Change> {
        if self.generation == 0 {
            return Vec::new();
        }
        vec![Change::new(
            "take-over",
            "take the place that the pool has for it",
        )]
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let Some(predecessor) = self.predecessor(host.as_read())? else {
            let doing = format!("have {} take its predecessor's place", self.name());
            let why = "none of the others answers and knows it";
            return Err(HostError::failed(doing, why));
        };
        let content = self.with_uuid(&predecessor.uuid, host.as_read())?;
        host.unit_verb(UNIT, UnitVerb::Stop)?;
        self.write(&self.info, content, host)?;
        // Not by a probe: its state would be that of a stranger who asks to be let in.
        host.make_directory(&self.peers, &ownership(None, 0o755, None, None))?;
        for (uuid, name) in &predecessor.fellows {
            let path = self.peers.join(uuid).map_err(|error| {
                HostError::failed(format!("note {name} as a member of the pool"), error)
            })?;
            let text = format!("uuid={uuid}\nstate={IN_CLUSTER}\nhostname1={name}\n");
            self.write(&path, text, host)?;
        }
        // Its package was to leave it alone until now.
        if host.unit(UNIT)?.load == "masked" {
            host.unit_verb(UNIT, UnitVerb::Unmask)?;
        }
        host.unit_verb(UNIT, UnitVerb::Start)?;
        self.catch_up(&predecessor.told_by, host)?;
        // Where its own brick really is it notes as it hears of it, and knows only when it has read that.
        host.unit_verb(UNIT, UnitVerb::Restart)?;
        self.catch_up(&predecessor.told_by, host)?;
        let (key, digest) = self.mark();
        host.set_mark(&key, digest)
    }

    fn live(&self, host: &dyn ReadHost) -> HostResult<Map> {
        let mut facts = Map::new();
        let mut tell = |name: &str, value: bool| {
            facts.insert(name.to_owned(), Value::Bool(value));
        };
        if !host.unit(UNIT)?.is_active() {
            // It writes the file as soon as somebody is to know it. Without, it is in no pool.
            if host.stat(&self.info)?.is_none() {
                tell("formed", false);
            }
            return Ok(facts);
        }
        let Some(fellows) = cli::pool(host, None)? else {
            return Ok(facts);
        };
        tell("formed", fellows.len() > 1);
        let all = fellows.len() > self.others.len();
        tell(
            "connected",
            all && fellows.iter().all(|fellow| fellow.connected),
        );
        let speaks = self.speaks(&fellows, host)?;
        facts.insert("speaker".to_owned(), Value::Bool(speaks));
        Ok(facts)
    }
}
