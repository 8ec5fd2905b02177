//! What is sent.

use brine_model::host::{Credentials, HttpMethod, HttpRequest};

/// The parts of a URL.
pub(super) struct Target {
    /// `host:port`
    pub(super) address: String,
    authority: String,
    path: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or("only http:// can be asked")?;
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let printable = rest.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !printable {
            return Err("not a plain URL".to_owned());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let has_port = authority
            .rsplit(']')
            .next()
            .is_some_and(|end| end.contains(':'));
        let port = if has_port { "" } else { ":80" };
        Ok(Self {
            address: format!("{authority}{port}"),
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }
}

pub(super) struct Message<'a> {
    method: &'static str,
    body: Option<&'a str>,
    credentials: Option<&'a Credentials>,
}

impl<'a> Message<'a> {
    pub(super) fn get() -> Self {
        Self {
            method: "GET",
            body: None,
            credentials: None,
        }
    }

    pub(super) fn of(request: &'a HttpRequest) -> Self {
        Self {
            method: match request.method {
                HttpMethod::Post => "POST",
                HttpMethod::Patch => "PATCH",
            },
            body: request.body.as_deref(),
            credentials: request.credentials.as_ref(),
        }
    }

    pub(super) fn bytes(&self, target: &Target) -> Vec<u8> {
        let (method, path, host) = (self.method, &target.path, &target.authority);
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: brine-agent\r\n\
             Accept: */*\r\nConnection: close\r\n"
        );
        if let Some(Credentials { user, password }) = self.credentials {
            let pair = format!("{user}:{}", password.reveal());
            head.push_str(&format!(
                "Authorization: Basic {}\r\n",
                base64(pair.as_bytes())
            ));
        }
        if let Some(body) = self.body {
            head.push_str("Content-Type: application/json\r\n");
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        } else if self.method != "GET" {
            head.push_str("Content-Length: 0\r\n");
        }
        head.push_str("\r\n");
        head.push_str(self.body.unwrap_or_default());
        head.into_bytes()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let part = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let padding = place > chunk.len();
            text.push(if padding {
                '='
            } else {
                char::from(DIGITS[digit as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn parts_of_urls() {
        for (url, address, path) in [
            ("http://a", "a:80", "/"),
            ("http://a:1?x", "a:1", "/?x"),
            ("http://[::1]/y", "[::1]:80", "/y"),
            ("http://[::1]:8008/y?z", "[::1]:8008", "/y?z"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.address.as_str(), target.path.as_str()),
                (address, path)
            );
        }
    }
}
