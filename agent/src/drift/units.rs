//! Changes of systemd's units, as the manager tells of them.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use zbus::export::futures_core::Stream;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::host::subscribed;

/// What has changed: a unit, or, with none, possibly all of them.
pub(super) type Changed = Option<String>;

const UNITS: &str = "/org/freedesktop/systemd1/unit";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Signals that wait while others are looked at.
const QUEUED: usize = 256;

/// Before the bus is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells of changes until nobody listens any more. A bus that is away is waited for.
pub(super) async fn tell(root: &Path, changes: mpsc::Sender<Changed>) {
    // Tests have no systemd of their own, and must not hear of the machine's.
    if root != Path::new("/") {
        return;
    }
    loop {
        match listen(&changes).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "systemd's signals"),
        }
        tokio::select! {
            () = sleep(AGAIN) => {}
            () = changes.closed() => return,
        }
    }
}

/// Until nobody listens; an error where the bus goes away.
async fn listen(changes: &mpsc::Sender<Changed>) -> zbus::Result<()> {
    let bus = subscribed().await?;
    let mut units = signals(&bus, PROPERTIES, "PropertiesChanged", true).await?;
    let mut files = signals(&bus, MANAGER, "UnitFilesChanged", false).await?;
    // Until now nobody was told.
    if changes.send(None).await.is_err() {
        return Ok(());
    }
    loop {
        let changed = tokio::select! {
            () = changes.closed() => return Ok(()),
            message = next(&mut units) => unit(&message?),
            message = next(&mut files) => message.map(|_| Some(None))?,
        };
        if let Some(changed) = changed
            && changes.send(changed).await.is_err()
        {
            return Ok(());
        }
    }
}

async fn signals(
    bus: &Connection,
    interface: &'static str,
    member: &'static str,
    of_units: bool,
) -> zbus::Result<MessageStream> {
    let mut rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .interface(interface)?
        .member(member)?;
    if of_units {
        rule = rule.path_namespace(UNITS)?.arg(0, UNIT)?;
    }
    MessageStream::for_match_rule(rule.build(), bus, Some(QUEUED)).await
}

async fn next(stream: &mut MessageStream) -> zbus::Result<Message> {
    let message = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await;
    message.unwrap_or_else(|| Err(zbus::Error::InputOutput(std::sync::Arc::new(broken()))))
}

fn broken() -> std::io::Error {
    std::io::ErrorKind::BrokenPipe.into()
}

fn unit(message: &Message) -> Option<Changed> {
    let header = message.header();
    let path = header.path()?;
    let name = path.as_str().strip_prefix(UNITS)?.strip_prefix('/')?;
    Some(Some(unescaped(name)))
}

/// `haproxy_2eservice`, which is how a name is written in an object's path.
fn unescaped(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('_') {
        plain.push_str(head);
        let code = tail
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) if code.is_ascii() => {
                plain.push(char::from(code));
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                plain.push('_');
                rest = tail;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        assert_eq!(unescaped("haproxy_2eservice"), "haproxy.service");
        assert_eq!(
            unescaped("patroni_4015_2dmain_2eservice"),
            "patroni@15-main.service"
        );
        assert_eq!(unescaped("a_"), "a_");
    }
}
