//! Shell-like patterns over names: `backend*`, `db0?`.

/// Whether it could match a name at all: letters that names have, `*` and `?`.
#[must_use]
pub(crate) fn is_pattern(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c);
    (1..=63).contains(&text.len()) && text.chars().all(allowed)
}

/// Whether all of `name` matches. Linear in space, and never more than the product in time: the
/// name is a stranger's.
#[must_use]
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star: the place behind it, and the next letter to swallow.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((behind, swallowed)) = star else {
                    return false;
                };
                star = Some((behind, swallowed + 1));
                p = behind;
                n = swallowed + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("backend*", "backend01", true),
            ("backend*", "backend", true),
            ("backend*", "xbackend1", false),
            ("db0?", "db01", true),
            ("db0?", "db0", false),
            ("*-web-*", "eu-web-1", true),
            ("*a*b", "aab", true),
            ("*a*b", "aba", false),
            ("db01", "db01", true),
            ("db01", "db011", false),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(is_pattern("a-*?0"));
        for bad in ["", "A*", "../*", "a b", "[ab]"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
