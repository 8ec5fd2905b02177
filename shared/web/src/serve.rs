//! Listening, with limits for everything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::request::{Request, takes_gzip};
use crate::token::Token;

/// Whoever has something to say.
pub trait Site: Send + Sync + 'static {
    fn answer(&self, request: Request) -> impl Future<Output = Answer> + Send;

    /// Who must be known to be answered; none lets everybody in.
    fn token(&self) -> impl Future<Output = Entry> + Send;
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Everybody,
    With(Token),
    /// The token cannot be found out.
    Nobody,
}

/// How a connection begins: plainly, or with a handshake.
pub trait Door: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn enter(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// No handshake.
impl Door for () {
    type Stream = TcpStream;

    async fn enter(&self, stream: TcpStream) -> std::io::Result<TcpStream> {
        Ok(stream)
    }
}

/// What strangers can make an endpoint hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// For a handshake.
    pub patience: Duration,
    /// Until a next request has come, its head included: longer than between two scrapes.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 40,
            patience: Duration::from_secs(10),
            idle: Duration::from_secs(150),
        }
    }
}

/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;

/// Serves until `stop`. A connection that fails costs itself.
pub async fn serve<S: Site, D: Door>(
    listener: TcpListener,
    door: D,
    site: Arc<S>,
    limits: Limits,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: it is no use to spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::debug!("too many connections: one is closed at once");
            continue;
        };
        let (site, door) = (Arc::clone(&site), door.clone());
        connections.spawn(async move {
            let entered = timeout(limits.patience, door.enter(stream)).await;
            match entered {
                Ok(Ok(stream)) => converse(stream, site, limits).await,
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a handshake took too long"),
            }
            drop(place);
        });
    }
    connections.shutdown().await;
}

async fn converse<S: Site>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    site: Arc<S>,
    limits: Limits,
) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(&request, &*site).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer<S: Site>(request: &hyper::Request<Incoming>, site: &S) -> Response<Full<Bytes>> {
    let is_known = match site.token().await {
        Entry::With(token) => {
            let header = request.headers().get(AUTHORIZATION);
            header.is_some_and(|header| token.is_in(header.as_bytes()))
        }
        Entry::Everybody => true,
        Entry::Nobody => false,
    };
    let gzip = takes_gzip(request.headers());
    let answer = if !is_known {
        Answer::unauthorized()
    } else if matches!(*request.method(), Method::GET | Method::HEAD) {
        let asked = Request::new(request.uri(), request.headers());
        site.answer(asked).await
    } else {
        Answer::wrong_method()
    };
    answer.response(gzip)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Page(Entry);

    impl Site for Page {
        async fn answer(&self, request: Request) -> Answer {
            match request.path.as_str() {
                "/metrics" => Answer::ok("text/plain", "up 1\n".repeat(500)),
                _ => Answer::not_found(),
            }
        }

        async fn token(&self) -> Entry {
            self.0.clone()
        }
    }

    async fn page(entry: Entry, limits: Limits) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(
            listener,
            (),
            Arc::new(Page(entry)),
            limits,
            stop.clone(),
        ));
        (address, stop)
    }

    async fn ask(address: std::net::SocketAddr, head: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told).await;
        told
    }

    fn split(told: &[u8]) -> (String, &[u8]) {
        let end = told
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        (
            String::from_utf8_lossy(&told[..end]).to_lowercase(),
            &told[end + 4..],
        )
    }

    #[tokio::test]
    async fn text_is_told_plainly_or_packed() {
        let (address, _stop) = page(Entry::Everybody, Limits::default()).await;
        let told = ask(address, "GET /metrics HTTP/1.1").await;
        let (head, body) = split(&told);
        assert!(
            head.starts_with("http/1.1 200") && head.contains("cache-control: no-store"),
            "{head}"
        );
        assert_eq!(body, "up 1\n".repeat(500).as_bytes());
        let told = ask(address, "GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip").await;
        let (head, body) = split(&told);
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let mut plain = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap();
        assert_eq!(plain, "up 1\n".repeat(500));
        let told = ask(address, "HEAD /metrics HTTP/1.1").await;
        let (head, body) = split(&told);
        assert!(
            head.contains("content-length: 2500") && body.is_empty(),
            "{head}"
        );
        for (head, status) in [
            ("GET /other HTTP/1.1", "http/1.1 404"),
            ("POST /metrics HTTP/1.1", "http/1.1 405"),
            ("GET nonsense", "http/1.1 400"),
        ] {
            let told = ask(address, head).await;
            assert!(split(&told).0.starts_with(status), "{head}");
        }
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(2 * HEAD));
        let told = ask(address, &long).await;
        assert!(told.is_empty() || split(&told).0.starts_with("http/1.1 431"));
    }

    #[tokio::test]
    async fn a_token_that_is_asked_for_is_needed() {
        let token = Token::new("0123456789abcdef").unwrap();
        let (address, _stop) = page(Entry::With(token), Limits::default()).await;
        for (header, status) in [
            ("Accept: */*", "401"),
            ("Authorization: Bearer 0123456789abcdee", "401"),
            ("Authorization: Bearer 0123456789abcdef", "200"),
        ] {
            let told = ask(address, &format!("GET /metrics HTTP/1.1\r\n{header}")).await;
            let (head, _) = split(&told);
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        }
        let (address, _stop) = page(Entry::Nobody, Limits::default()).await;
        let told = ask(address, "GET /metrics HTTP/1.1").await;
        assert!(split(&told).0.starts_with("http/1.1 401"));
    }

    #[tokio::test]
    async fn connections_have_a_limit_and_an_end() {
        let limits = Limits {
            connections: 1,
            idle: Duration::from_millis(100),
            ..Limits::default()
        };
        let (address, stop) = page(Entry::Everybody, limits).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET /metr").await.unwrap();
        let told = ask(address, "GET /metrics HTTP/1.1").await;
        assert!(told.is_empty(), "there is room for one");
        // It is closed when its time is up, and the next one has room.
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest).await;
        loop {
            let told = ask(address, "GET /metrics HTTP/1.1").await;
            if !told.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        stop.cancel();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
