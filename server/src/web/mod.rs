//! What programs ask the server for over HTTP: its metrics, and where all nodes' metrics are.
//!
//! ```text
//! door       the handshake, with a certificate of the authority for what runs on nodes
//! discovery  GET /discovery: targets for Prometheus and VictoriaMetrics
//! metrics    GET /metrics: the fleet and the server
//! ```
//!
//! It is off unless server.yaml says where it listens. Nothing is told without the token: who scrapes whom, and which
//! nodes there are, is nobody's business.

mod discovery;
mod door;
mod metrics;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brine_exposition::CONTENT_TYPE;
use brine_web::{Answer, Limits, Request, Site, Token};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::discovery::Discovered;
use self::door::Tls;
use crate::config::Http;
use crate::context::Context;

/// So long it is not looked again whether the token has changed: whoever asks does not keep the secrets busy.
const GOOD: Duration = Duration::from_secs(1);

/// Why it cannot be listened.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot listen on {address} for HTTP")]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("no certificate for HTTP: {0}")]
    Certificate(String),
    #[error("server.yaml, http.token: expected FORMULA.PARAMETER, the name of a secret")]
    Token,
}

/// An endpoint that listens, and does not answer yet.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: TcpListener,
    settings: Http,
    tls: Option<Tls>,
}

impl Endpoint {
    /// Listens where the settings say.
    pub(crate) async fn bind(settings: Http, context: &Arc<Context>) -> Result<Self, HttpError> {
        if settings.token.split_once('.').is_none() {
            return Err(HttpError::Token);
        }
        let address = settings.listen;
        let bind = |source| HttpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        // Made up now where there is none: whoever sets a scraper up looks for it.
        let (secrets, name) = (Arc::clone(&context.secrets), settings.token.clone());
        let made = tokio::task::spawn_blocking(move || secrets.common(&name).map(drop)).await;
        if let Ok(Err(error)) = made {
            tracing::error!(%error, "no token for HTTP");
        }
        let tls = if settings.tls {
            Some(Tls::new(address, context).map_err(HttpError::Certificate)?)
        } else {
            None
        };
        Ok(Self {
            listener,
            settings,
            tls,
        })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`.
    pub(crate) async fn serve(self, context: Arc<Context>, stop: CancellationToken) {
        let pages = Arc::new(Pages {
            context,
            token: self.settings.token,
            known: Mutex::default(),
            discovered: Discovered::default(),
        });
        let limits = Limits::default();
        match self.tls {
            Some(tls) => brine_web::serve(self.listener, tls, pages, limits, stop).await,
            None => brine_web::serve(self.listener, (), pages, limits, stop).await,
        }
    }
}

struct Pages {
    context: Arc<Context>,
    /// `FORMULA.PARAMETER` of the secret that is asked for.
    token: String,
    /// As it was found a moment ago.
    known: Mutex<Option<(Instant, Option<Token>)>>,
    /// Where nodes' metrics were when their states were in order.
    discovered: Discovered,
}

impl Site for Pages {
    fn is_open(&self) -> bool {
        false
    }

    async fn token(&self) -> Option<Token> {
        let known = |pages: &Self| {
            let known = pages.known.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .clone()
                .filter(|(at, _)| at.elapsed() < GOOD)
                .map(|(_, token)| token)
        };
        if let Some(token) = known(self) {
            return token;
        }
        let (context, name) = (Arc::clone(&self.context), self.token.clone());
        let text = tokio::task::spawn_blocking(move || context.secrets.common(&name)).await;
        let token = match text {
            Ok(Ok(Some(text))) => Token::new(text.reveal())
                .inspect_err(|error| {
                    tracing::error!(secret = self.token, "no token for HTTP: {error}");
                })
                .ok(),
            Ok(Err(error)) => {
                tracing::error!(%error, "no token for HTTP");
                None
            }
            _ => None,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), token.clone()));
        token
    }

    async fn answer(&self, request: Request) -> Answer {
        let told = match request.path.as_str() {
            "/metrics" => metrics::text(&self.context)
                .await
                .map(|text| Answer::ok(CONTENT_TYPE, text))
                .map_err(anyhow::Error::from),
            "/discovery" => discovery::json(&self.context, &self.discovered)
                .await
                .map(|text| Answer::ok("application/json", text)),
            _ => return Answer::not_found(),
        };
        told.unwrap_or_else(|error| {
            tracing::error!(
                error = format!("{error:#}"),
                path = request.path,
                "cannot answer"
            );
            Answer::unavailable("the server cannot tell: see its log")
        })
    }
}
