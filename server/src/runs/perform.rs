//! One job on one node, through lost connections, until its result or its deadline.

use std::time::Duration;

use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_transport::connection::Connection;
use brine_wire::agent::{ServerReply, ServerRequest};
use brine_wire::job::{Job, JobId, JobResult, JobState, Task};
use brine_wire::run::NodeState;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::recorder::Recorder;
use crate::fleet;
use crate::{clock, store::StoreError};

/// Between two attempts to ask an agent that is connected and does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResult {
    /// It was never sent: nothing was touched.
    #[error("it is disconnected")]
    NeverSent,
    #[error("no result within {} s", .0.as_secs())]
    TooLate(Duration),
    #[error("its agent no longer knows the job: what it did is unknown")]
    Forgotten,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do where, and how long it may take.
pub(super) struct Order<'a> {
    pub(super) node: &'a NodeName,
    pub(super) id: JobId,
    pub(super) task: Task,
    pub(super) within: Duration,
    /// The record's word for it, where the record shows that the node is waited for.
    pub(super) shown: Option<NodeState>,
}

/// Where the server stands with the agent about a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Not sent.
    No,
    /// Sent; whether it arrived is open.
    Perhaps,
    /// The agent said that it has it.
    Yes,
}

pub(super) async fn perform(recorder: &Recorder, order: Order<'_>) -> Result<JobResult, NoResult> {
    let shared = &recorder.shared;
    let (node, id) = (order.node, order.id);
    let end = Instant::now() + order.within;
    let deadline = clock::now().plus(order.within);
    let mut result = shared.live.expect(node, id);
    let mut known = Known::No;
    let mut waiting = false;
    loop {
        // Nothing has been sent yet: a node that is away may come back for a moment only.
        let patience = match known {
            Known::No => (Instant::now() + shared.limits.reconnect).min(end),
            Known::Perhaps | Known::Yes => end,
        };
        let connection = tokio::select! {
            biased;
            Ok(result) = &mut result => return Ok(result),
            connection = shared.fleet.wait_for(node) => connection,
            () = sleep_until(patience) => {
                let never = known == Known::No;
                return Err(if never { NoResult::NeverSent } else { NoResult::TooLate(order.within) });
            }
        };
        if std::mem::take(&mut waiting)
            && let Some(state) = order.shown
        {
            recorder.state(node, state, None).await?;
        }
        if let Some(result) = tell(
            recorder,
            &order,
            &connection,
            deadline,
            &mut known,
            &mut result,
        )
        .await?
        {
            return Ok(result);
        }
        if known == Known::Yes {
            tokio::select! {
                biased;
                Ok(result) = &mut result => return Ok(result),
                _ = connection.closed() => {}
                () = sleep_until(end) => return Err(NoResult::TooLate(order.within)),
            }
        } else {
            tokio::select! {
                _ = connection.closed() => {}
                () = sleep(AGAIN) => continue,
            }
        }
        if order.shown.is_some() {
            waiting = true;
            recorder
                .state(node, NodeState::Waiting, Some("its connection is gone"))
                .await?;
        }
    }
}

/// Sends the job, or asks what became of it.
async fn tell(
    recorder: &Recorder,
    order: &Order<'_>,
    connection: &Connection,
    deadline: Timestamp,
    known: &mut Known,
    result: &mut oneshot::Receiver<JobResult>,
) -> Result<Option<JobResult>, NoResult> {
    let request = match known {
        // Sent again, it is not run again: the agent knows it by its id.
        Known::No | Known::Perhaps => ServerRequest::Job(Box::new(Job {
            id: order.id,
            deadline,
            task: order.task.clone(),
        })),
        Known::Yes => ServerRequest::JobState(order.id),
    };
    if *known == Known::No {
        *known = Known::Perhaps;
    }
    match fleet::ask(connection, &request).await {
        Ok(ServerReply::Job(JobState::Accepted | JobState::Running)) => *known = Known::Yes,
        Ok(ServerReply::Job(JobState::Finished(finished))) => {
            let at = clock::now();
            let store = &recorder.shared.store;
            store
                .record_result(order.node.clone(), order.id, finished.clone(), at)
                .await?;
            return Ok(Some(finished));
        }
        Ok(ServerReply::Job(JobState::Refused(why))) => return Ok(Some(JobResult::Failed(why))),
        Ok(ServerReply::Job(JobState::Unknown)) if *known == Known::Yes => {
            // It forgets what has been acknowledged, so the result is here by now, if ever.
            return result.try_recv().map(Some).map_err(|_| NoResult::Forgotten);
        }
        Ok(
            ServerReply::Job(JobState::Unknown)
            | ServerReply::Pong
            | ServerReply::Reported
            | ServerReply::Paused,
        ) => {
            return Ok(Some(JobResult::Failed(
                "its agent does not understand the job".to_owned(),
            )));
        }
        Err(error) => tracing::debug!(node = %order.node, %error, "job not delivered"),
    }
    Ok(None)
}
