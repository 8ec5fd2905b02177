//! Data for tests, and a server that follows a script.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use brine_model::converge::{Applied, ApplyReport, Plan, PlanOutcome, Planned, ResourceOutcome};
use brine_model::digest::Digest;
use brine_model::name::NodeName;
use brine_model::resource::{Change, Diff, Impact, ResourceId};
use brine_model::time::Timestamp;
use brine_wire::job::{Progress, RunId};
use brine_wire::operator::{Enrollment, NodeInfo, OperatorReply, OperatorRequest};
use brine_wire::run::{
    Event, Happening, NodeState, RunDetail, RunKind, RunNode, RunPhase, RunSummary,
};

use crate::client::{ClientError, Events, Server};
use crate::error::CtlError;
use crate::show::style::Style;

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

pub(crate) fn style() -> Style {
    Style {
        color: false,
        width: 100,
        now: NOW,
    }
}

pub(crate) fn before(seconds: i64) -> Timestamp {
    Timestamp::from_secs(NOW.as_secs() - seconds)
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub(crate) fn id(text: &str) -> ResourceId {
    text.parse().expect("a resource")
}

pub(crate) fn change(verb: &str, text: &str) -> Change {
    Change {
        verb: verb.to_owned(),
        text: text.to_owned(),
        diff: None,
        impact: Impact::None,
        effects: Vec::new(),
    }
}

pub(crate) fn with_diff(change: Change, diff: Diff) -> Change {
    Change {
        diff: Some(diff),
        ..change
    }
}

pub(crate) fn with_impact(change: Change, impact: Impact) -> Change {
    Change { impact, ..change }
}

pub(crate) fn planned(resource: &str, outcome: PlanOutcome) -> Planned {
    Planned {
        id: id(resource),
        formula: name("haproxy"),
        outcome,
    }
}

pub(crate) fn changes(resource: &str, changes: &[Change]) -> Planned {
    planned(resource, PlanOutcome::Changes(changes.to_vec()))
}

pub(crate) fn plan(resources: &[Planned]) -> Plan {
    Plan {
        resources: resources.to_vec(),
        released: Vec::new(),
    }
}

pub(crate) fn report(resources: &[(&str, ResourceOutcome)]) -> ApplyReport {
    let applied = |(resource, outcome): &(&str, ResourceOutcome)| Applied {
        id: id(resource),
        formula: name("haproxy"),
        outcome: outcome.clone(),
    };
    ApplyReport {
        resources: resources.iter().map(applied).collect(),
    }
}

pub(crate) fn node(node: &str, state: NodeState, reason: Option<&str>) -> RunNode {
    RunNode {
        name: name(node),
        roles: vec![name("balancer")],
        state,
        reason: reason.map(str::to_owned),
        changed: 0,
        failed: 0,
    }
}

pub(crate) fn run(kind: RunKind, phase: RunPhase, nodes: &[RunNode]) -> RunDetail {
    RunDetail {
        summary: RunSummary {
            id: RunId(12),
            kind,
            target: "role=balancer".to_owned(),
            operator: name("admin"),
            phase,
            started: before(90),
            ended: phase.is_over().then(|| before(30)),
            snapshot: "4f2e1c9a8b7d (git 1a2b3c4, dirty)".to_owned(),
            reason: None,
            nodes: nodes.to_vec(),
        },
        diagnostics: Vec::new(),
        plans: Vec::new(),
        reports: Vec::new(),
        catalogs: Vec::new(),
        outputs: Vec::new(),
    }
}

pub(crate) fn info(node: &str, connected: bool) -> NodeInfo {
    NodeInfo {
        name: name(node),
        roles: vec![name("balancer")],
        labels: BTreeMap::new(),
        address: Some("10.0.0.5".to_owned()),
        enrollment: Enrollment::Enrolled {
            fingerprint: "1f3a-77c0".to_owned(),
            expires: Timestamp::from_secs(NOW.as_secs() + 86_400 * 30),
        },
        connected,
        last_seen: Some(before(200)),
        agent_version: Some("0.1.0".to_owned()),
        applied: Some(Digest::of(b"old")),
        newest: Some(Digest::of(b"old")),
        generation: 0,
        paused: None,
        drifted: 0,
    }
}

pub(crate) fn event(sequence: u64, what: Happening) -> Event {
    Event {
        sequence,
        at: before(60),
        what,
    }
}

pub(crate) fn phase(sequence: u64, phase: RunPhase) -> Event {
    event(
        sequence,
        Happening::Phase {
            phase,
            reason: None,
        },
    )
}

pub(crate) fn state(sequence: u64, node: &str, state: NodeState) -> Event {
    event(
        sequence,
        Happening::Node {
            node: name(node),
            state,
            reason: None,
        },
    )
}

pub(crate) fn progress(node: &str, done: u32, total: u32, doing: &str) -> Event {
    let job = brine_wire::job::JobId {
        run: RunId(12),
        step: 0,
    };
    let progress = Progress {
        job,
        done,
        total,
        doing: doing.to_owned(),
    };
    event(
        0,
        Happening::Progress {
            node: name::<NodeName>(node),
            progress,
        },
    )
}

/// Answers in the order of its script, and remembers what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) replies: RefCell<VecDeque<OperatorReply>>,
    /// Each watch gets the events of one entry from its sequence number on; one that does not end
    /// with a phase that is over breaks off there, or waits for ever where it is the last.
    pub(crate) watches: RefCell<VecDeque<Vec<Event>>>,
    pub(crate) asked: RefCell<Vec<OperatorRequest>>,
}

impl Script {
    pub(crate) fn new(replies: Vec<OperatorReply>, watches: Vec<Vec<Event>>) -> Self {
        Self {
            replies: RefCell::new(replies.into()),
            watches: RefCell::new(watches.into()),
            asked: RefCell::default(),
        }
    }
}

impl Server for Script {
    type Events = ScriptedEvents;

    async fn ask(&self, request: OperatorRequest) -> Result<OperatorReply, CtlError> {
        self.asked.borrow_mut().push(request);
        let reply = self
            .replies
            .borrow_mut()
            .pop_front()
            .expect("another reply in the script");
        match reply {
            OperatorReply::Refused(refusal) => Err(CtlError::Refused(refusal)),
            OperatorReply::Invalid(found) => Err(CtlError::Invalid(found)),
            reply => Ok(reply),
        }
    }

    async fn watch(&self, run: RunId, from: u64) -> Result<ScriptedEvents, CtlError> {
        self.asked
            .borrow_mut()
            .push(OperatorRequest::Watch { run, from });
        let all = self
            .watches
            .borrow_mut()
            .pop_front()
            .expect("another watch in the script");
        let ends = matches!(
            all.last(),
            Some(Event { what: Happening::Phase { phase, .. }, .. }) if phase.is_over()
        );
        let last = self.watches.borrow().is_empty();
        let events = all
            .into_iter()
            .filter(|e| e.sequence == 0 || e.sequence >= from)
            .collect();
        Ok(ScriptedEvents { events, ends, last })
    }
}

pub(crate) struct ScriptedEvents {
    events: VecDeque<Event>,
    ends: bool,
    last: bool,
}

impl Events for ScriptedEvents {
    async fn next(&mut self) -> Result<Option<Event>, CtlError> {
        match self.events.pop_front() {
            Some(event) => Ok(Some(event)),
            None if self.ends => Ok(None),
            None if self.last => std::future::pending().await,
            None => {
                let broken = brine_transport::stream::RequestError::Ended;
                Err(ClientError::Request(broken).into())
            }
        }
    }
}
