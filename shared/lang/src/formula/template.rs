//! `formulas/NAME/templates/…`

use std::ops::Range;
use std::sync::Arc;

use brine_model::digest::Digest;
use brine_model::span::{SourceId, Span};
use brine_model::template::{Template, TemplateError};

use crate::dynamic::Mention;
use crate::issue::Issue;
use crate::source::Sources;

#[derive(Debug)]
pub(crate) struct TemplateFile {
    pub(crate) source: SourceId,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) digest: Digest,
    /// None where it does not parse, which is reported.
    pub(crate) parsed: Option<Template>,
    pub(crate) mentions: Vec<Mention>,
}

impl TemplateFile {
    pub(crate) fn parse(
        path: &str,
        bytes: &Arc<[u8]>,
        sources: &mut Sources,
        issues: &mut Vec<Issue>,
    ) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let source = sources.add(path, &text);
        let digest = Digest::of(bytes);
        let mut file = Self {
            source,
            bytes: Arc::clone(bytes),
            digest,
            parsed: None,
            mentions: Vec::new(),
        };
        if matches!(text, std::borrow::Cow::Owned(_)) {
            issues.push(
                Issue::error(Span::new(source, 0, 0), "a template must be UTF-8 text")
                    .with_help("files that are copied as they are belong into `files/`"),
            );
            return file;
        }
        match Template::parse(path, &text) {
            Ok(template) => {
                let mentions = template.mentions().into_iter();
                file.mentions = mentions
                    .map(|path| Mention {
                        span: span(source, &find(&text, &path)),
                        path,
                    })
                    .collect();
                file.parsed = Some(template);
            }
            Err(error) => issues.push(file.issue(error)),
        }
        file
    }

    pub(crate) fn issue(&self, error: TemplateError) -> Issue {
        Issue::error(span(self.source, &error.range), error.message).with_optional_help(error.help)
    }
}

/// Where a path is written; a template tells only that it reads it.
fn find(text: &str, path: &[String]) -> Range<usize> {
    // What stands for the elements of a list is written by none of them.
    let written = path
        .split(|part| part == "*")
        .next()
        .unwrap_or_default()
        .join(".");
    let start = text.find(&written);
    start.map_or(0..0, |start| start..start + written.len())
}

fn span(source: SourceId, range: &Range<usize>) -> Span {
    let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span::new(source, offset(range.start), offset(range.end))
}
