//! How a change may move over the members of a role: a formula's `cluster:`.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::catalog::Health;
use brine_model::deserialize::{Error, from_spanned};
use brine_model::host::{Probe, Program};
use brine_model::name::FormulaName;
use brine_model::resources::unit_of;
use brine_model::span::{Node, Spanned};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::duration;
use crate::dynamic::{Dynamic, Mention};
use crate::issue::Issue;
use crate::source::Sources;

/// Keys of the design that no version has yet.
const LATER: &[&str] = &["formed", "order", "drain", "undrain", "on_failure"];

/// How long a health condition may take to hold where the formula does not say.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// One map each.
    pub(crate) healthy: Vec<Dynamic>,
    pub(crate) max_unavailable: Option<Dynamic>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, rename = "healthy")]
    _healthy: IgnoredAny,
    #[serde(default, rename = "max_unavailable")]
    _max_unavailable: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    tcp: Option<String>,
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    within: Option<String>,
}

impl Cluster {
    pub(crate) fn parse(value: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) -> Self {
        let mut value = value.clone();
        if let Node::Map(pairs) = &mut value.node {
            pairs.retain(|(key, _)| {
                let later = LATER.contains(&key.text.as_str());
                if later {
                    let message =
                        format!("`{}` is not supported by this version of Brine", key.text);
                    issues.push(Issue::error(key.span, message));
                }
                !later
            });
        }
        if let Err(error) = from_spanned::<Written>(&value) {
            issues.extend(Issue::from_misfits(error));
        }
        let healthy = match value.get("healthy") {
            None => Vec::new(),
            Some(Spanned {
                node: Node::List(items),
                ..
            }) => items.clone(),
            Some(one) => vec![one.clone()],
        };
        Self {
            healthy: healthy
                .iter()
                .map(|one| Dynamic::parse(one, sources, issues))
                .collect(),
            max_unavailable: value
                .get("max_unavailable")
                .map(|number| Dynamic::parse(number, sources, issues)),
        }
    }

    pub(crate) fn mentions(&self, sources: &Sources, found: &mut Vec<Mention>) {
        let parts = self.healthy.iter().chain(&self.max_unavailable);
        parts.for_each(|part| part.mentions(sources, found));
    }
}

/// Reads one health condition, its expressions evaluated.
///
/// # Errors
/// In words for people, with the place.
pub(crate) fn health(value: &Spanned, formula: &FormulaName) -> Result<Health, Error> {
    let condition: Condition = from_spanned(value)?;
    let misfit = |key: &str, message: String| {
        Error::new(
            value.get(key).map_or(value.span, |field| field.span),
            message,
        )
    };
    let within = match &condition.within {
        None => WITHIN,
        Some(text) => duration::parse(text).map_err(|message| misfit("within", message))?,
    };
    if condition.status.is_some() && condition.http.is_none() {
        return Err(misfit("status", "`status` belongs to `http`".to_owned()));
    }
    let status = condition.status;
    let http = condition.http.map(|url| {
        if url.starts_with("http://") || url.starts_with("https://") {
            Ok(Probe::Http { url, status })
        } else {
            Err(misfit(
                "http",
                format!("`{url}` is not a URL: expected http://… or https://…"),
            ))
        }
    });
    let tcp = condition.tcp.map(|place| {
        let port = place
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        match port {
            Some(_) => Ok(Probe::Tcp(place)),
            None => Err(misfit("tcp", format!("`{place}` is not `host:port`"))),
        }
    });
    let command = condition.command.map(|argv| {
        if argv.is_empty() {
            return Err(misfit(
                "command",
                "a command needs at least the program".to_owned(),
            ));
        }
        Ok(Probe::Command(Program {
            argv,
            environment: BTreeMap::new(),
            directory: None,
            user: None,
            timeout: within.max(Duration::from_secs(1)),
        }))
    });
    let service = condition
        .service
        .map(|name| Ok(Probe::Service(unit_of(&name))));
    let mut probes = [http, tcp, command, service].into_iter().flatten();
    match (probes.next(), probes.next()) {
        (Some(probe), None) => Ok(Health {
            formula: formula.clone(),
            probe: probe?,
            within: u32::try_from(within.as_secs().max(1)).unwrap_or(u32::MAX),
        }),
        _ => Err(
            Error::new(value.span, "a health condition asks exactly one question").with_help(
                "give one of `http`, `tcp`, `command`, `service`; several conditions are a list",
            ),
        ),
    }
}
