//! Join tokens: everything that a new machine needs to find its server and to know it.

use std::fmt;
use std::str::FromStr;

use brine_model::value::SecretText;
use brine_wire::codec;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::tls;

const PREFIX: &str = "brine1.";

/// The longest token that is looked at, in characters; usual ones have about 700.
const MAX_TEXT: usize = 8 << 10;
const MAX_SERVERS: usize = 16;

/// One line of text: `brine1.…`. Whoever holds it with its secret can become a node, so `Debug` is
/// redacted and [`JoinToken::to_text`] has to be called by name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// `host:port`, tried in turn.
    pub servers: Vec<String>,
    /// DER of the authority's certificate: the machine trusts this one and no other.
    pub ca: Vec<u8>,
    /// What the server knows the token by; none where an operator must accept the machine.
    pub secret: Option<SecretText>,
}

/// The text is not a join token. It is not repeated here, for it may be one nearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("not a join token: it must start with `{PREFIX}`")]
    Prefix,
    #[error("not a join token: it is longer than {MAX_TEXT} characters")]
    TooLong,
    #[error("the join token is damaged: copy all of it, from `{PREFIX}` on")]
    Damaged,
    #[error("the join token names no server, too many, or one that is not `host:port`")]
    Servers,
    #[error("the join token holds no authority's certificate")]
    Authority,
}

/// A new secret for a token: 256 random bits as text. None when the system gives no randomness.
#[must_use]
pub fn new_secret() -> Option<SecretText> {
    let bytes = Zeroizing::new(tls::random::<32>()?);
    Some(SecretText::new(BASE64URL_NOPAD.encode(&*bytes)))
}

impl JoinToken {
    /// The token as a line of text.
    pub fn to_text(&self) -> Result<Zeroizing<String>, InvalidToken> {
        self.check()?;
        let bytes = Zeroizing::new(codec::encode(self).map_err(|_| InvalidToken::Damaged)?);
        let text = Zeroizing::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)));
        if text.len() > MAX_TEXT {
            Err(InvalidToken::TooLong)
        } else {
            Ok(text)
        }
    }

    fn check(&self) -> Result<(), InvalidToken> {
        let servers = 1..=MAX_SERVERS;
        if !servers.contains(&self.servers.len()) || !self.servers.iter().all(|s| is_server(s)) {
            return Err(InvalidToken::Servers);
        }
        let authority = crate::certificate::parse(&self.ca).is_ok_and(|parsed| parsed.is_ca());
        if authority {
            Ok(())
        } else {
            Err(InvalidToken::Authority)
        }
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(InvalidToken::TooLong);
        }
        let body = text.strip_prefix(PREFIX).ok_or(InvalidToken::Prefix)?;
        let bytes = BASE64URL_NOPAD
            .decode(body.as_bytes())
            .map_err(|_| InvalidToken::Damaged)?;
        let bytes = Zeroizing::new(bytes);
        let token: Self = codec::decode(&bytes, MAX_TEXT).map_err(|_| InvalidToken::Damaged)?;
        token.check()?;
        Ok(token)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({}, …)", self.servers.join(", "))
    }
}

/// Whether `text` is `host:port`, an IPv6 address in brackets.
#[must_use]
pub fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let plain = |host: &str| {
        !host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    let bracketed = text.parse::<std::net::SocketAddrV6>().is_ok();
    (plain(host) && port.parse::<u16>().is_ok_and(|port| port > 0)) || bracketed
}
