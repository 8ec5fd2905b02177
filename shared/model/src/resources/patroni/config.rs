//! `patroni_config`: the configuration that all members have in common, kept in etcd.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json};

use super::super::declare::{Declaration, Place};
use super::super::field::Unit;
use super::api::{Api, Given, refused};
use super::difference::difference;
use crate::deserialize::{Error, Located, TextOrSecret, ValueField};
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostError, HostResult, HttpMethod, ReadHost};
use crate::resource::{Change, Effect, Resource, ResourceId, Subject};
use crate::time::Timestamp;
use crate::value::Value;

/// `patroni_config: main`, the identity being Patroni's scope. What is not named here stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::resources) struct Fields {
    /// Patroni's REST API on this machine. Default: http://127.0.0.1:8008
    api: Option<Located<String>>,
    /// For what changes something.
    user: Option<String>,
    password: Option<TextOrSecret>,
    /// Settings of PostgreSQL; null leaves one to its default.
    parameters: Option<ValueField>,
    /// Settings of Patroni: `ttl`, `synchronous_mode`, …; null takes one away.
    settings: Option<ValueField>,
    /// The unit that Patroni runs in. Default: patroni.
    service: Option<Unit>,
}

struct PatroniConfig {
    id: ResourceId,
    api: Api,
    /// As Patroni writes it.
    wanted: Json,
}

/// For all members to have taken it in, and between two looks.
const TAKEN_IN: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(500);
const PATCH: Duration = Duration::from_secs(20);

impl Declaration for Fields {
    const NAME: &'static str = "patroni_config";
    const DOC: &'static str = "The settings that all members of a Patroni cluster have in common.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let mut wanted = object("settings", self.settings, place)?;
        let parameters = object("parameters", self.parameters, place)?;
        if !parameters.is_empty() {
            let postgresql = wanted
                .entry("postgresql")
                .or_insert_with(|| Json::Object(JsonMap::new()));
            let taken = postgresql.as_object_mut().is_none_or(|postgresql| {
                let parameters = Json::Object(parameters);
                postgresql
                    .insert("parameters".to_owned(), parameters)
                    .is_some()
            });
            if taken {
                let message =
                    "settings of PostgreSQL are given here, too: `parameters` is for them";
                return Err(place.error("settings", message));
            }
        }
        if wanted.is_empty() {
            let message = "no setting is given: what is there to hold?";
            return Err(Error::new(place.fields.span, message));
        }
        let given = Given {
            api: self.api,
            user: self.user,
            password: self.password,
            service: self.service,
        };
        Ok(Box::new(PatroniConfig {
            id: place.id.clone(),
            api: Api::build(given, place)?,
            wanted: Json::Object(wanted),
        }))
    }
}

fn object(
    field: &str,
    given: Option<ValueField>,
    place: &Place<'_>,
) -> Result<JsonMap<String, Json>, Error> {
    let Some(ValueField(value)) = given else {
        return Ok(JsonMap::new());
    };
    match json(&value) {
        Some(Json::Object(object)) => Ok(object),
        Some(_) => Err(place.error(field, format!("`{field}` maps names to values"))),
        None => Err(place
            .error(field, "a secret would lie in etcd for everybody to read")
            .with_help("give it to Patroni in its configuration file")),
    }
}

/// None where there is a secret in it, or content of a file.
fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::String(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, value)| Some((key.clone(), json(value)?)));
            Json::Object(pairs.collect::<Option<_>>()?)
        }
        Value::Blob(_) | Value::Secret(_) => return None,
    })
}

/// Which members have seen etcd how often since.
struct Watched {
    name: String,
    url: String,
    seen: i64,
    changes: u8,
}

impl PatroniConfig {
    fn patch(&self, host: &dyn ReadHost) -> HostResult<Option<(Json, Vec<String>)>> {
        let mut texts = Vec::new();
        let patch = difference(&self.wanted, &self.api.config(host)?, &mut texts);
        Ok(patch.map(|patch| (patch, texts)))
    }

    fn change(&self, text: String) -> Vec<Change> {
        // What waits for a restart after this is for Patroni to tell.
        vec![Change::new("patch", text).with_effects([Effect::Unknown])]
    }

    /// A member acts on what it finds in etcd once in a while. After two more looks, and after
    /// the time between two, each has done so at least once from beginning to end.
    fn wait_until_taken_in(&self, host: &mut dyn Host) -> HostResult<()> {
        let config = self.api.config(host.as_read())?;
        let loop_wait = Duration::from_secs(config["loop_wait"].as_u64().unwrap_or(10));
        let mut watched = Vec::new();
        // Asked once only: this question itself makes a member look.
        for member in self.api.cluster(host.as_read())?.members {
            let runs = member.runs();
            if let Some(url) = member.url.filter(|_| runs) {
                let seen = Api::member(&url, host.as_read())?.seen;
                let (name, changes) = (member.name, 0);
                watched.push(Watched {
                    name,
                    url,
                    seen,
                    changes,
                });
            }
        }
        let start = host.elapsed();
        loop {
            for member in &mut watched {
                // One that is silent for a moment is asked again.
                if let Ok(own) = Api::member(&member.url, host.as_read())
                    && own.seen != member.seen
                {
                    member.seen = own.seen;
                    member.changes = member.changes.saturating_add(1);
                }
            }
            let waited = host.elapsed().saturating_sub(start);
            let late = |member: &&Watched| member.changes < 2;
            let late: Vec<&str> = watched
                .iter()
                .filter(late)
                .map(|m| m.name.as_str())
                .collect();
            if late.is_empty() && waited > loop_wait {
                return Ok(());
            }
            if waited >= TAKEN_IN.max(loop_wait * 3) {
                return Err(HostError::failed(
                    format!("have all members take in {}", self.id),
                    format!(
                        "{} did not look at etcd within {} s",
                        late.join(", "),
                        waited.as_secs()
                    ),
                ));
            }
            host.pause(AGAIN);
        }
    }
}

impl Resource for PatroniConfig {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        vec![self.api.service()]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        Ok(match self.patch(host)? {
            Some((_, texts)) => self.change(texts.join(", ")),
            None => Vec::new(),
        })
    }

    fn intent(&self) -> Vec<Change> {
        let mut texts = Vec::new();
        difference(&self.wanted, &Json::Null, &mut texts);
        self.change(texts.join(", "))
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        if let Some((patch, _)) = self.patch(host.as_read())? {
            let method = HttpMethod::Patch;
            let answer = self.api.send(method, "/config", &patch, PATCH, host)?;
            if answer.status != 200 {
                return Err(refused("change Patroni's configuration", &answer));
            }
        }
        self.wait_until_taken_in(host)
    }

    /// What is wanted of it, as it is.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let mut texts = Vec::new();
        difference(&self.wanted, &self.api.config(host)?, &mut texts);
        let wanted = self.wanted.to_string();
        let parts = std::iter::once(wanted.as_str()).chain(texts.iter().map(String::as_str));
        Ok(Fingerprint {
            digest: Digest::of_parts(parts.map(str::as_bytes)),
            changed_at: Some(Timestamp(i64::MIN)),
        })
    }
}
