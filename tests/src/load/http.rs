//! One HTTP request on a connection of its own, as a new client makes it.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Sends `GET path` to port 80 of `host` and reads the whole answer.
pub(super) async fn get(host: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect((host, 80)).await.context("connect")?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lab\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.context("send")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.context("read")?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Result<Answer> {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("the answer has no end of its head")?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("the answer has no status")?;
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\nHello\r\n\r\n").expect("parsed");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "Hello\r\n\r\n")
        );
        assert!(parse("").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\n").is_err());
        assert!(parse("nonsense\r\n\r\n").is_err());
    }
}
