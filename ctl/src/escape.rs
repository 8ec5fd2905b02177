//! Text from elsewhere, made safe to draw.
//!
//! Nodes, formulas and other operators decide much of what is shown: a file's content in a diff,
//! a program's error output. Raw on a terminal, an escape sequence in it could hide a change from
//! who approves it, set the title, or write to the clipboard. Whatever is drawn goes through here.

use std::borrow::Cow;

/// Whether a terminal might act on this character, or people read another text than there is:
/// control characters (C0 and C1, but not the tab), line separators, and what turns the direction
/// of writing or takes no room.
#[must_use]
pub const fn is_hostile(c: char) -> bool {
    matches!(c,
        '\0'..='\x08' | '\n'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// For a single line: hostile characters, line ends among them, are spelled out.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    spell(text, |c| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    })
}

/// For JSON that is already written: the same characters as `\uXXXX`, which loses nothing, since
/// they can only stand inside strings.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    spell(text, |c| {
        let mut units = [0; 2];
        c.encode_utf16(&mut units)
            .iter()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect()
    })
}

/// For sources that byte offsets point into: each hostile byte becomes a `?`, line ends stay.
#[must_use]
pub fn same_length(text: &str) -> Cow<'_, str> {
    spell(text, |c| {
        if c == '\n' {
            "\n".to_owned()
        } else {
            "?".repeat(c.len_utf8())
        }
    })
}

fn spell(text: &str, name: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            out.push_str(&name(c))
        } else {
            out.push(c)
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        let check = |text: &str, expected: &str| {
            assert_eq!(line(text), expected);
            assert!(!line(text).contains(is_hostile));
        };
        check("plain ä → 漢\ttab", "plain ä → 漢\ttab");
        check("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m");
        check("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}");
        check("\x1b]52;c;aGk=\x1b\\", "\\u{1b}]52;c;aGk=\\u{1b}\\");
        check("\u{9b}2J", "\\u{9b}2J");
        check("a\r\nb", "a\\r\\nb");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
        check("a\u{200b}b\u{7f}", "a\\u{200b}b\\u{7f}");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\u{9b}2J\u{7f}\u{e0041}";
        let written = serde_json::to_string(text).expect("JSON");
        let safe = json(&written);
        assert!(!safe.contains(is_hostile), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).expect("JSON"), text);
    }

    #[test]
    fn offsets_stay() {
        let text = "a\x1bb\u{9b}c\nd";
        assert_eq!(same_length(text), "a?b??c\nd");
        assert_eq!(same_length(text).len(), text.len());
    }
}
