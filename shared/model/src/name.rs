//! Names that are safe to show, to store and to put into a path or a certificate.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: expected 1 to 63 of a-z, 0-9{more}, starting with a letter or digit"
)]
pub struct InvalidName {
    text: String,
    /// Which other characters there may be, in words.
    more: &'static str,
}

/// Which characters a kind of name may have beyond a-z and 0-9.
#[derive(Clone, Copy)]
struct Alphabet {
    also: &'static [u8],
    in_words: &'static str,
}

/// As in a host's name.
const PLAIN: Alphabet = Alphabet {
    also: b"-",
    in_words: " and -",
};

/// Formulas also look like variables: `node_exporter.port`.
const VARIABLE: Alphabet = Alphabet {
    also: b"-_",
    in_words: ", - and _",
};

fn is_name(text: &str, alphabet: Alphabet) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || alphabet.also.contains(&b);
    (1..=63).contains(&text.len()) && !text.starts_with(['-', '_']) && text.bytes().all(good)
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $alphabet:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                // Peers' text ends up in the message: bound it and keep control characters out.
                if is_name(&text, $alphabet) {
                    Ok(Self(text))
                } else {
                    Err(InvalidName {
                        text: text.chars().take(80).flat_map(char::escape_debug).collect(),
                        more: $alphabet.in_words,
                    })
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

names! {
    /// One managed machine, as registered on the server and named by its certificate.
    NodeName: PLAIN;
    /// What a node is for: `db`, `balancer`.
    RoleName: PLAIN;
    /// A reusable package of resources: `haproxy`, `patroni`.
    FormulaName: VARIABLE;
    /// Who drives the server: `admin`.
    OperatorName: PLAIN;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names() {
        for good in ["db01", "a", "web-1"] {
            assert!(good.parse::<NodeName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "DB",
            "a_b",
            "a.b",
            "../x",
            "é",
            "\u{1b}[31m",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
        assert!("node_exporter".parse::<FormulaName>().is_ok());
        for bad in ["_a", "a b", "A"] {
            let error = bad.parse::<FormulaName>().expect_err(bad);
            assert!(error.to_string().contains("0-9, - and _"), "{error}");
        }
    }
}
