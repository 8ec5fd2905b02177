//! Debian's version order, which is right for most upstream versions too.

use std::cmp::Ordering;

/// Whether `text` is worth comparing as a version: it starts with a digit and holds only what a
/// Debian version may hold.
#[must_use]
pub fn looks_like_version(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".+-~:_".contains(&b);
    text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(allowed)
}

/// Compares as `dpkg --compare-versions` does: epoch, upstream version, revision.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (split(left), split(right));
    compare_part(left.0, right.0)
        .then_with(|| compare_part(left.1, right.1))
        .then_with(|| compare_part(left.2, right.2))
}

fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternates between runs of non-digits, compared by [`rank`], and runs of digits, compared as
/// numbers of any length.
fn compare_part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_word, left_rest) = left.split_at(run(left, |b| !b.is_ascii_digit()));
        let (right_word, right_rest) = right.split_at(run(right, |b| !b.is_ascii_digit()));
        let by_word = compare_words(left_word, right_word);
        if by_word.is_ne() {
            return by_word;
        }
        let (left_number, left_rest) = left_rest.split_at(run(left_rest, |b| b.is_ascii_digit()));
        let (right_number, right_rest) =
            right_rest.split_at(run(right_rest, |b| b.is_ascii_digit()));
        let (l, r) = (
            left_number.trim_start_matches('0'),
            right_number.trim_start_matches('0'),
        );
        let by_number = l.len().cmp(&r.len()).then_with(|| l.cmp(r));
        if by_number.is_ne() {
            return by_number;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// How many bytes at the start of `text` are `wanted`; always a character boundary, for digits
/// are ASCII.
fn run(text: &str, wanted: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| wanted(*byte)).count()
}

fn compare_words(left: &str, right: &str) -> Ordering {
    let end = left.len().max(right.len());
    let ranks = |word: &str| -> Vec<i32> {
        word.bytes()
            .map(rank)
            .chain(std::iter::repeat(0))
            .take(end)
            .collect()
    };
    ranks(left).cmp(&ranks(right))
}

/// `~` before the end, the end before letters, letters before the rest.
fn rank(byte: u8) -> i32 {
    match byte {
        b'~' => -1,
        b if b.is_ascii_alphabetic() => i32::from(b),
        b => i32::from(b) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_dpkg_does() {
        // Ascending.
        let order = [
            "0.9",
            "1.0~beta1",
            "1.0~rc1-1",
            "1.0",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-1+deb12u2",
            "1.0a",
            "1.0+dfsg",
            "1.0.1",
            "1.2",
            "1.10",
            "2.6.12-1",
            "2.6.12-1+deb12u1",
            "12",
            "12.5",
            "1:0.1",
        ];
        for (i, left) in order.iter().enumerate() {
            for (j, right) in order.iter().enumerate() {
                assert_eq!(compare(left, right), i.cmp(&j), "{left} {right}");
            }
        }
        assert_eq!(compare("1.0", "1.00"), Ordering::Equal);
        assert_eq!(compare("0:1.0", "1.0"), Ordering::Equal);
        assert_eq!(compare("é", "é"), Ordering::Equal);
    }
}
