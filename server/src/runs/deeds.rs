//! Actions: what `ctl do` has done on each node, under the same rollout as an apply.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brine_lang::Deed as Compiled;
use brine_model::converge::Part;
use brine_model::digest::Digest;
use brine_model::host::Program;
use brine_model::name::{NodeName, RoleName};
use brine_wire::job::{JobId, JobResult, Secret, Task};
use brine_wire::operator::ActionRequest;
use brine_wire::run::{NodeState, Output};

use super::apply::Campaign;
use super::driver::{Driver, Stage};
use super::outcome::StepOutcome;
use super::perform::{Order, perform};
use super::plans::Plans;
use super::recorder::Recorder;
use super::roll::Step;
use crate::clock;
use crate::compile::Snapshot;
use crate::store::{JobKind, StoreError};

/// How long one node may take: a machine may reboot slowly, a database checkpoint.
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long a program may run.
const PROGRAM: Duration = Duration::from_secs(10 * 60);

/// What is done on one node.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    task: Task,
    /// Nobody waits for the node to be healthy after it.
    pub(super) leaves: bool,
}

/// What a request means on each node.
///
/// # Errors
/// A node does not know the action; with those that it knows.
pub(super) fn deeds(
    request: &ActionRequest,
    nodes: &[NodeName],
    snapshot: &Snapshot,
) -> Result<BTreeMap<NodeName, Deed>, String> {
    nodes
        .iter()
        .map(|node| Ok((node.clone(), deed(request, node, snapshot)?)))
        .collect()
}

fn deed(request: &ActionRequest, node: &NodeName, snapshot: &Snapshot) -> Result<Deed, String> {
    let mut leaves = false;
    let task = match request {
        ActionRequest::RestartService(unit) => Task::Restart(brine_model::resources::unit_of(unit)),
        ActionRequest::Reboot => Task::Reboot,
        ActionRequest::Execute(argv) => Task::Execute(program(argv.clone())),
        ActionRequest::Formula { formula, action } => {
            let compiled = snapshot.compilation.catalogs.get(node);
            let known = compiled
                .map(|compiled| compiled.actions.as_slice())
                .unwrap_or_default();
            let mut of_name = known.iter();
            let Some(found) =
                of_name.find(|one| one.formula.as_str() == formula && one.name == *action)
            else {
                let known: Vec<String> = known
                    .iter()
                    .map(|one| format!("{}.{}", one.formula, one.name))
                    .collect();
                let there = if known.is_empty() {
                    "its formulas list none".to_owned()
                } else {
                    format!("it has {}", known.join(", "))
                };
                return Err(format!(
                    "{node} has no action `{formula}.{action}`: {there}"
                ));
            };
            leaves = found.leaves;
            match &found.what {
                Compiled::Run(program) => Task::Execute(program.clone()),
                Compiled::Act { resource, verb } => Task::Act {
                    resource: resource.clone(),
                    action: verb.clone(),
                    secrets: secrets_of(node, snapshot),
                },
            }
        }
    };
    Ok(Deed { task, leaves })
}

fn secrets_of(node: &NodeName, snapshot: &Snapshot) -> Vec<Secret> {
    snapshot.secrets.get(node).cloned().unwrap_or_default()
}

fn program(argv: Vec<String>) -> Program {
    Program {
        argv,
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: PROGRAM,
    }
}

impl Driver {
    /// The whole of an action, over roles that are taken to exist.
    pub(super) async fn act_on_all(&mut self) -> Result<Stage<()>, StoreError> {
        let nodes = self.targets.keys();
        let nodes = nodes.map(|node| (node.clone(), brine_model::converge::Plan::default()));
        self.apply(Campaign {
            plans: Plans {
                nodes: nodes.collect(),
                once: BTreeMap::new(),
            },
            approvals: BTreeMap::new(),
            forming: BTreeSet::<RoleName>::new(),
            look_again: false,
            doer: None,
        })
        .await
    }
}

/// Does it on one node.
pub(super) async fn act(
    recorder: &Recorder,
    node: &NodeName,
    id: JobId,
    deed: Deed,
) -> Result<Step, StoreError> {
    let deadline = clock::now().plus(WITHIN);
    let store = &recorder.shared.store;
    let none = Digest::of(b"");
    store
        .open_job(node.clone(), id, JobKind::Action, none, deadline)
        .await?;
    recorder.state(node, NodeState::Applying, None).await?;
    let order = Order {
        node,
        id,
        task: deed.task,
        within: WITHIN,
        shown: Some(NodeState::Applying),
    };
    let (outcome, output) = match perform(recorder, order).await {
        Ok(result) => read(result),
        Err(error) => (StepOutcome::Failed(error.to_string()), None),
    };
    if let Some(output) = output {
        let run = recorder.run;
        store.set_output(run, node.clone(), output).await?;
    }
    let counts = match &outcome {
        StepOutcome::Changed | StepOutcome::InSync => Some((1, 0)),
        StepOutcome::Failed(_) => Some((0, 1)),
        StepOutcome::Cancelled => None,
    };
    Ok(Step { outcome, counts })
}

fn read(result: JobResult) -> (StepOutcome, Option<Output>) {
    let plain = |stdout: String| Output {
        code: 0,
        stdout,
        stderr: String::new(),
    };
    match result {
        JobResult::Acted(words) => (StepOutcome::Changed, Some(plain(words))),
        JobResult::Executed {
            code,
            stdout,
            stderr,
        } => {
            let outcome = match code {
                0 => StepOutcome::Changed,
                code => StepOutcome::Failed(format!("exit code {code}")),
            };
            let output = Output {
                code,
                stdout,
                stderr,
            };
            (outcome, Some(output))
        }
        JobResult::Failed(why) => (StepOutcome::Failed(why), None),
        JobResult::Cancelled(_) => (StepOutcome::Cancelled, None),
        _ => {
            let why = "the agent answered another question".to_owned();
            (StepOutcome::Failed(why), None)
        }
    }
}

/// An action has one part, and all of it is felt.
pub(super) const PART: Part = Part::WHOLE;
