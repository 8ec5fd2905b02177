//! Following a run: everything in the store from a number on, then what comes, until it is over.

use std::time::Duration;

use brine_transport::stream::{RequestError, Stream};
use brine_wire::job::RunId;
use brine_wire::operator::OperatorReply;
use tokio::sync::broadcast::error::RecvError;

use super::refuse::Refused;
use super::runs::find;
use crate::context::Context;
use crate::runs::Watching;

/// Events read at a time.
const BATCH: u32 = 256;

/// A run whose record is open and that nobody drives yet, or any more: its end is near.
const SOON: Duration = Duration::from_millis(100);

/// However slow the watcher is, the run does not wait for him: it only writes into the store.
pub(super) async fn watch(
    mut stream: Stream,
    run: RunId,
    mut from: u64,
    context: &Context,
) -> Result<(), RequestError> {
    loop {
        // Subscribed before reading, so that nothing falls in between.
        let watching = context.runs.watch(run);
        let over = match find(run, context).await {
            Ok(summary) => summary.phase.is_over(),
            Err(refused) => return stream.reply(&refused.into_reply()).await,
        };
        from = match send_stored(&mut stream, run, from, context).await? {
            Ok(next) => next,
            Err(refused) => return stream.reply(&refused.into_reply()).await,
        };
        match watching {
            // Read after it was over, so nothing is missing.
            _ if over => return stream.reply(&OperatorReply::EndOfEvents).await,
            Some(watching) => {
                from = match follow(&mut stream, run, from, watching, context).await? {
                    Ok(next) => next,
                    Err(refused) => return stream.reply(&refused.into_reply()).await,
                };
            }
            None => tokio::time::sleep(SOON).await,
        }
    }
}

/// Follows a run under way until nobody drives it any more; the next number.
async fn follow(
    stream: &mut Stream,
    run: RunId,
    mut from: u64,
    mut watching: Watching,
    context: &Context,
) -> Result<Result<u64, Refused>, RequestError> {
    let connection = stream.connection().clone();
    loop {
        tokio::select! {
            changed = watching.news.changed() => {
                if changed.is_err() {
                    return Ok(Ok(from));
                }
                from = match send_stored(stream, run, from, context).await? {
                    Ok(next) => next,
                    Err(refused) => return Ok(Err(refused)),
                };
            }
            progress = watching.progress.recv() => match progress {
                Ok(event) => stream.send(&OperatorReply::Event(event)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(Ok(from)),
            },
            closed = connection.closed() => return Err(RequestError::Closed(closed)),
        }
    }
}

async fn send_stored(
    stream: &mut Stream,
    run: RunId,
    mut from: u64,
    context: &Context,
) -> Result<Result<u64, Refused>, RequestError> {
    loop {
        let events = match context.store.events(run, from, BATCH).await {
            Ok(events) => events,
            Err(error) => return Ok(Err(error.into())),
        };
        let all = events.len() < BATCH as usize;
        for event in events {
            from = event.sequence + 1;
            stream.send(&OperatorReply::Event(event)).await?;
        }
        if all {
            return Ok(Ok(from));
        }
    }
}
