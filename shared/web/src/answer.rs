//! What is said.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use crate::gzip::pack;

/// A status, and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

/// Below this, compressing costs more than it saves.
const COMPRESS: usize = 1024;

/// Bytes: packing them takes three milliseconds or more.
const LARGE: usize = 1 << 20;

const PLAIN: &str = "text/plain; charset=utf-8";

impl Answer {
    /// 200, with this content type.
    #[must_use]
    pub const fn ok(kind: &'static str, text: String) -> Self {
        Self {
            status: StatusCode::OK,
            kind,
            text,
        }
    }

    /// 400: what is asked makes no sense, and why.
    #[must_use]
    pub fn bad_request(why: impl Into<String>) -> Self {
        Self::words(StatusCode::BAD_REQUEST, why)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::words(StatusCode::NOT_FOUND, "there is no such page")
    }

    /// 503: not now, and why.
    #[must_use]
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::words(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::words(StatusCode::UNAUTHORIZED, "a bearer token is needed")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD")
    }

    fn words(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.push('\n');
        Self {
            status,
            kind: PLAIN,
            text,
        }
    }

    /// Whether packing it takes milliseconds, so that it is to be done on a thread of its own.
    pub(crate) fn is_large(&self) -> bool {
        self.text.len() >= LARGE
    }

    /// As it is sent.
    pub(crate) fn response(self, gzip: bool) -> Response<Full<Bytes>> {
        let packed = if gzip && self.text.len() >= COMPRESS {
            pack(self.text.as_bytes())
        } else {
            None
        };
        let is_packed = packed.is_some();
        let body = packed.unwrap_or_else(|| self.text.into_bytes());
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if is_packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.status == StatusCode::UNAUTHORIZED || self.status == StatusCode::METHOD_NOT_ALLOWED
        {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
