//! Patroni's REST API.

use std::time::Duration;

use serde_json::Value as Json;

use super::super::declare::Place;
use super::super::field::Unit;
use super::super::secret;
use super::view::{Cluster, Own};
use crate::deserialize::{Error, Located, TextOrSecret};
use crate::host::{
    Credentials, Host, HostError, HostResult, HttpAnswer, HttpMethod, HttpRequest, ReadHost,
};
use crate::resource::Subject;

/// Where a member is asked, and as whom it is told something.
pub(super) struct Api {
    /// Without a slash at the end.
    url: String,
    credentials: Option<Credentials>,
    /// What has to run for anybody to answer.
    pub(super) unit: String,
}

/// The fields that say where and as whom, as both kinds have them.
pub(super) struct Given {
    pub(super) api: Option<Located<String>>,
    pub(super) user: Option<String>,
    pub(super) password: Option<TextOrSecret>,
    pub(super) service: Option<Unit>,
}

const LOOKS: Duration = Duration::from_secs(5);

impl Api {
    pub(super) fn build(given: Given, place: &Place<'_>) -> Result<Self, Error> {
        let url = match given.api {
            Some(Located { span, value }) if !value.starts_with("http://") => {
                let message = format!("`{value}` is not a URL: expected http://…");
                return Err(Error::new(span, message));
            }
            Some(given) => given.value,
            None => "http://127.0.0.1:8008".to_owned(),
        };
        if given.user.is_none() && given.password.is_some() {
            return Err(place.error("password", "a password goes with a `user`"));
        }
        let password = secret::text("password", given.password, place)?;
        let credentials = given
            .user
            .zip(password)
            .map(|(user, password)| Credentials { user, password });
        let unit = match given.service {
            Some(unit) => unit.0,
            None => "patroni.service".to_owned(),
        };
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            credentials,
            unit,
        })
    }

    pub(super) fn service(&self) -> Subject {
        Subject::Service(self.unit.clone())
    }

    /// Of the member at hand.
    pub(super) fn own(&self, host: &dyn ReadHost) -> HostResult<Own> {
        self.ready(host)?;
        Self::member(&format!("{}/patroni", self.url), host)
    }

    /// Of any member, by the URL that the cluster tells.
    pub(super) fn member(url: &str, host: &dyn ReadHost) -> HostResult<Own> {
        Ok(Own::of(&get(url, host)?))
    }

    pub(super) fn cluster(&self, host: &dyn ReadHost) -> HostResult<Cluster> {
        self.ready(host)?;
        let json = get(&format!("{}/cluster", self.url), host)?;
        Ok(Cluster::of(&json))
    }

    /// What all members have in common.
    pub(super) fn config(&self, host: &dyn ReadHost) -> HostResult<Json> {
        self.ready(host)?;
        get(&format!("{}/config", self.url), host)
    }

    /// Any status is an answer; the body says in words what came of it.
    pub(super) fn send(
        &self,
        method: HttpMethod,
        path: &str,
        body: &Json,
        timeout: Duration,
        host: &mut dyn Host,
    ) -> HostResult<HttpAnswer> {
        host.http_send(&HttpRequest {
            method,
            url: format!("{}{path}", self.url),
            body: Some(body.to_string()),
            credentials: self.credentials.clone(),
            timeout,
        })
    }

    /// Nobody is asked who is yet to start.
    fn ready(&self, host: &dyn ReadHost) -> HostResult<()> {
        host.coming(&self.service())
            .map_or(Ok(()), |earlier| Err(HostError::NotYet(earlier)))
    }
}

/// An answer that was none of the good ones.
pub(super) fn refused(doing: &str, answer: &HttpAnswer) -> HostError {
    let said = answer.body.trim();
    let hint = match answer.status {
        401 => ": are `user` and `password` those of its REST API?",
        403 => ": does its `restapi.allowlist` have this machine?",
        _ => "",
    };
    HostError::failed(
        doing,
        format!("Patroni answers {}{hint} {said}", answer.status).trim_end(),
    )
}

fn get(url: &str, host: &dyn ReadHost) -> HostResult<Json> {
    let answer = host.http_get(url, LOOKS)?;
    if answer.status != 200 {
        return Err(refused(&format!("ask {url}"), &answer));
    }
    serde_json::from_str(&answer.body)
        .map_err(|error| HostError::failed(format!("understand {url}"), error))
}
