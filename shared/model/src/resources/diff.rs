//! Two contents side by side.

use similar::TextDiff;

use crate::resource::Diff;

/// A content larger than this is told by its size only.
const MOST_TEXT: usize = 1 << 20;
/// More lines than this, old times new, take too long to compare.
const MOST_WORK: usize = 400_000_000;
/// What a plan carries of one diff at most.
pub(super) const MOST_DIFF: usize = 64 << 10;

/// A unified diff where both are text, the sizes where not.
pub(super) fn between(old: Option<&[u8]>, new: &[u8]) -> Diff {
    match (text(old.unwrap_or_default()), text(new)) {
        (Some(old), Some(new)) if old.lines().count() * new.lines().count() <= MOST_WORK => {
            Diff::Text(unified(old, new))
        }
        _ => Diff::Binary {
            before: old.map(|old| old.len() as u64),
            after: new.len() as u64,
        },
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    (bytes.len() <= MOST_TEXT && !bytes.contains(&0)).then(|| std::str::from_utf8(bytes).ok())?
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
        let Diff::Text(text) = between(Some(b"a\nb\nc\n"), b"a\nB\nc\n") else {
            panic!("text")
        };
        assert_eq!(text, "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        assert_eq!(
            between(None, b"\xff"),
            Diff::Binary {
                before: None,
                after: 1
            }
        );
        assert_eq!(
            between(Some(b"a\0"), b"a"),
            Diff::Binary {
                before: Some(2),
                after: 1
            }
        );
        let large = vec![b'a'; MOST_TEXT + 1];
        assert!(matches!(between(None, &large), Diff::Binary { .. }));
        let lines = "ä line\n".repeat(20_000);
        let Diff::Text(text) = between(None, lines.as_bytes()) else {
            panic!("text")
        };
        assert!(text.len() <= MOST_DIFF, "{}", text.len());
        assert!(
            text.ends_with("more lines\n"),
            "{}",
            &text[text.len() - 40..]
        );
    }
}
