//! Field types that validate themselves, so that a caret stands under what is wrong.

use std::time::Duration;

use serde::Deserialize;

/// Declares `struct Name(Inner)` that serde fills by `TryFrom<Raw>`.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident($inner:ty) from $raw:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = $raw)]
        pub(super) struct $name(pub(super) $inner);
    )*};
}

fields! {
    /// Permission bits: `0644`, `"4755"`.
    Mode(u32) from "String";
    /// A length of time with its unit: `30s`, `5m`.
    Period(Duration) from "String";
    /// A program and its arguments; no shell looks at them.
    Argv(Vec<String>) from "Vec<String>";
    /// The name of a user or group.
    Account(String) from "String";
    /// A Debian package.
    PackageName(String) from "String";
    /// A Debian version.
    Version(String) from "String";
    /// A systemd unit with its suffix; `.service` where none is given.
    Unit(String) from "String";
}

const UNIT_SUFFIXES: &[&str] = &[
    "service",
    "socket",
    "timer",
    "mount",
    "automount",
    "path",
    "target",
    "slice",
    "swap",
];

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a mode: expected 3 or 4 octal digits, as in 0644")
            })
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a length of time: expected a number with its unit, as in 30s")
        };
        let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = text[..end].parse().map_err(|_| wrong())?;
        let millis = match &text[end..] {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" | "min" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            "d" => number.checked_mul(86_400_000),
            _ => None,
        };
        millis
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(wrong)
    }
}

impl TryFrom<Vec<String>> for Argv {
    type Error = String;

    fn try_from(argv: Vec<String>) -> Result<Self, String> {
        match argv.first() {
            None => Err("the program is missing".to_owned()),
            Some(program) if program.is_empty() => Err("the program's name is empty".to_owned()),
            Some(program) if argv.len() == 1 && program.contains(' ') => Err(format!(
                "`{program}` is one word: write each argument as an element of the list, no shell \
                 takes it apart"
            )),
            Some(_) if argv.iter().any(|argument| argument.contains('\0')) => {
                Err("an argument has a NUL character".to_owned())
            }
            Some(_) => Ok(Self(argv)),
        }
    }
}

impl TryFrom<String> for Account {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let good = text.len() <= 32
            && text.bytes().all(rest)
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if good {
            return Ok(Self(text));
        }
        let hint = if text.bytes().all(|b| b.is_ascii_digit()) {
            "write the name, not the number"
        } else {
            "expected letters, digits, `_`, `-` and `.`, starting with a letter"
        };
        Err(format!(
            "`{text}` is not the name of a user or group: {hint}"
        ))
    }
}

impl TryFrom<String> for PackageName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (name, architecture) = text.split_once(':').unwrap_or((&text, "all"));
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name
                .bytes()
                .all(|b| lower(b) || matches!(b, b'+' | b'-' | b'.'))
            && !architecture.is_empty()
            && architecture.bytes().all(|b| lower(b) || b == b'-');
        if good {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is not the name of a Debian package"))
        }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rest =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'~' | b':');
        let good = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(rest);
        if good {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is not a Debian version"))
        }
    }
}

impl TryFrom<String> for Unit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let good = |b: u8| {
            b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@')
        };
        if text.is_empty() || text.len() > 200 || text.starts_with('.') || !text.bytes().all(good) {
            return Err(format!("`{text}` is not the name of a systemd unit"));
        }
        match text.rsplit_once('.') {
            Some((name, suffix)) if !name.is_empty() && UNIT_SUFFIXES.contains(&suffix) => {
                Ok(Self(text))
            }
            _ => Ok(Self(format!("{text}.service"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: TryFrom<String>>(text: &str, good: bool) {
        assert_eq!(T::try_from(text.to_owned()).is_ok(), good, "{text}");
    }

    #[test]
    fn names_and_numbers() {
        for good in ["644", "0644", "4755"] {
            check::<Mode>(good, true);
        }
        for bad in ["", "44", "0o644", "888", "07777", "+644", "rw-"] {
            check::<Mode>(bad, false);
        }
        assert_eq!(
            Period::try_from("90s".to_owned()).unwrap().0,
            Duration::from_secs(90)
        );
        assert_eq!(
            Period::try_from("5m".to_owned()).unwrap().0,
            Duration::from_secs(300)
        );
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1d2",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            check::<Period>(bad, false);
        }
        check::<Account>("www-data", true);
        for bad in ["", "0", "a:b", "a b", "-a", &"a".repeat(33)] {
            check::<Account>(bad, false);
        }
        check::<PackageName>("libc6:amd64", true);
        check::<PackageName>("g++", true);
        for bad in ["", "a", "A", "-o=x", "a=1", "a/sid", "ab:"] {
            check::<PackageName>(bad, false);
        }
        check::<Version>("1:2.8.3-1~bpo12+1", true);
        check::<Version>("latest", false);
        assert_eq!(
            Unit::try_from("haproxy".to_owned()).unwrap().0,
            "haproxy.service"
        );
        assert_eq!(
            Unit::try_from("a@b.timer".to_owned()).unwrap().0,
            "a@b.timer"
        );
        assert_eq!(Unit::try_from("a.b".to_owned()).unwrap().0, "a.b.service");
        for bad in ["", "../x", "a b", ".service", "a/b"] {
            check::<Unit>(bad, false);
        }
    }
}
