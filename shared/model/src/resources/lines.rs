//! A text file as lines, so that one can be changed and the others stay byte by byte.

/// Lines with their ends as they were found: `\n`, `\r\n`, or none after the last.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Lines(Vec<Line>);

#[derive(Clone, PartialEq, Eq)]
struct Line {
    text: Vec<u8>,
    end: &'static [u8],
}

impl Lines {
    pub(super) fn of(content: &[u8]) -> Self {
        let split = content.split_inclusive(|&byte| byte == b'\n').map(|line| {
            let (text, end): (&[u8], &[u8]) = match line {
                [text @ .., b'\r', b'\n'] => (text, b"\r\n"),
                [text @ .., b'\n'] => (text, b"\n"),
                text => (text, b""),
            };
            Line {
                text: text.to_vec(),
                end,
            }
        });
        Self(split.collect())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let parts = self.0.iter().flat_map(|line| [&*line.text, line.end]);
        parts.collect::<Vec<_>>().concat()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Without its end.
    pub(super) fn get(&self, place: usize) -> Option<&[u8]> {
        self.0.get(place).map(|line| &*line.text)
    }

    /// The places of all lines that are so.
    pub(super) fn places(&self, is: impl Fn(&[u8]) -> bool) -> Vec<usize> {
        let found = self.0.iter().enumerate();
        found
            .filter(|(_, line)| is(&line.text))
            .map(|(place, _)| place)
            .collect()
    }

    pub(super) fn replace(&mut self, place: usize, text: &[u8]) {
        if let Some(line) = self.0.get_mut(place) {
            line.text = text.to_vec();
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        if place < self.0.len() {
            self.0.remove(place);
        }
    }

    /// Before the line at `place`, or at the end. Ends as the first line does.
    pub(super) fn insert(&mut self, place: usize, text: &[u8]) {
        let end = match self.0.first().map(|line| line.end) {
            Some(b"\r\n") => b"\r\n".as_slice(),
            _ => b"\n",
        };
        let place = place.min(self.0.len());
        // The last line may have had no end.
        if let Some(before) = place.checked_sub(1).and_then(|last| self.0.get_mut(last))
            && before.end.is_empty()
        {
            before.end = end;
        }
        let text = text.to_vec();
        self.0.insert(place, Line { text, end });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, change: impl FnOnce(&mut Lines), expected: &str) {
        let mut lines = Lines::of(content.as_bytes());
        assert_eq!(lines.bytes(), content.as_bytes());
        change(&mut lines);
        assert_eq!(String::from_utf8_lossy(&lines.bytes()), expected);
    }

    #[test]
    fn ends_stay_as_they_are() {
        check("", |lines| lines.insert(0, b"x"), "x\n");
        check("a\nb", |lines| lines.insert(9, b"x"), "a\nb\nx\n");
        check("a\nb", |lines| lines.insert(0, b"x"), "x\na\nb");
        check("a\r\nb", |lines| lines.insert(2, b"x"), "a\r\nb\r\nx\r\n");
        check("a\r\nb\n", |lines| lines.replace(0, b"x"), "x\r\nb\n");
        check("a\nb", |lines| lines.replace(1, b"x"), "a\nx");
        check("a\n\n\rb\n", |lines| lines.remove(1), "a\n\rb\n");
        check("\u{e9}\n", |lines| lines.replace(5, b"x"), "\u{e9}\n");
        assert_eq!(
            Lines::of(b"a\r\n\xff\n").places(|text| text == b"\xff"),
            [1]
        );
    }
}
