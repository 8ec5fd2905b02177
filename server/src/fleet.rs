//! Who is connected: the one owner of connections to agents, and a handle to it.
//!
//! The task only keeps the map. What is asked of an agent goes over a clone of its connection, in
//! the task of whoever asks, so that a slow agent holds nobody up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brine_model::name::NodeName;
use brine_transport::closed::Code;
use brine_transport::connection::Connection;
use brine_transport::stream::RequestError;
use brine_wire::agent::{ServerReply, ServerRequest};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// Agents answer at once: they accept a job, they do not do it meanwhile.
const ANSWER: Duration = Duration::from_secs(20);

/// Between two attempts to reach a node that is just coming back.
const AGAIN: Duration = Duration::from_millis(50);

enum Message {
    Joined {
        node: NodeName,
        connection: Connection,
        epoch: oneshot::Sender<u64>,
    },
    Left {
        node: NodeName,
        epoch: u64,
    },
    Revoke(NodeName),
    Find(NodeName, oneshot::Sender<Option<Connection>>),
    All(oneshot::Sender<BTreeSet<NodeName>>),
}

/// Cloneable; the task ends with the last handle.
#[derive(Debug, Clone)]
pub(crate) struct FleetHandle {
    messages: mpsc::UnboundedSender<Message>,
    /// Rises whenever somebody comes or goes.
    changes: watch::Receiver<u64>,
}

/// While this lives, its node counts as connected. Dropped on every way out of a session, a panic
/// included.
#[derive(Debug)]
pub(crate) struct Presence {
    node: NodeName,
    epoch: u64,
    messages: mpsc::UnboundedSender<Message>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Left {
            node: self.node.clone(),
            epoch: self.epoch,
        });
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Joined { .. } => "Joined",
            Self::Left { .. } => "Left",
            Self::Revoke(_) => "Revoke",
            Self::Find(..) => "Find",
            Self::All(_) => "All",
        })
    }
}

/// Why an agent did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error("it is not connected")]
    Disconnected,
    #[error("it did not answer")]
    Request(#[from] RequestError),
}

/// Starts the task.
#[must_use]
pub(crate) fn spawn() -> FleetHandle {
    let (messages, inbox) = mpsc::unbounded_channel();
    let (changed, changes) = watch::channel(0);
    tokio::spawn(run(inbox, changed));
    FleetHandle { messages, changes }
}

async fn run(mut inbox: mpsc::UnboundedReceiver<Message>, changed: watch::Sender<u64>) {
    let mut links: BTreeMap<NodeName, (u64, Connection)> = BTreeMap::new();
    let mut epochs = 0;
    while let Some(message) = inbox.recv().await {
        match message {
            Message::Joined {
                node,
                connection,
                epoch,
            } => {
                epochs += 1;
                if let Some((_, old)) = links.insert(node, (epochs, connection)) {
                    old.close(Code::REPLACED, "a newer connection of this node takes over");
                }
                let _ = epoch.send(epochs);
            }
            Message::Left { node, epoch } => {
                if links
                    .get(&node)
                    .is_some_and(|(present, _)| *present == epoch)
                {
                    links.remove(&node);
                }
            }
            Message::Revoke(node) => {
                if let Some((_, connection)) = links.remove(&node) {
                    connection.close(Code::REVOKED, "this node was removed");
                }
            }
            Message::Find(node, answer) => {
                let _ = answer.send(links.get(&node).map(|(_, connection)| connection.clone()));
                continue;
            }
            Message::All(answer) => {
                let _ = answer.send(links.keys().cloned().collect());
                continue;
            }
        }
        changed.send_modify(|version| *version += 1);
    }
}

impl FleetHandle {
    /// Counts a node as connected from now on. An earlier connection of it is closed.
    pub(crate) async fn join(&self, node: NodeName, connection: Connection) -> Option<Presence> {
        let (epoch, told) = oneshot::channel();
        let joined = Message::Joined {
            node: node.clone(),
            connection,
            epoch,
        };
        self.messages.send(joined).ok()?;
        Some(Presence {
            node,
            epoch: told.await.ok()?,
            messages: self.messages.clone(),
        })
    }

    /// Ends a node's connection at once.
    pub(crate) fn revoke(&self, node: NodeName) {
        let _ = self.messages.send(Message::Revoke(node));
    }

    pub(crate) async fn find(&self, node: &NodeName) -> Option<Connection> {
        let (answer, answered) = oneshot::channel();
        self.messages
            .send(Message::Find(node.clone(), answer))
            .ok()?;
        answered.await.ok()?
    }

    pub(crate) async fn connected(&self) -> BTreeSet<NodeName> {
        let (answer, answered) = oneshot::channel();
        let _ = self.messages.send(Message::All(answer));
        answered.await.unwrap_or_default()
    }

    /// The node's connection, as soon as it has one.
    pub(crate) async fn wait_for(&self, node: &NodeName) -> Connection {
        let mut changes = self.changes.clone();
        loop {
            changes.borrow_and_update();
            if let Some(connection) = self.find(node).await {
                return connection;
            }
            if changes.changed().await.is_err() {
                // The task has ended: nobody will ever connect.
                std::future::pending::<()>().await;
            }
        }
    }

    /// As [`Self::wait_for`], but no longer than `limit`.
    pub(crate) async fn wait_at_most(
        &self,
        node: &NodeName,
        limit: Duration,
    ) -> Option<Connection> {
        timeout(limit, self.wait_for(node)).await.ok()
    }

    /// Whether a node answers within `limit`: its connection counts as one for up to 45 s after its
    /// host has died. An agent that restarts meanwhile answers over its next one.
    pub(crate) async fn is_there(&self, node: &NodeName, limit: Duration) -> bool {
        let answers = async {
            loop {
                let connection = self.wait_for(node).await;
                tokio::select! {
                    answer = connection.request_within::<_, ServerReply>(&ServerRequest::Ping, limit) => {
                        if answer.is_ok() {
                            return;
                        }
                    }
                    // Another one of this node takes its place, or will.
                    _ = connection.closed() => {}
                }
                sleep(AGAIN).await;
            }
        };
        timeout(limit, answers).await.is_ok()
    }

    /// Asks a node that is connected now.
    ///
    /// # Errors
    /// It is not, or does not answer.
    pub(crate) async fn ask(
        &self,
        node: &NodeName,
        request: &ServerRequest,
    ) -> Result<ServerReply, Unreachable> {
        let connection = self.find(node).await.ok_or(Unreachable::Disconnected)?;
        Ok(ask(&connection, request).await?)
    }
}

/// Asks over a connection at hand.
///
/// # Errors
/// The connection is over, or the agent does not answer.
pub(crate) async fn ask(
    connection: &Connection,
    request: &ServerRequest,
) -> Result<ServerReply, RequestError> {
    connection.request_within(request, ANSWER).await
}
