//! `etcd_member`: a node's membership in its cluster, settled before its service first starts.

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::super::managed::ownership;
use super::client::{Client, Connection, Member, SETTLES, hex};
use super::join_file::JoinFile;
use super::marks::Marks;
use crate::deserialize::{Error, Located, ValueField};
use crate::digest::Digest;
use crate::host::{Content, Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, Resource, ResourceId, Subject};
use crate::value::{Map, Value};

/// `etcd_member: db02`
///
/// Without data here, the peers are asked. If they answer, the node joins their cluster as a
/// learner; a dead member of its name goes first, but only if the machine was replaced. If nobody
/// answers, it founds a cluster together with them, which a rollout allows only while the role is
/// being formed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// Of this cluster alone: keeps members of different clusters apart.
    token: Located<String>,
    /// How often another machine took the node's place. Default: 0.
    generation: Option<u32>,
    /// All members with `name` and `address`, this one with them.
    peers: Vec<ValueField>,
    /// Of this node.
    address: String,
    /// etcd's data directory.
    data: AbsolutePath,
    /// Environment file for the unit: as whom etcd starts, and into which cluster.
    join_file: AbsolutePath,
    /// Default: 2380.
    peer_port: Option<u16>,
    /// Default: 2379.
    client_port: Option<u16>,
    /// Certificate, key and authority for talking to etcd; plain HTTP without.
    cert: Option<AbsolutePath>,
    key: Option<AbsolutePath>,
    ca: Option<AbsolutePath>,
}

struct EtcdMember {
    id: ResourceId,
    client: Client,
    marks: Marks,
    token: String,
    data: AbsolutePath,
    /// Is there once etcd has first run.
    initialised: AbsolutePath,
    join_file: AbsolutePath,
}

/// What there is to do.
enum Due {
    Nothing,
    /// The file is gone that etcd has its name from.
    Name,
    Join {
        /// Dead members to be removed first.
        dead: Vec<Member>,
        /// It is not in the list yet.
        add: bool,
        /// The others.
        cluster: Vec<(String, String)>,
    },
    Found,
}

impl Declaration for Fields {
    const NAME: &'static str = "etcd_member";
    const DOC: &'static str = "A node's membership in its etcd cluster, before its service starts.";
    const LIVE: &'static [&'static str] = &["formed", "voting", "learner", "leader", "members"];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let Located { span, value: token } = self.token;
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if token.is_empty() || !token.bytes().all(good) {
            return Err(Error::new(span, format!("`{token}` is not a token"))
                .with_help("letters, digits, `-`, `_` and `.`"));
        }
        let connection = Connection {
            generation: self.generation,
            address: self.address,
            peers: self.peers,
            peer_port: self.peer_port,
            client_port: self.client_port,
            cert: self.cert,
            key: self.key,
            ca: self.ca,
        };
        let client = Client::build(connection, place)?;
        let initialised = self
            .data
            .join("member")
            .map_err(|error| place.error("data", error.to_string()))?;
        Ok(Box::new(EtcdMember {
            id: place.id.clone(),
            marks: Marks::new(&client.name, &token),
            client,
            token,
            data: self.data,
            initialised,
            join_file: self.join_file,
        }))
    }
}

impl EtcdMember {
    fn due(&self, host: &dyn ReadHost) -> HostResult<Due> {
        let settled = self.marks.is_ours(host)?;
        if host.stat(&self.initialised)?.is_some() {
            return match (settled, self.named(host)?) {
                (false, _) => Err(self.foreign_data()),
                (true, None) => Ok(Due::Name),
                (true, Some(_)) => Ok(Due::Nothing),
            };
        }
        match self.client.members(host)? {
            Some(members) => self.joining(members, settled, host),
            None => self.founding(settled, host),
        }
    }

    /// Who etcd is told that it is.
    fn named(&self, host: &dyn ReadHost) -> HostResult<Option<String>> {
        let content = host.read(&self.join_file)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        Ok(JoinFile::name_in(&text).map(str::to_owned))
    }

    fn joining(&self, members: Vec<Member>, settled: bool, host: &dyn ReadHost) -> HostResult<Due> {
        let url = self.client.peer_url();
        let (mut dead, mut cluster, mut waits) = (Vec::new(), Vec::new(), false);
        for member in members {
            let generation = self.client.generation_of(&member.name);
            let at_our_place = member.peer_urls.contains(&url);
            if at_our_place && !member.started {
                waits = true;
            } else if generation.is_some_and(|g| g < self.client.generation) {
                dead.push(member);
            } else if generation.is_some() || at_our_place {
                return Err(self.lost_data(&member));
            } else {
                let name = match member.name.as_str() {
                    // Names do not matter to the others, but each has to have one.
                    "" => format!("member-{}", hex(member.id)),
                    name => name.to_owned(),
                };
                let urls = member.peer_urls.iter();
                cluster.extend(urls.map(|url| (name.clone(), url.clone())));
            }
        }
        let named = self.named(host)?;
        if waits && settled && dead.is_empty() && named == Some(self.client.member_name()) {
            return Ok(Due::Nothing);
        }
        Ok(Due::Join {
            dead,
            add: !waits,
            cluster,
        })
    }

    fn founding(&self, settled: bool, host: &dyn ReadHost) -> HostResult<Due> {
        let content = host.read(&self.join_file)?;
        if settled && content == Some(self.founders_file().text().into_bytes()) {
            return Ok(Due::Nothing);
        }
        if settled && !self.marks.is_founding(host)? {
            return Err(HostError::failed(
                format!("have {} join its cluster", self.client.name),
                "it was to join before, and now none of its peers answers",
            ));
        }
        Ok(Due::Found)
    }

    fn foreign_data(&self) -> HostError {
        let (data, name) = (&self.data, &self.client.name);
        HostError::failed(
            format!("look after etcd of {name}"),
            format!(
                "{data} has data that did not come there by way of this cluster (token {}): it may \
                 be another cluster's, so it is left alone. If nobody needs it, move it away and \
                 apply again",
                self.token
            ),
        )
    }

    fn lost_data(&self, member: &Member) -> HostError {
        let (data, name) = (&self.data, &self.client.name);
        HostError::failed(
            format!("have {name} join its cluster"),
            format!(
                "the cluster has it as `{}` ({}) already, but {data} is empty and the machine was \
                 not replaced. Bring the data back, or have it start anew: `ctl nodes replace \
                 {name}`",
                member.name,
                hex(member.id)
            ),
        )
    }

    fn founders_file(&self) -> JoinFile {
        let mut cluster = self.client.declared();
        cluster.sort_unstable();
        self.file(cluster, true)
    }

    fn file(&self, cluster: Vec<(String, String)>, founding: bool) -> JoinFile {
        JoinFile {
            name: self.client.member_name(),
            cluster,
            founding,
            token: self.token.clone(),
        }
    }

    fn write(&self, file: &JoinFile, host: &mut dyn Host) -> HostResult<()> {
        let content = Content::Bytes(file.text().into_bytes());
        let ownership = ownership(None, 0o644, None, None);
        host.write_file(&self.join_file, &content, &ownership, None)
    }

    fn peers_in_words(&self) -> String {
        let names = self.client.others().map(|peer| peer.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    fn change(&self, verb: &str, text: String) -> Change {
        let parts = [b"to be".as_slice(), self.id.name().as_bytes()];
        Change::new(verb, text).with_effects([Effect::File {
            path: self.join_file.clone(),
            digest: Digest::of_parts(parts),
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
        }])
    }

    fn join_change(&self, dead: &[Member], add: bool) -> Change {
        let mut text = format!("join the cluster of {} as a learner", self.peers_in_words());
        for member in dead {
            text.push_str(&format!(
                ", for which the dead `{}` ({}) is removed",
                member.name,
                hex(member.id)
            ));
        }
        if !add {
            text.push_str(", where it is listed already");
        }
        self.change("join", text)
    }

    fn found_change(&self) -> Change {
        let peers = self.peers_in_words();
        self.change(
            "bootstrap",
            if peers.is_empty() {
                "found a new cluster, alone".to_owned()
            } else {
                format!("found a new cluster together with {peers}, none of whom answers")
            },
        )
    }
}

impl Resource for EtcdMember {
    fn subjects(&self) -> Vec<Subject> {
        vec![
            Subject::Path(self.join_file.clone()),
            Subject::Nothing(self.id.clone()),
        ]
    }

    fn needs(&self) -> Vec<Subject> {
        let mut needs = self.client.needs();
        needs.push(Subject::Path(self.data.clone()));
        needs.extend(self.join_file.parent().map(Subject::Path));
        for package in ["etcd-client", "etcd-server", "etcd"] {
            needs.push(Subject::Package(package.to_owned()));
        }
        needs
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        Ok(match self.due(host)? {
            Due::Nothing => Vec::new(),
            Due::Name => vec![self.change("name", format!("write {} anew", self.join_file))],
            Due::Join { dead, add, .. } => vec![self.join_change(&dead, add)],
            Due::Found => vec![self.found_change()],
        })
    }

    /// Both ways: which one it is, the peers tell.
    fn intent(&self) -> Vec<Change> {
        let peers = self.peers_in_words();
        let join = format!("join the cluster of {peers}, if they have one");
        let found = format!("found a new cluster together with {peers}, if none answers");
        vec![self.change("join", join), self.change("bootstrap", found)]
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let planned = |verb: &str| changes.iter().any(|change| change.verb == verb);
        match self.due(host.as_read())? {
            Due::Nothing => Ok(()),
            Due::Name => self.write(&self.file(self.client.declared(), false), host),
            Due::Join {
                dead,
                add,
                mut cluster,
            } => {
                for member in &dead {
                    self.client
                        .change(host, &["member", "remove", &hex(member.id)], SETTLES)?;
                }
                let (name, url) = (self.client.member_name(), self.client.peer_url());
                if add {
                    let urls = format!("--peer-urls={url}");
                    let arguments = ["member", "add", &name, "--learner", &urls];
                    self.client.change(host, &arguments, SETTLES)?;
                }
                cluster.push((name, url));
                self.write(&self.file(cluster, false), host)?;
                self.marks.set_ours(host)
            }
            Due::Found if planned("bootstrap") => {
                self.write(&self.founders_file(), host)?;
                self.marks.set_founding(host)?;
                self.marks.set_ours(host)
            }
            // Founding was not what the plan said: the peers must not just be slow.
            Due::Found => Err(HostError::failed(
                format!("have {} join its cluster", self.client.name),
                "its peers answered before, and do not any more",
            )),
        }
    }

    /// Whose data it is.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let state = host.stat(&self.join_file)?;
        let name = self.named(host)?.unwrap_or_default();
        Ok(Fingerprint {
            digest: Digest::of_parts([self.token.as_bytes(), name.as_bytes()]),
            changed_at: state.map(|state| state.changed_at),
        })
    }

    fn confirm(&self, host: &mut dyn Host) -> HostResult<()> {
        if !self.marks.is_founding(host.as_read())? {
            return Ok(());
        }
        // Not knowing is no failure here: it is asked again next time.
        match self.client.quorum(host.as_read()) {
            Ok(quorum) if quorum.own => self.marks.set_founded(host),
            _ => Ok(()),
        }
    }

    fn live(&self, host: &dyn ReadHost) -> HostResult<Map> {
        let data = host.stat(&self.initialised)?.is_some();
        let quorum = match self.client.quorum(host) {
            Ok(quorum) => quorum,
            // A machine that cannot even ask has no part in a cluster.
            Err(_) if !data => return Ok(map([("formed", Value::Bool(false))])),
            Err(error) => return Err(error),
        };
        let mut facts = map([("voting", Value::Bool(quorum.own))]);
        if quorum.any {
            facts.insert("formed".to_owned(), Value::Bool(true));
        } else if !data || self.marks.is_founding(host)? {
            // Somebody may be there who merely has no quorum: then it is not for us to say.
            if self.client.members(host)?.is_none() {
                facts.insert("formed".to_owned(), Value::Bool(false));
            }
        }
        if let Some(status) = self.client.status(host)? {
            facts.insert("learner".to_owned(), Value::Bool(status.learner));
            let leads = status.leader != 0 && status.leader == status.id;
            facts.insert("leader".to_owned(), Value::Bool(leads));
        }
        if quorum.any
            && let Some(members) = self.client.members(host)?
            && let Ok(count) = i64::try_from(members.len())
        {
            facts.insert("members".to_owned(), Value::Integer(count));
        }
        Ok(facts)
    }
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    let pairs = pairs.into_iter();
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}
