//! What a scripted agent finds, and how its changes come out.

use brine_model::catalog::{Catalog, Entry, Health};
use brine_model::converge::{
    Applied, ApplyReport, Approval, Part, Plan, PlanOutcome, Planned, ResourceOutcome,
};
use brine_model::host::Probe;
use brine_model::live::LiveFacts;
use brine_model::resource::{Change, Impact};
use brine_model::value::{Map, Value};
use brine_wire::job::Secret;

use crate::fixture::name;

#[derive(Clone)]
pub(crate) struct Script {
    /// Of every resource; none: all are in sync.
    pub(crate) impact: Option<Impact>,
    /// Resources that are in sync all the same.
    pub(crate) in_sync: Vec<String>,
    /// A resource that would found a cluster.
    pub(crate) founds: Option<String>,
    pub(crate) failing: Vec<String>,
    pub(crate) fails: Option<String>,
    /// Fails at the next apply, and not again.
    pub(crate) stumbles: bool,
    /// Connected, but it answers nothing: its host has just died.
    pub(crate) silent: bool,
    pub(crate) live: LiveFacts,
    /// What it tells once it has applied this resource.
    pub(crate) becomes: Option<(String, LiveFacts)>,
    pub(crate) secrets: Vec<Secret>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            impact: Some(Impact::Restart),
            in_sync: vec![],
            founds: None,
            failing: vec![],
            fails: None,
            stumbles: false,
            silent: false,
            live: LiveFacts::default(),
            becomes: None,
            secrets: vec![],
        }
    }
}

impl Script {
    pub(crate) fn plan(&self, catalog: &Catalog) -> Plan {
        let planned = |entry: &Entry| {
            let changes = self.changes(entry);
            let outcome = if changes.is_empty() {
                PlanOutcome::InSync
            } else {
                PlanOutcome::Changes(changes)
            };
            Planned {
                id: entry.id.clone(),
                formula: entry.formula.clone(),
                outcome,
            }
        };
        Plan {
            resources: catalog.resources.iter().map(planned).collect(),
            released: vec![],
        }
    }

    pub(crate) fn apply(&self, catalog: &Catalog, part: Part, approval: &Approval) -> ApplyReport {
        let applied = |entry: &Entry| {
            let changes = self.changes(entry);
            let stumbles = self.stumbles.then(|| "stumbled".to_owned());
            let outcome = match self.fails.as_ref().or(stumbles.as_ref()) {
                Some(message) => ResourceOutcome::Failed {
                    message: message.clone(),
                    changes,
                },
                None if changes.is_empty() => ResourceOutcome::InSync,
                None if !approval.covers(&entry.id, &changes) => {
                    ResourceOutcome::NotApproved(changes)
                }
                None => ResourceOutcome::Changed(changes),
            };
            Applied {
                id: entry.id.clone(),
                formula: entry.formula.clone(),
                outcome,
            }
        };
        ApplyReport {
            resources: part.of(&catalog.resources).iter().map(applied).collect(),
        }
    }

    pub(crate) fn after_apply(&mut self, report: &ApplyReport) {
        self.stumbles = false;
        let done = |id: &String| {
            let mut resources = report.resources.iter();
            resources.any(|applied| applied.id.to_string() == *id)
        };
        if let Some((_, facts)) = self.becomes.take_if(|(id, _)| done(id)) {
            self.live = facts;
        }
    }

    /// Commands are what drains and undrains: they always do.
    pub(crate) fn failing(&self, asked: &[Health]) -> Vec<String> {
        let command = |health: &Health| matches!(health.probe, Probe::Command(_));
        if asked.iter().all(command) {
            return vec![];
        }
        self.failing.clone()
    }

    fn changes(&self, entry: &Entry) -> Vec<Change> {
        let id = entry.id.to_string();
        if self.in_sync.contains(&id) {
            return vec![];
        }
        let verb = match &self.founds {
            Some(founds) if *founds == id => "bootstrap",
            _ => "content",
        };
        let change = |impact| Change {
            verb: verb.into(),
            text: verb.into(),
            diff: None,
            impact,
            effects: vec![],
        };
        self.impact.map(change).into_iter().collect()
    }
}

/// `tells("ring", &[("role", "leader")])`; `"true"` and `"false"` are truth values.
pub(crate) fn tells(formula: &str, facts: &[(&str, &str)]) -> LiveFacts {
    let value = |text: &str| match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => Value::from(text),
    };
    let facts: Map = facts
        .iter()
        .map(|(key, text)| ((*key).to_owned(), value(text)))
        .collect();
    LiveFacts {
        facts: [(name(formula), facts)].into(),
        failures: vec![],
    }
}
