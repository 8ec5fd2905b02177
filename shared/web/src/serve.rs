//! Listening, with limits for everything.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::request::{Request, takes_gzip};
use crate::token::Token;

/// Whoever has something to say.
pub trait Site: Send + Sync + 'static {
    fn answer(&self, request: Request) -> impl Future<Output = Answer> + Send;

    /// Whether everybody is answered.
    fn is_open(&self) -> bool;

    /// What must be known; none where it cannot be found out, so that nobody is answered.
    fn token(&self) -> impl Future<Output = Option<Token>> + Send;
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
    /// Connections at a time; beyond, those are closed that have not been let in yet, or the one that comes.
    pub connections: usize,
    /// For a handshake, and until some of an answer is taken.
    pub patience: Duration,
    /// Until a next request has come, its head included: longer than between two scrapes.
    pub idle: Duration,
    /// Of a connection altogether.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 40,
            patience: Duration::from_secs(10),
            idle: Duration::from_secs(150),
            lifetime: Duration::from_secs(60 * 60),
        }
    }
}

/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;

/// Between two words in the log about too many connections.
const CROWDED: Duration = Duration::from_secs(60);

/// A connection.
struct Open {
    handle: AbortHandle,
    /// Whether it was let in.
    is_known: Arc<AtomicBool>,
}

/// Serves until `stop`. A connection that fails costs itself.
pub async fn serve<S: Site, D: Door>(
    listener: TcpListener,
    door: D,
    site: Arc<S>,
    limits: Limits,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let mut open: VecDeque<Open> = VecDeque::new();
    let mut crowded: Option<Instant> = None;
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: it is no use to spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
        };
        open.retain(|one| !one.handle.is_finished());
        if open.len() >= limits.connections {
            // Once in a while: whoever comes and comes does not fill the log.
            if crowded.is_none_or(|told| told.elapsed() >= CROWDED) {
                crowded = Some(Instant::now());
                let limit = limits.connections;
                tracing::warn!(limit, "too many connections: some are closed at once");
            }
            // Whoever has not been let in yet makes room, the oldest first: who has something to ask asks at once.
            let mut strangers = open.iter();
            let stranger = strangers.position(|one| !one.is_known.load(Ordering::Relaxed));
            match stranger.and_then(|place| open.remove(place)) {
                Some(stranger) => stranger.handle.abort(),
                None => continue,
            }
        }
        let is_known = Arc::new(AtomicBool::new(false));
        let (site, door, known) = (Arc::clone(&site), door.clone(), Arc::clone(&is_known));
        let handle = connections.spawn(async move {
            let entered = timeout(limits.patience, door.enter(stream)).await;
            match entered {
                Ok(Ok(stream)) => converse(stream, site, known, limits).await,
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a handshake took too long"),
            }
        });
        open.push_back(Open { handle, is_known });
    }
    connections.shutdown().await;
}

async fn converse<S: Site>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    site: Arc<S>,
    is_known: Arc<AtomicBool>,
    limits: Limits,
) {
    // Who does not read what he asked for is not waited for.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.patience));
    let stream = Box::pin(stream);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (site, is_known) = (Arc::clone(&site), Arc::clone(&is_known));
        async move { Ok::<_, Infallible>(answer(&request, &*site, &is_known).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A stranger has so long to say something.
    for patience in [limits.patience, limits.lifetime] {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            () = sleep(patience) => {}
        }
        if !is_known.load(Ordering::Relaxed) {
            tracing::debug!("a stranger's time is up");
            return;
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.patience, connection).await;
}

async fn answer<S: Site>(
    request: &hyper::Request<Incoming>,
    site: &S,
    is_known: &AtomicBool,
) -> Response<Full<Bytes>> {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.map(HeaderValue::as_bytes);
    let admitted = if site.is_open() {
        true
    } else if let Some(header) = header.filter(|header| Token::may_be_in(header)) {
        let token = site.token().await;
        token.is_some_and(|token| token.is_in(header))
    } else {
        false
    };
    if !admitted {
        return Answer::unauthorized().response(false);
    }
    is_known.store(true, Ordering::Relaxed);
    let gzip = takes_gzip(request.headers());
    let answer = if matches!(*request.method(), Method::GET | Method::HEAD) {
        site.answer(Request::new(request.uri(), request.headers()))
            .await
    } else {
        Answer::wrong_method()
    };
    if gzip && answer.is_large() {
        let packed = spawn_blocking(move || answer.response(true)).await;
        return packed.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer was not packed");
            Answer::unavailable("the answer could not be packed").response(false)
        });
    }
    answer.response(gzip)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// None lets everybody in; none within lets nobody in.
    struct Page(Option<Option<Token>>);

    impl Site for Page {
        async fn answer(&self, request: Request) -> Answer {
            match request.path.as_str() {
                "/metrics" => Answer::ok("text/plain", "up 1\n".repeat(500)),
                "/large" => Answer::ok("text/plain", "up 1\n".repeat(500_000)),
                _ => Answer::not_found(),
            }
        }

        fn is_open(&self) -> bool {
            self.0.is_none()
        }

        async fn token(&self) -> Option<Token> {
            self.0.clone().flatten()
        }
    }

    async fn page(
        entry: Option<Option<Token>>,
        limits: Limits,
    ) -> (std::net::SocketAddr, CancellationToken) {
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
        let (address, _stop) = page(None, Limits::default()).await;
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
        let told = ask(address, "GET /large HTTP/1.1\r\nAccept-Encoding: gzip").await;
        let (head, body) = split(&told);
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let mut plain = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap();
        assert!(plain == "up 1\n".repeat(500_000));
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(2 * HEAD));
        let told = ask(address, &long).await;
        assert!(told.is_empty() || split(&told).0.starts_with("http/1.1 431"));
    }

    #[tokio::test]
    async fn a_token_that_is_asked_for_is_needed() {
        let token = Token::new("0123456789abcdef").unwrap();
        let (address, _stop) = page(Some(Some(token)), Limits::default()).await;
        for (header, status) in [
            ("Accept: */*", "401"),
            ("Authorization: Bearer 0123456789abcdee", "401"),
            ("Authorization: Bearer 0123456789abcdef", "200"),
        ] {
            let told = ask(address, &format!("GET /metrics HTTP/1.1\r\n{header}")).await;
            let (head, _) = split(&told);
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        }
        let (address, _stop) = page(Some(None), Limits::default()).await;
        let told = ask(address, "GET /metrics HTTP/1.1").await;
        assert!(split(&told).0.starts_with("http/1.1 401"));
    }

    #[tokio::test]
    async fn connections_have_a_limit_and_an_end() {
        let limits = Limits {
            connections: 1,
            idle: Duration::from_millis(200),
            ..Limits::default()
        };
        let (address, stop) = page(None, limits).await;
        // Who says nothing makes room for who does.
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET /metr").await.unwrap();
        let told = ask(address, "GET /metrics HTTP/1.1").await;
        assert!(split(&told).0.starts_with("http/1.1 200"));
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        // Who was answered keeps his place until he is idle for long.
        let mut known = TcpStream::connect(address).await.unwrap();
        known
            .write_all(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut head = [0; 64];
        let count = known.read(&mut head).await.unwrap();
        assert!(count > 0);
        let told = ask(address, "GET /metrics HTTP/1.1").await;
        assert!(told.is_empty(), "there is room for one");
        let _ = known.read_to_end(&mut rest).await;
        loop {
            let told = ask(address, "GET /metrics HTTP/1.1").await;
            if !told.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Nor for who asks and never reads.
        let limits = Limits {
            connections: 1,
            patience: Duration::from_millis(100),
            ..Limits::default()
        };
        let (open, _stop) = page(None, limits).await;
        let mut deaf = TcpStream::connect(open).await.unwrap();
        let many = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
        deaf.write_all(many.as_bytes()).await.unwrap();
        let mut first = [0; 1];
        deaf.read_exact(&mut first).await.unwrap();
        loop {
            let told = ask(open, "GET /metrics HTTP/1.1").await;
            if !told.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // A stranger who asks and asks, and never reads an answer, is not waited for.
        let limits = Limits {
            connections: 1,
            patience: Duration::from_millis(100),
            ..Limits::default()
        };
        let (closed, _stop) = page(Some(None), limits).await;
        let mut greedy = TcpStream::connect(closed).await.unwrap();
        let many = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
        let _ = greedy.write_all(many.as_bytes()).await;
        loop {
            let told = ask(closed, "GET /metrics HTTP/1.1").await;
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
