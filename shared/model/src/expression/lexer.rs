//! A cursor over the text that knows the words and literals of the grammar.

use std::ops::Range;

use super::ExpressionError;

/// Reads `text` up to `end`; every position is a byte of `text`.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the last token ended; `at` may have gone past white space since.
    token_end: usize,
    end: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, within: Range<usize>) -> Self {
        Self {
            text,
            at: within.start,
            token_end: within.start,
            end: within.end,
        }
    }

    /// Where the next token starts.
    pub(super) fn position(&mut self) -> usize {
        let blank = |c: char| c.is_whitespace();
        self.at = self.end - self.rest().trim_start_matches(blank).len();
        self.at
    }

    /// Where the last token ended.
    pub(super) fn last_end(&self) -> usize {
        self.token_end
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.position() == self.end
    }

    /// The next character, past white space.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.position();
        self.rest().chars().next()
    }

    /// The character right after the last token, which may be white space.
    pub(super) fn peek_adjacent(&self) -> Option<char> {
        self.text[self.token_end..self.end].chars().next()
    }

    /// Takes `symbol` if it comes next.
    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        self.position();
        let found = self.rest().starts_with(symbol);
        if found {
            self.take(symbol.len());
        }
        found
    }

    /// Takes the word `keyword` if it comes next and ends there.
    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        self.position();
        let found = self.identifier_length() == keyword.len() && self.rest().starts_with(keyword);
        if found {
            self.take(keyword.len());
        }
        found
    }

    /// `[A-Za-z_][A-Za-z0-9_]*`, and `-` where a letter or digit follows it at once.
    pub(super) fn identifier(&mut self) -> Option<&'a str> {
        self.position();
        let length = self.identifier_length();
        (length > 0).then(|| self.take(length))
    }

    /// A number's text, with its sign.
    pub(super) fn number(&mut self) -> Option<&'a str> {
        self.position();
        let bytes = self.rest().as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut length = usize::from(bytes.first() == Some(&b'-'));
        if !digit(length) {
            return None;
        }
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        while bytes.get(length).is_some_and(|b| word(*b))
            || (bytes.get(length) == Some(&b'.') && digit(length + 1))
        {
            length += 1;
        }
        Some(self.take(length))
    }

    /// What a bare word of a target may hold: names, versions, addresses, paths.
    pub(super) fn bare_word(&mut self) -> Option<&'a str> {
        self.position();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:+~/@%".contains(&b) || b >= 0x80;
        let length = self.rest().bytes().take_while(|b| allowed(*b)).count();
        (length > 0).then(|| self.take(length))
    }

    /// A quoted string, with its escapes replaced; `None` if there is no quote here.
    pub(super) fn string(&mut self) -> Result<Option<String>, ExpressionError> {
        let start = self.position();
        let mut characters = self.rest().char_indices();
        let Some((_, quote @ ('"' | '\''))) = characters.next() else {
            return Ok(None);
        };
        let mut content = String::new();
        while let Some((offset, c)) = characters.next() {
            if c == quote {
                self.take(offset + c.len_utf8());
                return Ok(Some(content));
            }
            content.push(match c {
                '\\' => match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, same @ ('\\' | '"' | '\''))) => same,
                    _ => {
                        let at = start + offset;
                        return Err(
                            ExpressionError::new(at..at + 1, "unknown escape in a string")
                                .with_help(r#"there are \n, \t, \\, \" and \'"#),
                        );
                    }
                },
                plain => plain,
            });
        }
        Err(
            ExpressionError::new(start..self.end, "this string has no end")
                .with_help(format!("close it with {quote}")),
        )
    }

    /// Goes back to `position`, where a token ended or starts.
    pub(super) fn rewind(&mut self, position: usize) {
        (self.at, self.token_end) = (position, position);
    }

    fn identifier_length(&self) -> usize {
        let bytes = self.rest().as_bytes();
        let word = |at: usize| {
            bytes
                .get(at)
                .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        };
        if !word(0) || bytes[0].is_ascii_digit() {
            return 0;
        }
        let mut length = 1;
        while word(length) || (bytes.get(length) == Some(&b'-') && word(length + 1)) {
            length += 1;
        }
        length
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = &self.text[self.at..self.at + length];
        self.at += length;
        self.token_end = self.at;
        taken
    }
}
