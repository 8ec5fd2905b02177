//! A first look at a template's tags: what Handlebars' parser would refuse in terms of its grammar
//! is told here in terms of the template, and nothing nests so deeply that the stack ends.

use std::ops::Range;

use super::TemplateError;
use super::locate::tag_end;

const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// Blocks and `{{else if}}`, each of which is a level inside the one before.
const MAX_BLOCKS: usize = 128;

const MAX_PARENTHESES: usize = 32;

/// Refuses a template whose tags do not match each other.
pub(super) fn scan(text: &str) -> Result<(), TemplateError> {
    if text.len() > MAX_LENGTH {
        return Err(TemplateError::new(0..0, "this template is too long")
            .with_help("at most 4 MiB are read"));
    }
    let mut scan = Scan {
        text,
        open: Vec::new(),
    };
    let mut at = 0;
    while let Some(start) = text[at..].find("{{").map(|found| at + found) {
        // A backslash makes it plain text; two make it a backslash and a tag.
        let backslashes = text[at..start]
            .bytes()
            .rev()
            .take_while(|b| *b == b'\\')
            .count();
        if backslashes == 1 {
            at = start
                + if text[start..].starts_with("{{{{") {
                    4
                } else {
                    2
                };
            continue;
        }
        at = scan.tag(start)?;
    }
    match scan.open.pop() {
        None => Ok(()),
        Some(Open { name, range, .. }) => Err(TemplateError::new(
            range,
            format!("`{{{{#{name}}}}}` is never closed"),
        )
        .with_help(format!("close it with `{{{{/{name}}}}}`"))),
    }
}

struct Scan<'a> {
    text: &'a str,
    open: Vec<Open<'a>>,
}

struct Open<'a> {
    name: &'a str,
    range: Range<usize>,
    /// How many levels it is, with its `{{else if}}`s.
    levels: usize,
}

impl<'a> Scan<'a> {
    /// Looks at the tag at `start`; gives where to go on.
    fn tag(&mut self, start: usize) -> Result<usize, TemplateError> {
        let text = self.text;
        let rest = &text[start..];
        let unclosed = || {
            let line = rest.find('\n').unwrap_or(rest.len());
            TemplateError::new(start..start + line, "this tag has no end")
        };
        let ends = |with: &str| {
            let end = rest.find(with).map(|found| start + found + with.len());
            end.ok_or_else(|| unclosed().with_help(format!("close it with `{with}`")))
        };
        if rest.starts_with("{{{{") {
            // Everything up to the closing tag is text.
            let opened = ends("}}}}")?;
            let close = text[opened..].find("{{{{/").map(|found| opened + found);
            let close = close.ok_or_else(|| {
                TemplateError::new(start..opened, "this block is never closed")
                    .with_help("close it with `{{{{/raw}}}}`")
            })?;
            let end = text[close..].find("}}}}").map(|found| close + found + 4);
            return end.ok_or_else(|| TemplateError::new(close..close + 5, "this tag has no end"));
        }
        if rest.starts_with("{{!--") {
            return ends("--}}");
        }
        if rest.starts_with("{{!") {
            return ends("}}");
        }
        let help = "close it with `}}`, or write `\\{{` if no tag is meant";
        let end = tag_end(text, start).ok_or_else(|| unclosed().with_help(help))?;
        self.structure(start..end)?;
        Ok(end)
    }

    fn structure(&mut self, range: Range<usize>) -> Result<(), TemplateError> {
        let text = self.text;
        let inner = text[range.clone()]
            .trim_matches(['{', '}'])
            .trim_matches('~')
            .trim();
        parentheses(inner, &range)?;
        let word = |text: &'a str| {
            text.split([' ', '\t', '\r', '\n', '~'])
                .next()
                .unwrap_or("")
        };
        if let Some(opened) = inner.strip_prefix('#') {
            // `*` and `>` are refused later, in better words.
            let name = word(opened.trim_start_matches(['*', '>', ' ']));
            self.open.push(Open {
                name,
                range: range.clone(),
                levels: 1,
            });
        } else if let Some(closed) = inner.strip_prefix('/') {
            let name = word(closed.trim_start());
            let open = self.open.pop().ok_or_else(|| {
                TemplateError::new(range.clone(), format!("`{{{{/{name}}}}}` closes nothing"))
            })?;
            if open.name != name {
                let message = format!("expected `{{{{/{}}}}}`, found `{{{{/{name}}}}}`", open.name);
                return Err(TemplateError::new(range, message));
            }
        } else if word(inner) == "else" || inner.starts_with('^') {
            let chained = !inner
                .trim_start_matches("else")
                .trim_matches(['^', ' '])
                .is_empty();
            let open = self.open.last_mut().ok_or_else(|| {
                TemplateError::new(range.clone(), "`{{else}}` stands outside of a block")
            })?;
            open.levels += usize::from(chained);
        }
        if self.open.iter().map(|open| open.levels).sum::<usize>() > MAX_BLOCKS {
            return Err(
                TemplateError::new(range, "blocks are nested too deeply here")
                    .with_help(format!("at most {MAX_BLOCKS} levels are read")),
            );
        }
        Ok(())
    }
}

fn parentheses(tag: &str, range: &Range<usize>) -> Result<(), TemplateError> {
    let mut depth = 0_usize;
    for byte in tag.bytes() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_PARENTHESES {
            return Err(
                TemplateError::new(range.clone(), "calls are nested too deeply here")
                    .with_help(format!("at most {MAX_PARENTHESES} levels are read")),
            );
        }
    }
    Ok(())
}
