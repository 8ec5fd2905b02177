//! `patroni_member`: one member of a Patroni cluster, restarted with care where that is owed.

use serde::Deserialize;

use super::super::declare::{Declaration, Place};
use super::super::field::Unit;
use super::api::{Api, Given};
use super::pending::{Pending, pending};
use super::restart::successor;
use super::view::{Cluster, Own, Role};
use crate::deserialize::{Error, Located, TextOrSecret};
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Impact, Resource, ResourceId, Subject};
use crate::time::Timestamp;
use crate::value::{Map, Value};

/// `patroni_member: db01`, the identity being the member's name in the cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// Patroni's REST API on this machine. Default: http://127.0.0.1:8008
    api: Option<Located<String>>,
    /// For what changes something.
    user: Option<String>,
    password: Option<TextOrSecret>,
    /// PostgreSQL's data directory.
    data: AbsolutePath,
    /// When PostgreSQL is restarted. Default: when_pending.
    restart: Option<When>,
    /// The unit that Patroni runs in. Default: patroni.
    service: Option<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    /// When a setting waits for it.
    WhenPending,
    Never,
}

pub(super) struct PatroniMember {
    id: ResourceId,
    pub(super) name: String,
    pub(super) api: Api,
    restart: When,
    /// What the running PostgreSQL was started with.
    options: AbsolutePath,
    /// Is there where there is a database.
    version: AbsolutePath,
}

/// How the member stands.
pub(super) struct Look {
    name: String,
    pub(super) own: Own,
    pub(super) cluster: Cluster,
    pending: Vec<Pending>,
    /// As a leader: runs and holds the lock; as a replica: runs and gets its changes. None where
    /// that cannot be told.
    pub(super) streaming: Option<bool>,
}

impl Declaration for Fields {
    const NAME: &'static str = "patroni_member";
    const DOC: &'static str =
        "A member of a Patroni cluster: restarted where a setting waits for it, never as a leader.";
    const LIVE: &'static [&'static str] = &[
        "formed",
        "role",
        "state",
        "streaming",
        "lag",
        "pending_restart",
        "shrinking",
        "timeline",
        "sync_standby",
    ];
    const ACTIONS: &'static [&'static str] = &["restart", "switchover", "reinit", "leave"];

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let given = Given {
            api: self.api,
            user: self.user,
            password: self.password,
            service: self.service,
        };
        let file = |name: &str| {
            let path = self.data.join(name);
            path.map_err(|error| place.error("data", error.to_string()))
        };
        Ok(Box::new(PatroniMember {
            id: place.id.clone(),
            name: place.id.name().to_owned(),
            api: Api::build(given, place)?,
            restart: self.restart.unwrap_or(When::WhenPending),
            options: file("postmaster.opts")?,
            version: file("PG_VERSION")?,
        }))
    }
}

impl PatroniMember {
    pub(super) fn look(&self, host: &dyn ReadHost) -> HostResult<Look> {
        let own = self.api.own(host)?;
        let cluster = self.api.cluster(host)?;
        // None in etcd yet means that nothing is asked for.
        let config = self.api.config(host).unwrap_or_default();
        let options = host.read(&self.options)?.unwrap_or_default();
        let pending = match own.runs() {
            true => pending(&config, &String::from_utf8_lossy(&options)),
            false => Vec::new(),
        };
        let streaming = self.streaming(&own, &cluster, host);
        Ok(Look {
            name: self.name.clone(),
            own,
            cluster,
            pending,
            streaming,
        })
    }

    fn streaming(&self, own: &Own, cluster: &Cluster, host: &dyn ReadHost) -> Option<bool> {
        let leader = cluster.leader();
        if !own.runs() || leader.is_none() {
            return Some(false);
        }
        let listed = cluster.member(&self.name);
        if own.leads {
            return Some(listed.is_some_and(|member| member.role == Role::Leader));
        }
        if let Some(state) = &own.replication_state {
            return Some(state == "streaming");
        }
        if listed.is_some_and(|member| member.state == "streaming") {
            return Some(true);
        }
        // Patroni 3.0: only the leader knows.
        let url = leader?.url.as_ref()?;
        let leader = Api::member(url, host).ok()?;
        Some(leader.streaming.contains(&self.name))
    }

    fn restart_change(&self, text: String) -> Vec<Change> {
        vec![Change::new("restart", text).with_impact(Impact::Restart)]
    }

    /// Whether there is a database anywhere, as far as this member can tell.
    fn formed(&self, look: Option<&Look>, host: &dyn ReadHost) -> HostResult<Option<bool>> {
        let known =
            look.is_some_and(|look| look.own.initialised || look.cluster.leader().is_some());
        if known {
            return Ok(Some(true));
        }
        // Data that nobody speaks for may be a member of anything.
        let empty = host.stat(&self.version)?.is_none();
        Ok(empty.then_some(false))
    }
}

impl Look {
    pub(super) fn shrinks(&self) -> bool {
        self.pending.iter().any(Pending::shrinks)
    }

    pub(super) fn is_pending(&self) -> bool {
        self.own.pending_restart || !self.pending.is_empty()
    }

    pub(super) fn lag(&self) -> Option<i64> {
        self.cluster.member(&self.name)?.lag
    }

    /// For people who wait for it.
    pub(super) fn in_words(&self) -> String {
        let role = if self.own.leads { "leader" } else { "replica" };
        let leader = self.cluster.leader();
        let leader = leader.map_or("nobody leads", |member| member.name.as_str());
        let streaming = match self.streaming {
            Some(true) => "takes part",
            Some(false) => "does not take part",
            None => "may or may not take part",
        };
        format!(
            "it is a {role}, {}, and {streaming} (leader: {leader})",
            self.own.state
        )
    }

    fn facts(&self) -> Map {
        let role = if self.own.leads { "leader" } else { "replica" };
        let mut facts = Map::from([
            ("role".to_owned(), Value::from(role)),
            ("state".to_owned(), Value::from(self.own.state.as_str())),
            ("pending_restart".to_owned(), Value::Bool(self.is_pending())),
            ("shrinking".to_owned(), Value::Bool(self.shrinks())),
            (
                "sync_standby".to_owned(),
                Value::Bool(self.own.sync_standby),
            ),
        ]);
        if let Some(streaming) = self.streaming {
            facts.insert("streaming".to_owned(), Value::Bool(streaming));
        }
        if let Some(lag) = self.lag().filter(|_| !self.own.leads) {
            facts.insert("lag".to_owned(), Value::Integer(lag));
        }
        if let Some(timeline) = self.own.timeline {
            facts.insert("timeline".to_owned(), Value::Integer(timeline));
        }
        facts
    }
}

impl Resource for PatroniMember {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        vec![self.api.service()]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        if self.restart == When::Never {
            return Ok(Vec::new());
        }
        let look = self.look(host)?;
        if !look.is_pending() {
            return Ok(Vec::new());
        }
        let why: Vec<String> = look.pending.iter().map(Pending::text).collect();
        let why = match why.as_slice() {
            [] => "a setting waits for it".to_owned(),
            why => why.join(", "),
        };
        let how = match (successor(&look), look.own.leads) {
            (Some(successor), _) => format!(", after handing over to {successor}"),
            (None, true) => ", in place as the leader".to_owned(),
            (None, false) => String::new(),
        };
        Ok(self.restart_change(format!("restart PostgreSQL{how}: {why}")))
    }

    fn intent(&self) -> Vec<Change> {
        match self.restart {
            When::WhenPending => self.restart_change(
                "restart PostgreSQL if a setting waits for it, handing over first where it leads"
                    .to_owned(),
            ),
            When::Never => Vec::new(),
        }
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        self.restart(host).map(drop)
    }

    /// The PostgreSQL that runs.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let own = self.api.own(host)?;
        let state = host.stat(&self.options)?;
        Ok(Fingerprint {
            digest: Digest::of(own.started.as_bytes()),
            changed_at: Some(state.map_or(Timestamp(i64::MIN), |state| state.changed_at)),
        })
    }

    fn live(&self, host: &dyn ReadHost) -> HostResult<Map> {
        let look = self.look(host);
        let formed = self.formed(look.as_ref().ok(), host)?;
        let mut facts = match (look, formed) {
            (Ok(look), _) => look.facts(),
            (Err(_), Some(_)) => Map::new(),
            (Err(error), None) => return Err(error),
        };
        if let Some(formed) = formed {
            facts.insert("formed".to_owned(), Value::Bool(formed));
        }
        Ok(facts)
    }

    fn act(&self, action: &str, host: &mut dyn Host) -> HostResult<String> {
        let done = match action {
            "restart" => self.restart(host)?,
            "switchover" if !self.look(host.as_read())?.own.leads => {
                "it does not lead: nothing to hand over".to_owned()
            }
            "switchover" => self.hand_over(host)?,
            "reinit" => self.reinit(host)?,
            "leave" => self.leave(host)?,
            other => {
                let why = "this kind of resource has no such action";
                return Err(HostError::failed(format!("do `{other}`"), why));
            }
        };
        Ok(format!("{}: {done}", self.name))
    }
}
