//! `GET /metrics`, where the file says. The file is looked at often: an apply that changes it needs no restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brine_exposition::CONTENT_TYPE;
use brine_web::{Answer, Entry, Limits, Request, Site, Token, serve};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::flags::{Flags, addresses};
use super::own::Own;
use super::scraper::Scrape;
use crate::state::atomic;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(2);

/// How long a scrape may take where the scraper does not say how long it waits.
const WITHIN: Duration = Duration::from_secs(9);

/// So much earlier than the scraper gives up, the answer goes out.
const MARGIN: Duration = Duration::from_millis(500);

/// Larger files are somebody's mistake.
const LARGEST: u64 = 64 * 1024;

/// Serves until `stop`; nothing that the file says ends it.
pub(crate) async fn run(root: PathBuf, own: Own, stop: CancellationToken) {
    let mut known: Option<Option<String>> = None;
    let mut serving: Option<Serving> = None;
    let mut told = String::new();
    loop {
        let text = read(&root.join(super::FILE));
        let missing = serving
            .as_ref()
            .is_some_and(|serving| serving.is_incomplete());
        match text {
            Ok(text) if known.as_ref() != Some(&text) || missing => {
                let begun = match &text {
                    None => Ok(None),
                    Some(text) => Serving::plan(text, &root, &own).map(Some),
                };
                match begun {
                    Ok(next) => {
                        // The port must be free before it is bound again.
                        if let Some(before) = serving.take() {
                            before.end().await;
                        }
                        if let Some(mut next) = next {
                            tell(&mut told, next.listen().await);
                            serving = Some(next);
                        } else if known.is_some() {
                            tracing::info!("metrics are not served any more");
                        }
                    }
                    // What is wrong changes nothing: it is served as before.
                    Err(why) => tell(&mut told, Err(why)),
                }
                known = Some(text);
            }
            Ok(_) => {}
            Err(error) => tell(&mut told, Err(error.to_string())),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    if let Some(serving) = serving {
        serving.end().await;
    }
}

/// Says it once.
fn tell(told: &mut String, outcome: Result<String, String>) {
    let (Ok(words) | Err(words)) = &outcome;
    if words == told {
        return;
    }
    told.clone_from(words);
    match outcome {
        Ok(words) => tracing::info!("{words}"),
        Err(words) => tracing::error!("/{}: {words}", super::FILE),
    }
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() > LARGEST => {
            return Err(std::io::Error::other(format!("more than {LARGEST} bytes")));
        }
        other => other?,
    };
    let bytes = atomic::read(path)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What a file asks for, and what came of it.
struct Serving {
    flags: Flags,
    site: Arc<Page>,
    listening: usize,
    servers: JoinSet<()>,
    stop: CancellationToken,
}

impl Serving {
    fn plan(text: &str, root: &Path, own: &Own) -> Result<Self, String> {
        let flags = Flags::parse(text)?;
        let scrape = Scrape::new(flags.clone(), own.clone()).map_err(|error| error.to_string())?;
        let token = flags.token_file.as_ref();
        let site = Page {
            scrape: Arc::new(scrape),
            token: token.map(|path| root.join(path.strip_prefix("/").unwrap_or(path))),
            turn: Semaphore::new(1),
        };
        Ok(Self {
            flags,
            site: Arc::new(site),
            listening: 0,
            servers: JoinSet::new(),
            stop: CancellationToken::new(),
        })
    }

    /// An address that is not there yet is tried again.
    fn is_incomplete(&self) -> bool {
        self.listening < self.flags.listen.len()
    }

    async fn listen(&mut self) -> Result<String, String> {
        let mut at = Vec::new();
        let mut failed = Vec::new();
        for word in &self.flags.listen {
            match bind(word).await {
                Ok((listener, address)) => {
                    self.listening += 1;
                    at.push(address.to_string());
                    self.servers.spawn(serve(
                        listener,
                        (),
                        Arc::clone(&self.site),
                        Limits::default(),
                        self.stop.clone(),
                    ));
                }
                Err(error) => failed.push(format!("cannot listen on {word}: {error}")),
            }
        }
        if failed.is_empty() {
            Ok(format!("metrics are served on {}", at.join(", ")))
        } else {
            Err(failed.join("; "))
        }
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.servers.join_next().await.is_some() {}
    }
}

async fn bind(word: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
    // A name may have to be asked for.
    let word = word.to_owned();
    let found = tokio::task::spawn_blocking(move || addresses(&word)).await;
    let found = found.map_err(std::io::Error::other)??;
    let listener = TcpListener::bind(&found[..]).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

struct Page {
    scrape: Arc<Scrape>,
    token: Option<PathBuf>,
    /// A second scrape waits here and not on a thread.
    turn: Semaphore,
}

impl Site for Page {
    async fn token(&self) -> Entry {
        let Some(path) = &self.token else {
            return Entry::Everybody;
        };
        // Read each time: a token that was changed counts at once.
        match read(path) {
            Ok(Some(text)) => match Token::new(text.trim()) {
                Ok(token) => Entry::With(token),
                Err(error) => {
                    tracing::error!(path = %path.display(), "no token for metrics: {error}");
                    Entry::Nobody
                }
            },
            Ok(None) => {
                tracing::error!(path = %path.display(), "no token for metrics: the file is missing");
                Entry::Nobody
            }
            Err(error) => {
                tracing::error!(path = %path.display(), "no token for metrics: {error}");
                Entry::Nobody
            }
        }
    }

    async fn answer(&self, request: Request) -> Answer {
        match request.path.as_str() {
            "/metrics" => self.metrics(&request).await,
            "/" => Answer::ok(
                "text/html; charset=utf-8",
                "<!doctype html><title>brine-agent</title><a href=\"/metrics\">metrics</a>\n"
                    .to_owned(),
            ),
            _ => Answer::not_found(),
        }
    }
}

impl Page {
    async fn metrics(&self, request: &Request) -> Answer {
        let within = request.patience.map_or(WITHIN, |patience| {
            patience
                .saturating_sub(MARGIN)
                .max(patience / 2)
                .min(WITHIN * 4)
        });
        let Ok(Ok(_turn)) = timeout(within, self.turn.acquire()).await else {
            return Answer::unavailable("another scrape is under way");
        };
        let only: Vec<String> = request.values("collect[]").map(str::to_owned).collect();
        let scrape = Arc::clone(&self.scrape);
        let scraped = tokio::task::spawn_blocking(move || scrape.text(&only, within)).await;
        match scraped {
            Ok(Ok(text)) => Answer::ok(CONTENT_TYPE, text),
            Ok(Err(unknown)) => Answer::bad_request(unknown.to_string()),
            Err(error) => {
                tracing::error!(%error, "a scrape died");
                Answer::unavailable("the scrape died: see the agent's log")
            }
        }
    }
}
