//! `GET /metrics`, where the file says. The file is looked at often: an apply that changes it needs no restart.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brine_exposition::CONTENT_TYPE;
use brine_web::{Answer, Limits, Request, Site, Token, serve};
use nix::fcntl::OFlag;
use tokio::net::TcpListener;
use tokio::sync::Mutex as Turns;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::flags::{Flags, addresses};
use super::own::Own;
use super::scraper::Node;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(2);

/// How long a scrape may take where the scraper does not say how long it waits.
const WITHIN: Duration = Duration::from_secs(9);

/// So much earlier than the scraper gives up, the answer goes out.
const MARGIN: Duration = Duration::from_millis(500);

/// Who is less patient than this still lets the collectors finish.
const SHORTEST: Duration = Duration::from_secs(1);

/// Larger files are somebody's mistake.
const LARGEST: u64 = 64 * 1024;

/// Serves until `stop`; nothing that the file says ends it.
pub(crate) async fn run(root: PathBuf, own: Own, stop: CancellationToken) {
    let mut known: Option<Option<String>> = None;
    let mut serving: Option<Serving> = None;
    let mut told = String::new();
    loop {
        match read(&root.join(super::FILE)) {
            Ok(text) if known.as_ref() != Some(&text) => {
                let planned = text
                    .as_ref()
                    .map(|text| Serving::plan(text, &root, &own))
                    .transpose();
                match planned {
                    Ok(next) => {
                        // The port must be free before it is bound again.
                        if let Some(before) = serving.take() {
                            before.end().await;
                            if next.is_none() {
                                tell(&mut told, Ok("metrics are not served any more".to_owned()));
                            }
                        }
                        serving = next;
                        if let Some(serving) = &serving {
                            // What is told once is told again of a new file.
                            told.clear();
                            // Said now if there is none, and not when somebody asks.
                            serving.site.token().await;
                            if serving.flags.listen.is_empty() {
                                let why = "metrics are not served: no --web.listen-address";
                                tell(&mut told, Ok(why.to_owned()));
                            }
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
        if let Some(serving) = &mut serving
            && serving.is_incomplete()
        {
            let outcome = serving.listen().await;
            tell(&mut told, outcome);
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

/// A small file; none where it is missing. What is no file is refused: a pipe would never answer, a device never end.
fn read(path: &Path) -> io::Result<Option<String>> {
    let open = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path);
    let file = match open {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        open => open?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("more than {LARGEST} bytes")));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What a file asks for, and what came of it.
struct Serving {
    flags: Flags,
    site: Arc<Page>,
    /// What is listened on, by the words of the flags.
    listening: BTreeMap<String, SocketAddr>,
    servers: JoinSet<()>,
    stop: CancellationToken,
}

impl Serving {
    fn plan(text: &str, root: &Path, own: &Own) -> Result<Self, String> {
        let flags = Flags::parse(text)?;
        let node = Node::new(flags.clone(), own.clone()).map_err(|error| error.to_string())?;
        let token = flags.token_file.as_ref();
        let site = Page {
            node: Arc::new(Turns::new(node)),
            token: token.map(|path| root.join(path.strip_prefix("/").unwrap_or(path))),
            told: Mutex::default(),
        };
        Ok(Self {
            flags,
            site: Arc::new(site),
            listening: BTreeMap::new(),
            servers: JoinSet::new(),
            stop: CancellationToken::new(),
        })
    }

    /// An address that is not there yet is tried again.
    fn is_incomplete(&self) -> bool {
        let mut words = self.flags.listen.iter();
        words.any(|word| !self.listening.contains_key(word))
    }

    async fn listen(&mut self) -> Result<String, String> {
        let mut failed = Vec::new();
        for word in &self.flags.listen {
            if self.listening.contains_key(word) {
                continue;
            }
            match bind(word).await {
                Ok((listener, address)) => {
                    self.listening.insert(word.clone(), address);
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
            let at: Vec<String> = self.listening.values().map(ToString::to_string).collect();
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

async fn bind(word: &str) -> io::Result<(TcpListener, SocketAddr)> {
    // A name may have to be asked for.
    let word = word.to_owned();
    let found = tokio::task::spawn_blocking(move || addresses(&word)).await;
    let found = found.map_err(io::Error::other)??;
    let listener = TcpListener::bind(&found[..]).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

struct Page {
    /// A second scrape waits for the first.
    node: Arc<Turns<Node>>,
    token: Option<PathBuf>,
    /// What was said of the token last.
    told: Mutex<String>,
}

impl Site for Page {
    fn is_open(&self) -> bool {
        self.token.is_none()
    }

    async fn token(&self) -> Option<Token> {
        let path = self.token.as_ref()?;
        // Read each time: a token that was changed counts at once.
        let found = match read(path) {
            Ok(Some(text)) => Token::new(text.trim()).map_err(|error| error.to_string()),
            Ok(None) => Err("the file is missing".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(token) => {
                told.clear();
                Some(token)
            }
            Err(why) => {
                // Once: whoever asks does not fill the log.
                if *told != why {
                    tracing::error!(path = %path.display(), "no token for metrics, so nobody gets them: {why}");
                    *told = why;
                }
                None
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
            let early = patience.saturating_sub(MARGIN).max(patience / 2);
            early.clamp(SHORTEST, WITHIN * 4)
        });
        let end = Instant::now() + within;
        let node = Arc::clone(&self.node).lock_owned();
        let Ok(mut node) = timeout(within, node).await else {
            return Answer::unavailable("another scrape is under way");
        };
        let only: Vec<String> = request.values("collect[]").map(str::to_owned).collect();
        // In a task of its own: whoever asked may go away, and no collector is to be left behind for that.
        let scraped = tokio::spawn(async move {
            let left = end.saturating_duration_since(Instant::now());
            node.text(&only, left.max(SHORTEST)).await
        })
        .await;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let request = format!("GET {head}Host: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        told
    }

    /// An address that is this test's alone.
    fn address(last: u8) -> SocketAddr {
        let [low, middle, ..] = std::process::id().to_le_bytes();
        SocketAddr::from(([127, middle, low, last], 9100))
    }

    #[test]
    fn what_would_never_end_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        std::fs::write(
            at("long"),
            vec![b'x'; usize::try_from(LARGEST).unwrap() + 1],
        )
        .unwrap();
        std::fs::write(at("short"), "x").unwrap();
        for name in ["pipe", "device", "long", "."] {
            assert!(read(&at(name)).is_err(), "{name}");
        }
        assert_eq!(read(&at("short")).unwrap().as_deref(), Some("x"));
        assert_eq!(read(&at("none")).unwrap(), None);
    }

    #[tokio::test]
    async fn it_listens_where_the_file_says_and_anew_when_that_changes() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(super::super::FILE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let write = |text: &str| {
            let next = file.with_extension("next");
            std::fs::write(&next, text).unwrap();
            std::fs::rename(next, &file).unwrap();
        };
        let own = Own {
            root: root.path().to_owned(),
            state: root.path().to_owned(),
            link: None,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(root.path().to_owned(), own, stop.clone()));
        let (first, second) = (address(1), address(2));
        write(&format!(
            "--web.listen-address={first}\n--collector.disable-defaults\n--collector.loadavg\n"
        ));
        let told = ask(first, "/metrics HTTP/1.1\r\n").await;
        assert!(
            told.starts_with("HTTP/1.1 200") && told.contains("\nnode_load1 "),
            "{told}"
        );
        assert!(told.contains("\nbrine_agent_build_info{"), "{told}");
        let told = ask(first, "/metrics?collect[]=cpu HTTP/1.1\r\n").await;
        assert!(
            told.starts_with("HTTP/1.1 400") && told.contains("disabled collector: cpu"),
            "{told}"
        );
        assert!(
            ask(first, "/x HTTP/1.1\r\n")
                .await
                .starts_with("HTTP/1.1 404")
        );
        // What makes no sense changes nothing.
        write("--web.listen-adress=x\n");
        tokio::time::sleep(LOOK + Duration::from_millis(500)).await;
        assert!(
            ask(first, "/ HTTP/1.1\r\n")
                .await
                .starts_with("HTTP/1.1 200")
        );
        // Two addresses, one of which is taken for a while; a token that is not there yet lets nobody in.
        let taken = std::net::TcpListener::bind(second).unwrap();
        write(&format!(
            "--web.listen-address={first}\n--web.listen-address={second}\n--web.token-file=/token\n"
        ));
        loop {
            if ask(first, "/ HTTP/1.1\r\n")
                .await
                .starts_with("HTTP/1.1 401")
            {
                break;
            }
        }
        drop(taken);
        std::fs::write(root.path().join("token"), "0123456789abcdef\n").unwrap();
        let told = ask(
            second,
            "/ HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\n",
        )
        .await;
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        stop.cancel();
        running.await.unwrap();
        assert!(TcpStream::connect(first).await.is_err());
    }
}
