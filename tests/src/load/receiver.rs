//! Takes messages over HTTP and keeps them: stands in for a service that alerts are sent to.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::now_ms;
use super::process::{LoadProcess, is_stopped};
use crate::{Lab, nodes};

/// What a receiver takes, and where it keeps it.
#[derive(Debug, Clone)]
pub struct ReceiverOptions {
    pub port: u16,
    /// A line of JSON for each message.
    pub log: PathBuf,
    /// What each is answered with.
    pub answer: String,
    /// It ends when this file exists.
    pub stop: PathBuf,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub path: String,
    pub body: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiverReport {
    pub messages: usize,
}

/// Whoever sends is near.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than anybody sends here.
const MOST: u64 = 1 << 20;

/// Takes one message after the other until it is told to stop.
///
/// # Errors
/// The port is taken, or a message cannot be kept.
pub async fn receive(options: &ReceiverOptions) -> Result<ReceiverReport> {
    let listener = TcpListener::bind(("0.0.0.0", options.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", options.port))?;
    let mut messages = 0;
    while !is_stopped(&options.stop) {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.context("accept")?.0,
            () = sleep(Duration::from_millis(100)) => continue,
        };
        // What is no request is nobody's message.
        let Ok(Ok(message)) = timeout(PATIENCE, take(stream, &options.answer)).await else {
            continue;
        };
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&options.log);
        let log = log.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
        writeln!(log, "{}", serde_json::to_string(&message)?).context("cannot keep it")?;
        messages += 1;
    }
    Ok(ReceiverReport { messages })
}

async fn take(mut stream: TcpStream, answer: &str) -> Result<Message> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    let message = loop {
        let length = stream.read(&mut part).await?;
        anyhow::ensure!(length > 0 && (bytes.len() as u64) < MOST, "half a request");
        bytes.extend_from_slice(part.get(..length).unwrap_or_default());
        if let Some(message) = parse(&String::from_utf8_lossy(&bytes)) {
            break message;
        }
    };
    let length = answer.len();
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: \
         close\r\n\r\n{answer}"
    );
    stream.write_all(reply.as_bytes()).await?;
    Ok(message)
}

/// A whole request; none as long as more is to come.
fn parse(text: &str) -> Option<Message> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    (body.len() >= length.unwrap_or(0)).then(|| Message {
        path: head
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned(),
        body: body.to_owned(),
    })
}

/// A receiver under way in a lab, in the operator's seat.
#[derive(Debug)]
pub struct Receiver {
    process: LoadProcess,
    log: PathBuf,
    /// Where it is reached.
    pub url: String,
}

impl Receiver {
    /// # Errors
    /// It cannot be started.
    pub fn start(lab: &Lab, port: u16, answer: &str) -> Result<Self> {
        let name = format!("receiver-{}", now_ms());
        let log = lab.folder().join(format!("{name}.log"));
        let (text, path) = (port.to_string(), log.to_string_lossy());
        let arguments = [
            "receive", "--port", &text, "--log", &path, "--answer", answer,
        ];
        Ok(Self {
            process: LoadProcess::start(lab, &name, &arguments, &[])?,
            url: format!("http://{}:{port}", nodes::OPERATOR),
            log,
        })
    }

    /// What has arrived so far, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Ends it.
    ///
    /// # Errors
    /// It ended with an error.
    pub fn stop(self) -> Result<ReceiverReport> {
        self.process.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_when_it_is_whole() {
        let head = "POST /bot1:a/sendMessage HTTP/1.1\r\nHost: x\r\ncontent-length: 7\r\n\r\n";
        assert_eq!(parse("POST / HTTP/1.1\r\n"), None);
        assert_eq!(parse(&format!("{head}{{\"a\"")), None);
        let whole = parse(&format!("{head}{{\"a\":1}}")).expect("whole");
        assert_eq!(whole.path, "/bot1:a/sendMessage");
        assert_eq!(whole.body, "{\"a\":1}");
        assert!(parse("GET / HTTP/1.1\r\n\r\n").is_some());
    }
}
