//! Two contents side by side.

use similar::TextDiff;

use crate::resource::Diff;

/// A content larger than this is told by its size only.
pub(super) const MOST_TEXT: u64 = 1 << 20;
/// More lines than this, old times new, take too long to compare.
const MOST_WORK: usize = 400_000_000;
/// What a plan carries of one diff at most.
const MOST_DIFF: usize = 64 << 10;

/// What is there now.
pub(super) enum Before {
    Nothing,
    /// Too large to be read for this, or not to be shown: its bytes.
    Size(u64),
    Content(Vec<u8>),
}

/// A unified diff where both are text, the sizes where not.
pub(super) fn between(before: &Before, new: &[u8]) -> Diff {
    let (old, size) = match before {
        Before::Nothing => (Some(&[] as &[u8]), None),
        Before::Size(size) => (None, Some(*size)),
        Before::Content(content) => (Some(content.as_slice()), Some(content.len() as u64)),
    };
    match (old.and_then(text), text(new)) {
        (Some(old), Some(new)) if old.lines().count() * new.lines().count() <= MOST_WORK => {
            Diff::Text(unified(old, new))
        }
        _ => Diff::Binary {
            before: size,
            after: new.len() as u64,
        },
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    (bytes.len() as u64 <= MOST_TEXT && !bytes.contains(&0))
        .then(|| std::str::from_utf8(bytes).ok())?
}

fn unified(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let mut text = diff.unified_diff().context_radius(3).to_string();
    if text.len() > MOST_DIFF {
        let mut end = MOST_DIFF - 64;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let end = text[..end].rfind('\n').map_or(end, |newline| newline + 1);
        let hidden = text[end..].lines().count();
        text.truncate(end);
        text.push_str(&format!("… {hidden} more lines\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_binary_and_bounds() {
        let old = |bytes: &[u8]| Before::Content(bytes.to_vec());
        let Diff::Text(text) = between(&old(b"a\nb\nc\n"), b"a\nB\nc\n") else {
            panic!("text")
        };
        assert_eq!(text, "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        let binary = |before, after| Diff::Binary { before, after };
        assert_eq!(between(&Before::Nothing, b"\xff"), binary(None, 1));
        assert_eq!(between(&old(b"a\0"), b"a"), binary(Some(2), 1));
        assert_eq!(between(&Before::Size(7), b"a"), binary(Some(7), 1));
        let large = vec![b'a'; (1 << 20) + 1];
        assert_eq!(
            between(&Before::Nothing, &large),
            binary(None, (1 << 20) + 1)
        );
        let lines = "ä line\n".repeat(20_000);
        let Diff::Text(text) = between(&Before::Nothing, lines.as_bytes()) else {
            panic!("text")
        };
        assert!(text.len() <= MOST_DIFF, "{}", text.len());
        assert!(
            text.ends_with("more lines\n"),
            "{}",
            &text[text.len() - 40..]
        );
    }

    #[test]
    fn the_worst_case_ends() {
        let lines = |salt: usize| {
            (0..20_000)
                .map(|n| format!("{}\n", n * 2 + salt))
                .collect::<String>()
        };
        let old = Before::Content(lines(0).into_bytes());
        assert!(matches!(between(&old, lines(1).as_bytes()), Diff::Text(_)));
    }
}
