//! Why a connection is over, in our words.

use quinn::ConnectionError;

use crate::limits::WORDS;

/// Codes that say why a side closed a connection. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// All said.
    pub const DONE: Self = Self(0);
    /// This certificate, or its absence, gives no right to that.
    pub const FORBIDDEN: Self = Self(1);
    /// Come back later, with jitter.
    pub const BUSY: Self = Self(2);
    /// The program stops; a server comes back.
    pub const SHUTDOWN: Self = Self(3);
    /// The node or operator is no longer registered, or another key holds its name.
    pub const REVOKED: Self = Self(4);
    /// A newer connection of the same node takes over.
    pub const REPLACED: Self = Self(5);
    /// The peer's bytes make no sense.
    pub const MALFORMED: Self = Self(6);
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("closed on this side")]
    ByUs,
    /// Its own words, bounded and without control characters.
    #[error("closed by the other side{}{reason}", if reason.is_empty() { "" } else { ": " })]
    ByPeer { code: Code, reason: String },
    #[error("the other side went silent")]
    Silent,
    #[error("the other side forgot the connection: it was restarted")]
    Restarted,
    #[error("the other side is too busy: try again later")]
    Busy,
    #[error("certificate not trusted: {why}")]
    Untrusted { by_us: bool, why: String },
    /// A certificate is expired or not valid yet, or a clock is wrong.
    #[error("certificate expired or not valid yet: {why}")]
    Validity { by_us: bool, why: String },
    #[error("no protocol version in common")]
    Version,
    #[error("protocol violated: {0}")]
    Protocol(String),
}

// TLS alerts, as QUIC error codes (RFC 9001, 4.8).
const TLS: std::ops::Range<u64> = 0x100..0x200;
const CERTIFICATE_EXPIRED: u64 = 0x100 + 45;
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
const PROTOCOL_VERSION: u64 = 0x100 + 70;
const CERTIFICATE_ALERTS: [u64; 10] = [
    0x100 + 41,  // no certificate
    0x100 + 42,  // bad certificate
    0x100 + 43,  // unsupported certificate
    0x100 + 44,  // revoked
    0x100 + 46,  // unknown
    0x100 + 48,  // unknown authority
    0x100 + 49,  // access denied
    0x100 + 51,  // bad signature
    0x100 + 112, // unrecognized name
    0x100 + 116, // certificate required
];

impl From<ConnectionError> for Closed {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::LocallyClosed => Self::ByUs,
            ConnectionError::ApplicationClosed(close) => Self::ByPeer {
                code: Code(u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX)),
                reason: words(&String::from_utf8_lossy(&close.reason)),
            },
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::Reset => Self::Restarted,
            ConnectionError::VersionMismatch => Self::Version,
            ConnectionError::CidsExhausted => Self::Protocol("connection ids exhausted".to_owned()),
            ConnectionError::TransportError(error) => {
                classify(error.code.into(), true, words(&error.reason))
            }
            ConnectionError::ConnectionClosed(close) => classify(
                close.error_code.into(),
                false,
                words(&String::from_utf8_lossy(&close.reason)),
            ),
        }
    }
}

fn classify(code: u64, by_us: bool, why: String) -> Closed {
    const REFUSED: u64 = 2;
    match code {
        REFUSED if !by_us => Closed::Busy,
        NO_APPLICATION_PROTOCOL | PROTOCOL_VERSION => Closed::Version,
        CERTIFICATE_EXPIRED => Closed::Validity { by_us, why },
        _ if CERTIFICATE_ALERTS.contains(&code) => Closed::Untrusted { by_us, why },
        _ if TLS.contains(&code) => {
            Closed::Protocol(format!("TLS alert {}: {why}", code - TLS.start))
        }
        _ => Closed::Protocol(format!("QUIC error {code:#x}: {why}")),
    }
}

/// A peer's words, fit to be shown: bounded, control characters escaped.
pub(crate) fn words(text: &str) -> String {
    let escape = |c: char| {
        let plain = !c.is_control() && !is_invisible(c);
        plain
            .then_some(c)
            .into_iter()
            .chain((!plain).then(|| c.escape_unicode()).into_iter().flatten())
    };
    text.chars().take(WORDS).flat_map(escape).collect()
}

/// Marks that turn the direction of text around, or show nothing.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
