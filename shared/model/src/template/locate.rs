//! Where things are: Handlebars' syntax tree knows only the line and column of a tag.

use std::ops::Range;

/// A template's text with its lines.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    lines: Vec<usize>,
}

/// One tag and its words.
pub(super) struct Tag<'a> {
    text: &'a str,
    pub(super) range: Range<usize>,
    at: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            lines: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The byte at a line and column, both counted from 1, the column in characters.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(self.text.len());
        let mut characters = self.text[start..].char_indices();
        let found = characters.nth(column.saturating_sub(1));
        start + found.map_or(self.text.len() - start, |(at, _)| at)
    }

    /// The tag that starts at `start`, or at white space before it.
    pub(super) fn tag(&self, start: usize) -> Tag<'a> {
        let start = self.text[start..]
            .find("{{")
            .map_or(start, |found| start + found);
        let end = tag_end(self.text, start).unwrap_or(self.text.len());
        Tag {
            text: self.text,
            range: start..end,
            at: start,
        }
    }

    /// The tag that `at` is in, or else the next.
    pub(super) fn tag_around(&self, at: usize) -> Tag<'a> {
        let before = self.text[..at].rfind("{{").map(|start| self.tag(start));
        before
            .filter(|tag| tag.range.end > at)
            .unwrap_or_else(|| self.tag(at))
    }

    /// The first `{{else name …}}` after `from`.
    pub(super) fn else_tag(&self, from: usize, name: &str) -> Tag<'a> {
        let mut at = from;
        while let Some(start) = self.text[at..].find("{{").map(|found| at + found) {
            let inner = self.text[start + 2..].trim_start_matches(['~', ' ', '\t', '\n', '\r']);
            let rest = inner
                .strip_prefix("else")
                .or_else(|| inner.strip_prefix('^'));
            if rest.is_some_and(|rest| rest.trim_start().starts_with(name)) {
                return self.tag(start);
            }
            at = start + 2;
        }
        Tag {
            text: self.text,
            range: from..from,
            at: from,
        }
    }
}

impl Tag<'_> {
    /// Where the next occurrence of the word `wanted` is; the whole tag if there is none.
    pub(super) fn word(&mut self, wanted: &str) -> Range<usize> {
        self.find(|token| token == wanted)
    }

    /// Where the next string is.
    pub(super) fn string(&mut self) -> Range<usize> {
        self.find(|token| token.starts_with(['"', '\'']))
    }

    fn find(&mut self, wanted: impl Fn(&str) -> bool) -> Range<usize> {
        let mut at = self.at;
        while at < self.range.end {
            let end = at + token_length(&self.text[at..self.range.end]);
            if wanted(&self.text[at..end]) {
                self.at = end;
                return at..end;
            }
            at = end;
        }
        self.range.clone()
    }
}

/// One past the `}}` (or `}}}`) that ends the tag at `start`; one inside a string does not.
pub(super) fn tag_end(text: &str, start: usize) -> Option<usize> {
    let open = if text[start..].starts_with("{{{") {
        3
    } else {
        2
    };
    let close = &"}}}"[..open];
    let mut at = start + open;
    while at < text.len() {
        if text[at..].starts_with(close) {
            return Some(at + open);
        }
        at += token_length(&text[at..]);
    }
    None
}

/// The length of the token that `text` starts with: a string, a word, or one other character.
fn token_length(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else {
        return 1;
    };
    if first == '"' || first == '\'' {
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => drop(characters.next()),
                c if c == first => return at + 1,
                _ => {}
            }
        }
        // No end: let what follows be looked at by itself.
        return 1;
    }
    let other = |c: char| c.is_whitespace() || "(){}\"'=|~#&^*>!,".contains(c);
    if other(first) {
        return first.len_utf8();
    }
    // `[…]` in a path may hold anything.
    let mut bracket = first == '[';
    for (at, c) in characters {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            c if other(c) && (!bracket || "{}\n".contains(c)) => return at,
            _ => {}
        }
    }
    text.len()
}
