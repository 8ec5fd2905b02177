//! `wait_for`: goes on only once something works.

use std::time::Duration;

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::{Argv, Period};
use super::program::{in_words, plain};
use crate::deserialize::{Error, Located};
use crate::host::{Host, HostError, HostResult, Probe, ReadHost};
use crate::resource::{Change, Resource, ResourceId, Subject};

/// `wait_for: etcd answers`. Exactly one of `tcp`, `http` and `command`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// `host:port` that accepts connections.
    tcp: Option<Located<String>>,
    /// A URL that answers a GET, with `status` or any 2xx or 3xx.
    http: Option<Located<String>>,
    status: Option<u16>,
    /// A program that exits with 0 and changes nothing.
    command: Option<Argv>,
    /// How long to wait. Default: 60s.
    within: Option<Period>,
}

struct WaitFor {
    id: ResourceId,
    probe: Probe,
    within: Duration,
}

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

impl Declaration for Fields {
    const NAME: &'static str = "wait_for";
    const DOC: &'static str = "Goes on only once a port, a URL or a program answers.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        if self.status.is_some() && self.http.is_none() {
            return Err(place.error("status", "`status` goes with `http`"));
        }
        let probe = match (self.tcp, self.http, self.command) {
            (Some(tcp), None, None) => Probe::Tcp(address(tcp)?),
            (None, Some(http), None) => Probe::Http {
                url: url(http)?,
                status: self.status,
            },
            (None, None, Some(argv)) => Probe::Command(plain(&argv)),
            _ => {
                let message = "what to wait for is not clear";
                let error = Error::new(place.fields.span, message);
                return Err(error.with_help("give exactly one of `tcp`, `http` and `command`"));
            }
        };
        let within = self
            .within
            .map_or(Duration::from_secs(60), |within| within.0);
        Ok(Box::new(WaitFor {
            id: place.id.clone(),
            probe,
            within,
        }))
    }
}

fn address(given: Located<String>) -> Result<String, Error> {
    let port = given
        .value
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty());
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(port)) if port > 0 => Ok(given.value),
        _ => {
            let message = format!("`{}` is not an address: expected `host:port`", given.value);
            Err(Error::new(given.span, message))
        }
    }
}

fn url(given: Located<String>) -> Result<String, Error> {
    let rest = given
        .value
        .strip_prefix("http://")
        .or(given.value.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !given.value.contains(char::is_whitespace) => {
            Ok(given.value)
        }
        _ => {
            let message = format!(
                "`{}` is not a URL: expected http://… or https://…",
                given.value
            );
            Err(Error::new(given.span, message))
        }
    }
}

impl WaitFor {
    fn what(&self) -> String {
        match &self.probe {
            Probe::Tcp(address) => format!("tcp {address}"),
            Probe::Http {
                url,
                status: Some(status),
            } => format!("{url} to answer {status}"),
            Probe::Http { url, status: None } => url.clone(),
            Probe::Command(program) => format!("`{}`", in_words(&program.argv)),
            Probe::Service(unit) => unit.clone(),
            Probe::Live(question) => question.condition.clone(),
        }
    }

    /// Why it does not hold now. A program that cannot even be started may come with what it asks.
    fn asked(&self, host: &dyn ReadHost) -> HostResult<Option<String>> {
        match host.probe(&self.probe) {
            Ok(outcome) => Ok(outcome.err()),
            Err(error @ HostError::NotYet(_)) => Err(error),
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    fn wait(&self, now: &str) -> Vec<Change> {
        vec![Change::new(
            "wait",
            format!("wait up to {:?} for {}{now}", self.within, self.what()),
        )]
    }
}

impl Resource for WaitFor {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Nothing(self.id.clone())]
    }

    /// Waiting changes nothing, so `wait` is the one verb that needs no approval: what answers
    /// while the plan is made may well not just after the restart that the plan brings.
    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let why = self.asked(host)?;
        Ok(why
            .map(|why| self.wait(&format!(" (now: {why})")))
            .unwrap_or_default())
    }

    fn intent(&self) -> Vec<Change> {
        self.wait("")
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        let start = host.elapsed();
        loop {
            let Some(why) = self.asked(host.as_read())? else {
                return Ok(());
            };
            if host.elapsed().saturating_sub(start) >= self.within {
                let operation = format!("see {} within {:?}", self.what(), self.within);
                return Err(HostError::failed(operation, why));
            }
            host.pause(PAUSE);
        }
    }
}
