//! How a change may move over the members of a role: a formula's `cluster:`.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_model::catalog::{End, Health, OnFailure};
use brine_model::deserialize::{Error, Shape, from_spanned};
use brine_model::host::{LiveQuestion, Probe, Program};
use brine_model::name::FormulaName;
use brine_model::resources::unit_of;
use brine_model::span::{Node, Spanned};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::duration;
use crate::dynamic::{Dynamic, Mention};
use crate::issue::Issue;
use crate::source::Sources;

/// How long a health condition may take to hold where the formula does not say.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// One map each.
    pub(crate) healthy: Vec<Dynamic>,
    pub(crate) max_unavailable: Option<Dynamic>,
    /// A condition over live facts.
    pub(crate) formed: Option<Dynamic>,
    pub(crate) order: Vec<(End, Dynamic)>,
    /// One map each, as under `healthy`.
    pub(crate) drain: Vec<Dynamic>,
    pub(crate) undrain: Vec<Dynamic>,
    pub(crate) on_failure: OnFailure,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, rename = "healthy")]
    _healthy: IgnoredAny,
    #[serde(default, rename = "max_unavailable")]
    _max_unavailable: IgnoredAny,
    #[serde(default, rename = "formed")]
    _formed: IgnoredAny,
    #[serde(default, rename = "order")]
    _order: IgnoredAny,
    #[serde(default, rename = "drain")]
    _drain: IgnoredAny,
    #[serde(default, rename = "undrain")]
    _undrain: IgnoredAny,
    #[serde(default)]
    on_failure: WrittenOnFailure,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum WrittenOnFailure {
    #[default]
    Stop,
    Revert,
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
    live: Option<IgnoredAny>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    within: Option<String>,
}

impl Cluster {
    /// What is written for one.
    pub(crate) fn shape() -> Shape {
        Shape::of::<Written>()
    }

    /// What is written for a condition.
    pub(crate) fn condition_shape() -> Shape {
        Shape::of::<Condition>()
    }

    pub(crate) fn parse(value: &Spanned, sources: &Sources, issues: &mut Vec<Issue>) -> Self {
        let on_failure = match from_spanned::<Written>(value) {
            Ok(written) => match written.on_failure {
                WrittenOnFailure::Stop => OnFailure::Stop,
                WrittenOnFailure::Revert => OnFailure::Revert,
            },
            Err(error) => {
                issues.extend(Issue::from_misfits(error));
                OnFailure::Stop
            }
        };
        let mut several = |key: &str| -> Vec<Dynamic> {
            let items = value.get(key).map(one_or_many).unwrap_or_default();
            let parsed = items.iter().map(|one| Dynamic::parse(one, sources, issues));
            parsed.collect()
        };
        let (healthy, drain, undrain) = (several("healthy"), several("drain"), several("undrain"));
        let mut one = |key: &str| {
            value
                .get(key)
                .map(|one| Dynamic::parse(one, sources, issues))
        };
        let (max_unavailable, formed) = (one("max_unavailable"), one("formed"));
        let order = value.get("order").map(one_or_many).unwrap_or_default();
        Self {
            healthy,
            max_unavailable,
            formed,
            order: order
                .iter()
                .filter_map(|rule| order_rule(rule, sources, issues))
                .collect(),
            drain,
            undrain,
            on_failure,
        }
    }

    pub(crate) fn mentions(&self, sources: &Sources, found: &mut Vec<Mention>) {
        let parts = self
            .healthy
            .iter()
            .chain(&self.max_unavailable)
            .chain(&self.formed)
            .chain(self.order.iter().map(|(_, rule)| rule))
            .chain(&self.drain)
            .chain(&self.undrain);
        parts.for_each(|part| part.mentions(sources, found));
    }
}

fn one_or_many(value: &Spanned) -> Vec<Spanned> {
    match &value.node {
        Node::List(items) => items.clone(),
        _ => vec![value.clone()],
    }
}

/// `first: CONDITION` or `last: CONDITION`.
fn order_rule(
    rule: &Spanned,
    sources: &Sources,
    issues: &mut Vec<Issue>,
) -> Option<(End, Dynamic)> {
    let pair = match &rule.node {
        Node::Map(pairs) if pairs.len() == 1 => pairs.first(),
        _ => None,
    };
    let end = pair.and_then(|(key, _)| match key.text.as_str() {
        "first" => Some(End::First),
        "last" => Some(End::Last),
        _ => None,
    });
    let (Some((_, condition)), Some(end)) = (pair, end) else {
        issues.push(
            Issue::error(rule.span, "a rule of the order is `first: …` or `last: …`")
                .with_help("`- last: patroni.role = \"leader\"`"),
        );
        return None;
    };
    Some((end, Dynamic::parse(condition, sources, issues)))
}

/// Reads one health condition, its expressions evaluated. `live` reads a condition over live facts
/// and reports what is wrong with it by itself: then there is none.
///
/// # Errors
/// In words for people, with the place.
pub(crate) fn health(
    value: &Spanned,
    formula: &FormulaName,
    live: &mut dyn FnMut(&Spanned) -> Option<LiveQuestion>,
) -> Result<Option<Health>, Error> {
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
    let asks_live = condition.live.is_some();
    let mut probes = [http, tcp, command, service].into_iter().flatten();
    let health = |probe| {
        Some(Health {
            formula: formula.clone(),
            probe,
            within: u32::try_from(within.as_secs().max(1)).unwrap_or(u32::MAX),
        })
    };
    match (probes.next(), probes.next()) {
        (None, None) if asks_live => {
            let question = value.get("live").and_then(live);
            Ok(question.map(Probe::Live).and_then(health))
        }
        (Some(probe), None) if !asks_live => Ok(health(probe?)),
        _ => Err(
            Error::new(value.span, "a health condition asks exactly one question").with_help(
                "give one of `http`, `tcp`, `command`, `service`, `live`; several conditions are a list",
            ),
        ),
    }
}
