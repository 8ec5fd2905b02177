//! Follows a run by its events: what `plan`, `apply` and `runs watch` share.

use std::time::Duration;

use brine_wire::job::RunId;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use brine_wire::run::{Event, Happening, RunDetail, RunPhase};

use super::Context;
use crate::client::{Events, Server, ask};
use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::Live;
use crate::show;

/// How long a lost server is sought again.
const PATIENCE: u32 = 60;

/// A run being followed. The events are kept by the server: after a lost connection, or a pause
/// to ask the operator, it goes on where it was.
#[derive(Debug)]
pub struct Follow {
    pub run: RunId,
    /// The last event seen.
    sequence: u64,
    /// Programs get every event as a line.
    events: bool,
    /// Between two tries to find a lost server.
    pub pause: Duration,
}

/// Why following has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The run has reached a phase that was waited for.
    Phase(RunPhase),
    /// No more events.
    Over,
    /// Ctrl-C.
    Interrupted,
}

impl Follow {
    #[must_use]
    pub const fn new(run: RunId, events: bool) -> Self {
        Self {
            run,
            sequence: 0,
            events,
            pause: Duration::from_secs(1),
        }
    }

    /// Until the run is over, or in a phase that is `wanted`.
    ///
    /// # Errors
    /// The server is gone for good, or will not tell.
    pub async fn until<S: Server>(
        &mut self,
        context: &Context<'_, S>,
        wanted: impl Fn(RunPhase) -> bool,
    ) -> Result<Stop, CtlError> {
        let mut live = context.output.live(self.events);
        tokio::select! {
            stop = self.watch(context, &mut live, wanted) => stop,
            () = context.output.interrupted() => Ok(Stop::Interrupted),
        }
    }

    async fn watch<S: Server>(
        &mut self,
        context: &Context<'_, S>,
        live: &mut Live<'_>,
        wanted: impl Fn(RunPhase) -> bool,
    ) -> Result<Stop, CtlError> {
        let mut failures = 0;
        loop {
            match self.stream(context, live, &wanted, &mut failures).await {
                Ok(stop) => return Ok(stop),
                Err(CtlError::Client(source)) if failures >= PATIENCE || !source.may_pass() => {
                    return Err(CtlError::Lost {
                        run: self.run,
                        source,
                    });
                }
                Err(CtlError::Client(source)) => {
                    if failures == 0 {
                        live.clear();
                        context
                            .output
                            .say(&format!("lost the server ({source}); looking for it again"));
                    }
                    failures += 1;
                    tokio::time::sleep(self.pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One connection's worth of events.
    async fn stream<S: Server>(
        &mut self,
        context: &Context<'_, S>,
        live: &mut Live<'_>,
        wanted: &impl Fn(RunPhase) -> bool,
        failures: &mut u32,
    ) -> Result<Stop, CtlError> {
        let mut events = context.server.watch(self.run, self.sequence + 1).await?;
        while let Some(event) = events.next().await? {
            *failures = 0;
            if self.is_new(&event) {
                live.take(&event)?;
                if let Happening::Phase { phase, .. } = event.what
                    && wanted(phase)
                {
                    return Ok(Stop::Phase(phase));
                }
            }
        }
        Ok(Stop::Over)
    }

    /// Progress has no number, and is always new.
    const fn is_new(&mut self, event: &Event) -> bool {
        let new = event.sequence == 0
            || event.sequence > self.sequence
            || matches!(event.what, Happening::Progress { .. });
        if event.sequence > self.sequence {
            self.sequence = event.sequence;
        }
        new
    }
}

/// The whole record of a run.
///
/// # Errors
/// The server cannot be asked, or does not know it.
pub async fn record<S: Server>(server: &S, run: RunId) -> Result<RunDetail, CtlError> {
    ask!(server, OperatorRequest::Run(run), OperatorReply::RunDetail(detail) => *detail)
}

/// Ctrl-C while the run goes on without us.
#[must_use]
pub fn left_alone<S: Server>(context: &Context<'_, S>, run: RunId) -> Exit {
    context
        .output
        .say(&format!("interrupted; run {run} goes on"));
    context
        .output
        .say(&format!("  watch it: `ctl runs watch {run}`"));
    context.output.say(&format!(
        "  end it after the resource at hand: `ctl runs cancel {run}`"
    ));
    Exit::Interrupted
}

/// Ends a run that has touched nothing. That it could not be ended is said, but is no reason to
/// keep the operator waiting.
pub async fn abandon<S: Server>(context: &Context<'_, S>, run: RunId) {
    let cancel = context.server.ask(OperatorRequest::Cancel(run));
    match tokio::time::timeout(Duration::from_secs(3), cancel).await {
        Ok(Ok(_)) => context
            .output
            .say(&format!("run {run} cancelled; nothing was changed")),
        _ => context.output.say(&format!(
            "run {run} may still be there: `ctl runs cancel {run}`"
        )),
    }
}

/// How a run that is over ends the call.
#[must_use]
pub fn exit(run: &RunDetail) -> Exit {
    match run.summary.phase {
        RunPhase::Refused if show::diagnostics::has_errors(&run.diagnostics) => Exit::Failed,
        RunPhase::Refused => Exit::Refused,
        RunPhase::Cancelled => Exit::Cancelled,
        RunPhase::Failed | RunPhase::Interrupted => Exit::Failed,
        RunPhase::Succeeded if show::plan::has_failures(run) => Exit::Failed,
        RunPhase::Succeeded if show::action::has_failures(run) => Exit::Failed,
        RunPhase::Succeeded | RunPhase::Planning | RunPhase::Approval | RunPhase::Applying => {
            Exit::Ok
        }
    }
}
