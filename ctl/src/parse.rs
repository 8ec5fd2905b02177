//! Small things that people write on the command line.

use std::time::Duration;

use crate::error::UsageError;

/// A duration such as `90s`, `30m`, `1h`, `2d`.
///
/// # Errors
/// It is something else, or nothing.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is not a duration: expected a number and s, m, h or d, as in `1h`");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds) {
        Some(total) if total > 0 => Ok(Duration::from_secs(total)),
        _ => Err(wrong()),
    }
}

/// A label: `env=production`.
///
/// # Errors
/// It has no `=`, or nothing before it.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!(
            "`{text}` is not a label: expected `key=value`, as in `env=production`"
        )),
    }
}

/// `HOST`, `HOST:PORT`, `[V6]:PORT` or a bare IPv6 address, completed by the usual port.
///
/// # Errors
/// It is empty, or its port is no number.
pub fn server(text: &str) -> Result<String, String> {
    let port = brine_wire::DEFAULT_PORT;
    let bare = text.parse::<std::net::Ipv6Addr>().is_ok();
    let complete = match text.rsplit_once(':') {
        _ if bare => format!("[{text}]:{port}"),
        None => format!("{text}:{port}"),
        Some(_) if text.ends_with(']') => format!("{text}:{port}"),
        Some(_) => text.to_owned(),
    };
    match complete.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
            Ok(complete)
        }
        _ => Err(format!(
            "`{text}` is not a server: expected `HOST` or `HOST:PORT`"
        )),
    }
}

/// The one word that a target must be. Several are not joined: the shell has then already taken
/// quotes and patterns apart, and a guess would change machines that nobody meant.
///
/// # Errors
/// There are several words, or the one is empty.
pub fn target(verb: &'static str, words: &[String]) -> Result<String, UsageError> {
    match words {
        [one] if !one.trim().is_empty() => Ok(one.clone()),
        [] | [_] => Err(UsageError::EmptyTarget { verb }),
        many => Err(UsageError::ManyWords {
            verb,
            joined: many.join(" "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text, seconds| assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        check("90s", 90);
        check("30m", 1800);
        check("1h", 3600);
        check("2d", 172_800);
        for bad in [
            "",
            "h",
            "1",
            "0h",
            "-1h",
            "1.5h",
            "1w",
            "1é",
            "99999999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn servers() {
        let check = |text, expected: &str| assert_eq!(server(text).as_deref(), Ok(expected));
        check("brine", "brine:4640");
        check("10.0.0.1:99", "10.0.0.1:99");
        check("::1", "[::1]:4640");
        check("[::1]", "[::1]:4640");
        check("[::1]:99", "[::1]:99");
        for bad in ["", ":1", "a:", "a:b", "a:0", "a:70000"] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn targets_are_one_word() {
        let check = |words: &[&str]| {
            target(
                "apply",
                &words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            check(&["role=db and not node=db03"]).ok().as_deref(),
            Some("role=db and not node=db03")
        );
        assert!(matches!(check(&[""]), Err(UsageError::EmptyTarget { .. })));
        assert!(matches!(
            check(&["  "]),
            Err(UsageError::EmptyTarget { .. })
        ));
        assert!(matches!(
            check(&["role=db", "and"]),
            Err(UsageError::ManyWords { .. })
        ));
    }
}
