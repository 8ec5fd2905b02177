//! The one way to build text for a terminal: whatever is put on a page is escaped.

use super::style::{Style, Tone};
use crate::escape;

/// Text being written, line by line.
#[derive(Debug)]
pub struct Page {
    out: String,
    pub style: Style,
}

impl Page {
    #[must_use]
    pub const fn new(style: Style) -> Self {
        Self {
            out: String::new(),
            style,
        }
    }

    /// Adds to the present line; a line end in `text` does not end it.
    pub fn put(&mut self, tone: Tone, text: &str) -> &mut Self {
        let text = escape::line(text);
        match tone.code() {
            Some(code) if self.style.color && !text.is_empty() => {
                self.out.push_str(code);
                self.out.push_str(&text);
                self.out.push_str("\x1b[0m");
            }
            _ => self.out.push_str(&text),
        }
        self
    }

    pub fn plain(&mut self, text: &str) -> &mut Self {
        self.put(Tone::Plain, text)
    }

    /// Ends the present line.
    pub fn end(&mut self) -> &mut Self {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
        self
    }

    /// A whole line of one tone.
    pub fn line(&mut self, tone: Tone, text: &str) -> &mut Self {
        self.put(tone, text).end()
    }

    /// Every line of `text`, indented.
    pub fn block(&mut self, tone: Tone, indent: usize, text: &str) -> &mut Self {
        for line in text.lines() {
            self.pad(indent).line(tone, line);
        }
        self
    }

    pub fn pad(&mut self, columns: usize) -> &mut Self {
        self.out.extend(std::iter::repeat_n(' ', columns));
        self
    }

    /// An empty line between two parts; none at the top.
    pub fn gap(&mut self) -> &mut Self {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
        self
    }

    /// Adds what another renderer has drawn; it must have been escaped there.
    pub fn drawn(&mut self, text: &str) -> &mut Self {
        self.out.push_str(text);
        self
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn only_our_own_escapes_are_drawn() {
        let mut page = Page::new(Style {
            color: true,
            ..testing::style()
        });
        page.put(Tone::Bad, "\x1b]0;x\x07\n")
            .end()
            .block(Tone::Plain, 2, "a\r\n\x1b[2Jb\n");
        assert_eq!(
            page.finish(),
            "\x1b[31m\\u{1b}]0;x\\u{7}\\n\x1b[0m\n  a\n  \\u{1b}[2Jb\n"
        );
    }
}
