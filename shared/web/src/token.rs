//! Bearer tokens: only a digest is kept, and digests are compared in constant time.

use std::fmt;

/// What a request has to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(blake3::Hash);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("a token of fewer than {SHORTEST} characters can be guessed")]
    Short,
    #[error("a token has no white space and no control characters in it")]
    Odd,
}

const SCHEME: &[u8] = b"bearer ";

/// Characters.
const SHORTEST: usize = 16;

impl Token {
    /// # Errors
    /// It could be guessed, or would not fit into a header.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Odd);
        }
        if text.len() < SHORTEST {
            return Err(TokenError::Short);
        }
        Ok(Self(blake3::hash(text.as_bytes())))
    }

    /// Whether a header could have a token in it: without one there is nothing to compare.
    pub(crate) fn may_be_in(header: &[u8]) -> bool {
        header
            .split_at_checked(SCHEME.len())
            .is_some_and(|(scheme, text)| scheme.eq_ignore_ascii_case(SCHEME) && !text.is_empty())
    }

    /// Whether this is the value of an `Authorization` header with the token.
    #[must_use]
    pub fn is_in(&self, header: &[u8]) -> bool {
        let Some((scheme, text)) = header.split_at_checked(SCHEME.len()) else {
            return false;
        };
        // The comparison of digests takes the same time wherever they differ.
        scheme.eq_ignore_ascii_case(SCHEME) && blake3::hash(text.trim_ascii()) == self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_one() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is_in(b"Bearer 0123456789abcdef"));
        assert!(token.is_in(b"bearer  0123456789abcdef "));
        for other in [
            &b"Bearer 0123456789abcde"[..],
            b"Bearer 0123456789abcdefg",
            b"Basic 0123456789abcdef",
            b"0123456789abcdef",
            b"Bearer ",
            b"",
        ] {
            assert!(!token.is_in(other), "{other:?}");
        }
        assert_eq!(Token::new("short"), Err(TokenError::Short));
        assert_eq!(Token::new("0123456789 abcdef"), Err(TokenError::Odd));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
