//! `etcdctl`: one child for each question.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::super::declare::Place;
use super::super::peer::Peer;
use crate::deserialize::{Error, ValueField};
use crate::host::{Host, HostError, HostResult, Probe, Program, ProgramOutput, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::Subject;

/// A member, and how it and its peers are reached.
pub(super) struct Client {
    /// Of the node.
    pub(super) name: String,
    /// How often another machine took the node's place.
    pub(super) generation: u32,
    address: String,
    /// With itself.
    peers: Vec<Peer>,
    peer_port: u16,
    client_port: u16,
    tls: Option<Tls>,
}

/// The fields that say how, as both kinds have them.
pub(super) struct Connection {
    pub(super) generation: Option<u32>,
    pub(super) address: String,
    pub(super) peers: Vec<ValueField>,
    pub(super) peer_port: Option<u16>,
    pub(super) client_port: Option<u16>,
    pub(super) cert: Option<AbsolutePath>,
    pub(super) key: Option<AbsolutePath>,
    pub(super) ca: Option<AbsolutePath>,
}

struct Tls {
    cert: AbsolutePath,
    key: AbsolutePath,
    ca: AbsolutePath,
}

/// A line of `member list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: u64,
    /// Empty until it first runs, unless it founded the cluster.
    pub(super) name: String,
    pub(super) peer_urls: Vec<String>,
    /// It has run: it told where clients reach it.
    pub(super) started: bool,
}

/// What a member says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) id: u64,
    /// 0 where it knows of none.
    pub(super) leader: u64,
    pub(super) learner: bool,
}

/// Through whom a quorum answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Quorum {
    pub(super) own: bool,
    pub(super) any: bool,
}

const DIAL: &str = "--dial-timeout=2s";
const COMMAND: &str = "--command-timeout=5s";

/// More than the client's own limits.
const LIMIT: Duration = Duration::from_secs(20);

/// In etcd's refusal to change its members within seconds of another change, or of a link that came
/// back, and how long that may last.
pub(super) const SETTLES: (&str, Duration) = ("unhealthy cluster", Duration::from_secs(30));

/// Between two attempts.
pub(super) const AGAIN: Duration = Duration::from_secs(2);

impl Client {
    pub(super) fn build(given: Connection, place: &Place<'_>) -> Result<Self, Error> {
        let tls = match (given.cert, given.key, given.ca) {
            (Some(cert), Some(key), Some(ca)) => Some(Tls { cert, key, ca }),
            (None, None, None) => None,
            _ => {
                let message = "`cert`, `key` and `ca` go together";
                return Err(Error::new(place.fields.span, message));
            }
        };
        let name = place.id.name().to_owned();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !name.bytes().all(good) {
            let message = format!("`{name}` is not the name of a member");
            return Err(Error::new(place.fields.span, message));
        }
        let peers = Peer::list(&given.peers, place)?;
        Ok(Self {
            name,
            generation: given.generation.unwrap_or_default(),
            address: given.address,
            peers,
            peer_port: given.peer_port.unwrap_or(2380),
            client_port: given.client_port.unwrap_or(2379),
            tls,
        })
    }

    /// The name in the cluster: `db02`, and `db02-g1` once another machine took its place.
    pub(super) fn member_name(&self) -> String {
        match self.generation {
            0 => self.name.clone(),
            generation => format!("{}-g{generation}", self.name),
        }
    }

    /// Which generation of this node a member's name stands for; none for another node.
    pub(super) fn generation_of(&self, member: &str) -> Option<u32> {
        let rest = member.strip_prefix(&self.name)?;
        match rest.strip_prefix("-g") {
            Some(digits) => digits.parse().ok(),
            None => rest.is_empty().then_some(0),
        }
    }

    pub(super) fn peer_url(&self) -> String {
        self.url(&self.address, self.peer_port)
    }

    /// All members as declared: name in the cluster and peer URL.
    pub(super) fn declared(&self) -> Vec<(String, String)> {
        let own = (self.member_name(), self.peer_url());
        let others = self.others().map(|peer| {
            let url = self.url(&peer.address, self.peer_port);
            (peer.name.clone(), url)
        });
        std::iter::once(own).chain(others).collect()
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|peer| peer.name != self.name)
    }

    pub(super) fn needs(&self) -> Vec<Subject> {
        let tls = self.tls.iter();
        let files = tls.flat_map(|tls| [&tls.cert, &tls.key, &tls.ca]);
        files.cloned().map(Subject::Path).collect()
    }

    /// What the peers say of who belongs to the cluster; none where nobody answers.
    pub(super) fn members(&self, host: &dyn ReadHost) -> HostResult<Option<Vec<Member>>> {
        let others = self.endpoints(self.others().map(|peer| &peer.address));
        if !self.is_anybody_there(host, self.others().map(|peer| &peer.address))? {
            return Ok(None);
        }
        let output = self.look(host, &others, &["member", "list", "-w", "json"])?;
        if output.code != 0 {
            return refused(&output).map_or(Ok(None), Err);
        }
        let json = parse(&output)?;
        let members = json["members"].as_array().cloned().unwrap_or_default();
        Ok(Some(members.iter().map(Member::of).collect()))
    }

    /// Whether any of these accepts connections. etcdctl goes on trying for its five seconds where all
    /// refuse them, which is what the founders of a cluster do.
    fn is_anybody_there<'a>(
        &self,
        host: &dyn ReadHost,
        addresses: impl IntoIterator<Item = &'a String>,
    ) -> HostResult<bool> {
        self.check_files(host)?;
        for address in addresses {
            let at = match address.contains(':') {
                true => format!("[{address}]:{}", self.client_port),
                false => format!("{address}:{}", self.client_port),
            };
            if host.probe(&Probe::Tcp(at))?.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the member here says of itself; none where it does not answer.
    pub(super) fn status(&self, host: &dyn ReadHost) -> HostResult<Option<Status>> {
        if !self.is_anybody_there(host, [&self.address])? {
            return Ok(None);
        }
        let own = self.endpoints([&self.address]);
        let output = self.look(host, &own, &["endpoint", "status", "-w", "json"])?;
        if output.code != 0 {
            return refused(&output).map_or(Ok(None), Err);
        }
        let json = parse(&output)?;
        let status = &json[0]["Status"];
        let number = |value: &Json| value.as_u64().unwrap_or_default();
        Ok(status.is_object().then(|| Status {
            id: number(&status["header"]["member_id"]),
            leader: number(&status["leader"]),
            learner: status["isLearner"].as_bool().unwrap_or_default(),
        }))
    }

    /// Asks for a read that a quorum has to confirm: the member here, and only where that fails, its
    /// peers, of whom a dead one takes its time. Learners never confirm one.
    pub(super) fn quorum(&self, host: &dyn ReadHost) -> HostResult<Quorum> {
        let own = self.is_confirmed(host, vec![&self.address])?;
        let others = self.others().map(|peer| &peer.address);
        let any = own || self.is_confirmed(host, others.collect())?;
        Ok(Quorum { own, any })
    }

    /// Whether a quorum answers through any of these.
    fn is_confirmed(&self, host: &dyn ReadHost, addresses: Vec<&String>) -> HostResult<bool> {
        if !self.is_anybody_there(host, addresses.iter().copied())? {
            return Ok(false);
        }
        let endpoints = self.endpoints(addresses);
        // It exits with 1 where any endpoint is not healthy, and tells of all in any case.
        let output = self.look(host, &endpoints, &["endpoint", "health", "-w", "json"])?;
        let Ok(json) = parse(&output) else {
            return Ok(false);
        };
        let mut endpoints = json.as_array().into_iter().flatten();
        Ok(endpoints.any(|endpoint| endpoint["health"].as_bool() == Some(true)))
    }

    /// Has the cluster change its members, by way of the peers; again and again while it refuses for a
    /// reason that passes, but no longer than `within`.
    pub(super) fn change(
        &self,
        host: &mut dyn Host,
        arguments: &[&str],
        (passing, within): (&str, Duration),
    ) -> HostResult<()> {
        self.check_files(host.as_read())?;
        let others = self.endpoints(self.others().map(|peer| &peer.address));
        let start = host.elapsed();
        loop {
            let output = host.execute(&self.program(&others, arguments))?;
            if output.code == 0 {
                return Ok(());
            }
            let waited = host.elapsed().saturating_sub(start);
            if !output.stderr.contains(passing) || waited >= within {
                return Err(HostError::Program {
                    operation: format!("run etcdctl {}", arguments.join(" ")),
                    status: format!("exit code {}", output.code),
                    output: output.stderr.trim().to_owned(),
                });
            }
            host.pause(AGAIN);
        }
    }

    pub(super) fn own_endpoint(&self) -> String {
        self.url(&self.address, self.client_port)
    }

    fn look(
        &self,
        host: &dyn ReadHost,
        endpoints: &str,
        arguments: &[&str],
    ) -> HostResult<ProgramOutput> {
        self.check_files(host)?;
        host.observe(&self.program(endpoints, arguments))
    }

    /// Without them the client could ask nobody, which must not look as if nobody answered.
    fn check_files(&self, host: &dyn ReadHost) -> HostResult<()> {
        let Some(tls) = &self.tls else {
            return Ok(());
        };
        for path in [&tls.cert, &tls.ca] {
            // Read, not only looked for: a plan must notice that it is yet to be written.
            if host.read(path)?.is_none() {
                let operation = format!("ask the cluster of {}", self.name);
                return Err(HostError::failed(operation, format!("there is no {path}")));
            }
        }
        Ok(())
    }

    fn program(&self, endpoints: &str, arguments: &[&str]) -> Program {
        let mut argv = vec![
            "etcdctl".to_owned(),
            format!("--endpoints={endpoints}"),
            DIAL.to_owned(),
            COMMAND.to_owned(),
        ];
        if let Some(tls) = &self.tls {
            argv.push(format!("--cacert={}", tls.ca));
            argv.push(format!("--cert={}", tls.cert));
            argv.push(format!("--key={}", tls.key));
        }
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Program {
            argv,
            environment: BTreeMap::from([("ETCDCTL_API".to_owned(), "3".to_owned())]),
            directory: None,
            user: None,
            timeout: LIMIT,
        }
    }

    fn endpoints<'a>(&self, addresses: impl IntoIterator<Item = &'a String>) -> String {
        let urls = addresses
            .into_iter()
            .map(|address| self.url(address, self.client_port));
        urls.collect::<Vec<_>>().join(",")
    }

    fn url(&self, address: &str, port: u16) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        if address.contains(':') {
            format!("{scheme}://[{address}]:{port}")
        } else {
            format!("{scheme}://{address}:{port}")
        }
    }
}

impl Member {
    fn of(json: &Json) -> Self {
        let urls = |key: &str| {
            let urls = json[key].as_array().into_iter().flatten();
            urls.filter_map(|url| url.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        Self {
            id: json["ID"].as_u64().unwrap_or_default(),
            name: json["name"].as_str().unwrap_or_default().to_owned(),
            peer_urls: urls("peerURLs"),
            started: !urls("clientURLs").is_empty(),
        }
    }
}

/// As etcd's own programs write it.
pub(super) fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn parse(output: &ProgramOutput) -> HostResult<Json> {
    serde_json::from_str(&output.stdout)
        .map_err(|error| HostError::failed("understand what etcdctl says", error))
}

/// Somebody is there, and we do not understand each other: that is not silence.
fn refused(output: &ProgramOutput) -> Option<HostError> {
    let said = &output.stderr;
    let tls = ["authentication handshake failed", "x509:", "tls:"];
    tls.iter()
        .any(|word| said.contains(word))
        .then(|| HostError::Program {
            operation: "ask etcd".to_owned(),
            status: format!("exit code {}", output.code),
            output: said.trim().to_owned(),
        })
}
