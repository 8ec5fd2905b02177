//! `etcd_voter`: a learner becomes a full member once it has caught up, and may leave for good.

use std::time::Duration;

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::super::field::Unit;
use super::client::{AGAIN, Client, Connection, SETTLES, Status, hex};
use super::marks::Marks;
use crate::deserialize::{Error, ValueField};
use crate::host::{Host, HostError, HostResult, ReadHost, UnitVerb};
use crate::path::AbsolutePath;
use crate::resource::{Change, Resource, ResourceId, Subject};

/// `etcd_voter: db02`. The fields are those of its `etcd_member`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// Of the cluster; with it, a founder's first success is noted.
    token: Option<String>,
    /// Default: 0.
    generation: Option<u32>,
    /// All members with `name` and `address`, this one with them.
    peers: Vec<ValueField>,
    /// Of this node.
    address: String,
    /// Default: 2380.
    peer_port: Option<u16>,
    /// Default: 2379.
    client_port: Option<u16>,
    /// Certificate, key and authority for talking to etcd; plain HTTP without.
    cert: Option<AbsolutePath>,
    key: Option<AbsolutePath>,
    ca: Option<AbsolutePath>,
    /// The unit that etcd runs in. Default: etcd.
    service: Option<Unit>,
}

struct EtcdVoter {
    id: ResourceId,
    client: Client,
    marks: Option<Marks>,
    unit: String,
}

/// In etcd's refusal to promote a learner that has not caught up, and how long that may take.
const CATCHES_UP: (&str, Duration) = ("in sync with leader", Duration::from_secs(120));

impl Declaration for Fields {
    const NAME: &'static str = "etcd_voter";
    const DOC: &'static str = "Makes an etcd learner a full member once it has caught up.";
    const ACTIONS: &'static [&'static str] = &["leave"];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
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
        let unit = match self.service {
            Some(unit) => unit.0,
            None => "etcd.service".to_owned(),
        };
        Ok(Box::new(EtcdVoter {
            id: place.id.clone(),
            marks: self.token.map(|token| Marks::new(&client.name, &token)),
            client,
            unit,
        }))
    }
}

impl EtcdVoter {
    fn service(&self) -> Subject {
        Subject::Service(self.unit.clone())
    }

    /// Has the others remove this member, which etcd refuses where they could not go on without it.
    /// Its data stays where it is.
    fn leave(&self, host: &mut dyn Host) -> HostResult<String> {
        let name = &self.client.name;
        let doing = format!("have {name} leave its cluster");
        let members = self.client.members(host.as_read())?;
        let members =
            members.ok_or_else(|| HostError::failed(doing, "none of the others answers"))?;
        let url = self.client.peer_url();
        let own = members
            .iter()
            .find(|member| member.peer_urls.contains(&url));
        if let Some(own) = own {
            let id = hex(own.id);
            self.client
                .change(host, &["member", "remove", &id], SETTLES)?;
        }
        // Removed, it stops by itself; it must not come back with the next boot.
        host.unit_verb(&self.unit, UnitVerb::Stop)?;
        host.unit_verb(&self.unit, UnitVerb::Disable)?;
        Ok(match own {
            Some(_) => format!("{name}: left a cluster of {}", members.len()),
            None => format!("{name}: is no member any more"),
        })
    }

    fn status(&self, host: &dyn ReadHost) -> HostResult<Status> {
        let silent = || {
            HostError::failed(
                format!("ask etcd of {}", self.client.name),
                format!("nobody answers at {}", self.client.own_endpoint()),
            )
        };
        if let Some(earlier) = host.coming(&self.service()) {
            return Err(HostError::NotYet(earlier));
        }
        self.client.status(host)?.ok_or_else(silent)
    }

    fn promote(&self, host: &mut dyn Host) -> HostResult<()> {
        let id = hex(self.status(host.as_read())?.id);
        self.client
            .change(host, &["member", "promote", &id], CATCHES_UP)
    }

    /// Its own view is a little behind.
    fn wait_until_seen(&self, host: &mut dyn Host) -> HostResult<()> {
        for _ in 0..5 {
            if !self.status(host.as_read())?.learner {
                break;
            }
            host.pause(AGAIN);
        }
        Ok(())
    }
}

impl Resource for EtcdVoter {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let mut needs = self.client.needs();
        needs.push(self.service());
        needs
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        Ok(if self.status(host)?.learner {
            self.intent()
        } else {
            Vec::new()
        })
    }

    fn intent(&self) -> Vec<Change> {
        vec![Change::new(
            "promote",
            "promote the learner to a full member once it has caught up",
        )]
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.promote(host)?;
        self.wait_until_seen(host)
    }

    fn act(&self, action: &str, host: &mut dyn Host) -> HostResult<String> {
        match action {
            "leave" => self.leave(host),
            other => {
                let why = "this kind of resource has no such action";
                Err(HostError::failed(format!("do `{other}`"), why))
            }
        }
    }

    /// The founders' cluster works.
    fn confirm(&self, host: &mut dyn Host) -> HostResult<()> {
        let Some(marks) = &self.marks else {
            return Ok(());
        };
        if marks.is_founding(host.as_read())? && self.client.quorum(host.as_read())?.own {
            marks.set_founded(host)?;
        }
        Ok(())
    }
}
