//! What Patroni tells of one member and of the cluster, as far as it is of interest here.
//!
//! Newer versions tell more directly what 3.0 leaves to be put together; both are understood.

use serde_json::Value as Json;

/// `GET /patroni`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Own {
    /// Of PostgreSQL: `running`, `starting`, `stopped`, …
    pub(super) state: String,
    pub(super) leads: bool,
    /// When PostgreSQL started; empty where it does not run.
    pub(super) started: String,
    pub(super) timeline: Option<i64>,
    pub(super) pending_restart: bool,
    pub(super) sync_standby: bool,
    /// There is a database, with an identity of its own.
    pub(super) initialised: bool,
    /// When it last saw etcd, in seconds.
    pub(super) seen: i64,
    /// Replicas that stream from it.
    pub(super) streaming: Vec<String>,
    /// How it gets its own changes, where that is told.
    pub(super) replication_state: Option<String>,
}

/// `GET /cluster`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cluster {
    pub(super) members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) state: String,
    /// Where its own `GET /patroni` is.
    pub(super) url: Option<String>,
    /// Bytes behind the leader.
    pub(super) lag: Option<i64>,
    /// It must not become the leader.
    pub(super) no_failover: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    SyncStandby,
    Replica,
}

impl Own {
    pub(super) fn of(json: &Json) -> Self {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let flag = |key: &str| json[key].as_bool().unwrap_or_default();
        let replication = json["replication"].as_array().into_iter().flatten();
        let streaming = replication.filter(|one| one["state"] == "streaming");
        let names = streaming.filter_map(|one| one["application_name"].as_str().map(str::to_owned));
        Self {
            state: text("state"),
            leads: matches!(
                json["role"].as_str(),
                Some("master" | "primary" | "standby_leader")
            ),
            started: text("postmaster_start_time"),
            timeline: json["timeline"].as_i64(),
            pending_restart: flag("pending_restart"),
            sync_standby: flag("sync_standby"),
            initialised: json.get("database_system_identifier").is_some(),
            seen: json["dcs_last_seen"].as_i64().unwrap_or_default(),
            streaming: names.collect(),
            replication_state: json["replication_state"].as_str().map(str::to_owned),
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.state == "running"
    }
}

impl Cluster {
    pub(super) fn of(json: &Json) -> Self {
        let members = json["members"].as_array().into_iter().flatten();
        Self {
            members: members.map(Member::of).collect(),
        }
    }

    pub(super) fn leader(&self) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.role == Role::Leader)
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

impl Member {
    fn of(json: &Json) -> Self {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            role: match json["role"].as_str() {
                Some("leader" | "standby_leader") => Role::Leader,
                Some("sync_standby" | "quorum_standby") => Role::SyncStandby,
                _ => Role::Replica,
            },
            state: text("state"),
            url: json["api_url"].as_str().map(str::to_owned),
            // A word where Patroni does not know.
            lag: json["lag"].as_i64(),
            no_failover: json["tags"]["nofailover"].as_bool().unwrap_or_default(),
        }
    }

    /// PostgreSQL takes part.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state.as_str(), "running" | "streaming")
    }
}
