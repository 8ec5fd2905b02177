//! Two contents side by side.

use std::fmt::{self, Write};

use imara_diff::{Algorithm, Hunk, InternedInput, Token};

use crate::resource::Diff;

/// A content larger than this is told by its size only.
pub(super) const MOST_TEXT: u64 = 1 << 20;
/// More lines than this, old times new, take too long to compare.
const MOST_WORK: usize = 400_000_000;
/// Lines shown before and behind what differs.
const CONTEXT: u32 = 3;
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
    let input = InternedInput::new(old, new);
    let mut diff = imara_diff::Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let mut text = String::new();
    let mut hunks = diff.hunks().peekable();
    while let Some(first) = hunks.next() {
        let mut together = vec![first];
        while let Some(next) = hunks.next_if(|next| {
            let last = &together[together.len() - 1];
            next.before.start - last.before.end <= 2 * CONTEXT
        }) {
            together.push(next);
        }
        // A string takes everything.
        let _ = show(&mut text, &input, &together);
    }
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

/// Changes that stand close to each other, in the form that `diff -u` and `patch` agree on.
fn show(to: &mut String, input: &InternedInput<&str>, hunks: &[Hunk]) -> fmt::Result {
    let (first, last) = (&hunks[0], &hunks[hunks.len() - 1]);
    let lead = first.before.start.min(CONTEXT);
    let end = (last.before.end + CONTEXT).min(input.before.len() as u32);
    let (old, new) = (first.before.start - lead, first.after.start - lead);
    let new_end = last.after.end + (end - last.before.end);
    let ranges = (Range(old, end - old), Range(new, new_end - new));
    writeln!(to, "@@ -{} +{} @@", ranges.0, ranges.1)?;
    let mut lines = |sign, tokens: &[Token]| {
        tokens
            .iter()
            .try_for_each(|token| line(to, sign, input.interner[*token]))
    };
    let mut at = old;
    for hunk in hunks {
        lines(' ', &input.before[at as usize..hunk.before.start as usize])?;
        lines(
            '-',
            &input.before[hunk.before.start as usize..hunk.before.end as usize],
        )?;
        lines(
            '+',
            &input.after[hunk.after.start as usize..hunk.after.end as usize],
        )?;
        at = hunk.before.end;
    }
    lines(' ', &input.before[at as usize..end as usize])
}

fn line(to: &mut String, sign: char, line: &str) -> fmt::Result {
    write!(to, "{sign}{line}")?;
    if line.ends_with('\n') {
        return Ok(());
    }
    write!(to, "\n\\ No newline at end of file\n")
}

/// First line, counted from zero, and how many.
struct Range(u32, u32);

impl fmt::Display for Range {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // No line of its own: the one that it stands behind.
            Range(start, 0) => write!(to, "{start},0"),
            Range(start, 1) => write!(to, "{}", start + 1),
            Range(start, lines) => write!(to, "{},{lines}", start + 1),
        }
    }
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
    fn ends_of_files_and_empty_ones() {
        let text = |old: &str, new: &str| unified(old, new);
        assert_eq!(text("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(text("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
        assert_eq!(
            text("a", "a\n"),
            "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
        );
        assert_eq!(
            text(
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                "1\nx\n2\n3\n4\n5\n6\n7\n8\ny\n"
            ),
            "@@ -1,4 +1,5 @@\n 1\n+x\n 2\n 3\n 4\n@@ -6,4 +7,4 @@\n 6\n 7\n 8\n-9\n+y\n"
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
