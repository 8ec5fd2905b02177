//! Waiting for systemd's jobs.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;
use zbus::export::futures_core::Stream;
use zbus::message::Type;
use zbus::zvariant::OwnedObjectPath;
use zbus::{Connection, MatchRule, MessageStream};

use super::systemd::{CallError, MANAGER};

/// More jobs than that do not end between two looks.
const QUEUED: usize = 1024;

pub(super) struct Jobs(MessageStream);

impl Jobs {
    pub(super) async fn subscribe(connection: &Connection) -> Result<Self, CallError> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface(MANAGER)?
            .member("JobRemoved")?
            .build();
        Ok(Self(
            MessageStream::for_match_rule(rule, connection, Some(QUEUED)).await?,
        ))
    }

    /// The job's result: `done`, `failed`, `timeout`, `canceled`, `dependency`, `skipped`, …
    pub(super) async fn wait(
        &mut self,
        job: &OwnedObjectPath,
        limit: Duration,
    ) -> Result<String, CallError> {
        let gone = |message: String| CallError {
            name: String::new(),
            message,
        };
        let waiting = async {
            loop {
                let Some(message) = self.next().await else {
                    return Err(gone("the connection to systemd broke".to_owned()));
                };
                let message = message?;
                let body = message.body();
                let removed: (u32, OwnedObjectPath, String, String) = body.deserialize()?;
                if removed.1 == *job {
                    return Ok(removed.3);
                }
            }
        };
        match timeout(limit, waiting).await {
            Ok(result) => result,
            Err(_) => Err(gone(format!("not done within {} s", limit.as_secs()))),
        }
    }

    async fn next(&mut self) -> Option<zbus::Result<zbus::Message>> {
        std::future::poll_fn(|context| Pin::new(&mut self.0).poll_next(context)).await
    }
}
