//! What is asked.

use std::time::Duration;

use hyper::header::{ACCEPT_ENCODING, HeaderMap};

/// A GET or HEAD request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub path: String,
    /// Decoded pairs, in their order.
    pub query: Vec<(String, String)>,
    /// How long the scraper waits, where it says so.
    pub patience: Option<Duration>,
}

/// As Prometheus and `VictoriaMetrics` tell how long they wait.
const PATIENCE: &str = "x-prometheus-scrape-timeout-seconds";

impl Request {
    pub(crate) fn new(uri: &hyper::Uri, headers: &HeaderMap) -> Self {
        let patience = headers.get(PATIENCE).and_then(|value| value.to_str().ok());
        let seconds = patience.and_then(|word| word.parse().ok());
        Self {
            path: uri.path().to_owned(),
            query: pairs(uri.query().unwrap_or_default()),
            patience: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        }
    }

    /// All values of a name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.query.iter();
        pairs
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Whether the client unpacks gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let words = headers.get_all(ACCEPT_ENCODING);
    let words = words.iter().filter_map(|value| value.to_str().ok());
    words.flat_map(|value| value.split(',')).any(|word| {
        let mut parts = word.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|weight| {
            let weight = weight.strip_prefix("q=");
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        });
        name.eq_ignore_ascii_case("gzip") && !refused
    })
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// `%5B` and `+`; what makes no sense stays as it is.
fn decoded(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        let escaped = match (first, hex(after.first()), hex(after.get(1))) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let uri = "/metrics?collect[]=cpu&collect%5B%5D=net%20dev&x&y=%zz+1"
            .parse()
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(PATIENCE, "2.5".parse().unwrap());
        let request = Request::new(&uri, &headers);
        assert_eq!(request.path, "/metrics");
        let collect: Vec<&str> = request.values("collect[]").collect();
        assert_eq!(collect, ["cpu", "net dev"]);
        assert_eq!(request.values("x").next(), Some(""));
        assert_eq!(request.values("y").next(), Some("%zz 1"));
        assert_eq!(request.patience, Some(Duration::from_millis(2500)));
        headers.insert(PATIENCE, "-1".parse().unwrap());
        assert_eq!(Request::new(&uri, &headers).patience, None);
    }

    #[test]
    fn compression_is_asked_for() {
        let takes = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            takes_gzip(&headers)
        };
        assert!(takes("gzip") && takes("deflate, GZIP;q=0.5"));
        assert!(!takes("deflate") && !takes("gzip;q=0") && !takes("gzip; q=0.0"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
