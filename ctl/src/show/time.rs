//! Times for people (how long ago) and for programs (RFC 3339).

use brine_model::time::Timestamp;

/// `12s`, `5m`, `3h`, `4d`: one unit is enough to see what matters.
#[must_use]
pub fn span(duration: std::time::Duration) -> String {
    match duration.as_secs() {
        secs @ 0..120 => format!("{secs}s"),
        secs @ 120..7200 => format!("{}m", secs / 60),
        secs @ 7200..172_800 => format!("{}h", secs / 3600),
        secs => format!("{}d", secs / 86_400),
    }
}

#[must_use]
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    format!("{} ago", span(now.since(then)))
}

/// `in 59m`, or `expired`.
#[must_use]
pub fn left(now: Timestamp, then: Timestamp) -> String {
    if then <= now {
        "expired".to_owned()
    } else {
        format!("in {}", span(then.since(now)))
    }
}

/// `2026-01-02T03:04:05Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(at.0.into())
        .map_or_else(|_| format!("{}ns", at.0), |at| at.to_string())
}

/// What [`rfc3339`] gives, read again; none where it is no time.
#[must_use]
pub fn parsed(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(at.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let now = Timestamp::from_secs(1_000_000);
        let check = |before: i64, expected: &str| {
            assert_eq!(ago(now, Timestamp::from_secs(1_000_000 - before)), expected);
        };
        check(0, "0s ago");
        check(-5, "0s ago");
        check(119, "119s ago");
        check(3600, "60m ago");
        check(7200, "2h ago");
        check(200_000, "2d ago");
        assert_eq!(left(now, now), "expired");
        assert_eq!(left(now, Timestamp::from_secs(1_003_599)), "in 59m");
        assert_eq!(rfc3339(Timestamp::from_secs(0)), "1970-01-01T00:00:00Z");
        assert!(!rfc3339(Timestamp(i64::MIN)).is_empty());
    }
}
