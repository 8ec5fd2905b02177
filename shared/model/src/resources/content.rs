//! What a file is to hold.

use super::declare::Place;
use super::diff::{self, Before};
use crate::deserialize::{BlobField, Error, TextOrSecret};
use crate::diagnostic::line_column;
use crate::digest::Digest;
use crate::host::{Content, HostError, HostResult, ReadHost};
use crate::resource::Diff;
use crate::template::{Template, TemplateError};

/// The fields that say what a file holds; at most one may be given.
pub(super) struct Given {
    pub(super) template: Option<BlobField>,
    pub(super) source: Option<BlobField>,
    pub(super) content: Option<TextOrSecret>,
}

/// Content, and whether it may be shown. Deliberately without `Debug`.
pub(super) struct Body {
    /// None where a template was only checked, not rendered.
    content: Option<Content>,
    pub(super) sensitive: bool,
}

impl Body {
    /// `fields` are those of [`Given`] that the kind has, for messages.
    pub(super) fn build(
        given: Given,
        fields: &str,
        sensitive: bool,
        place: &Place<'_>,
    ) -> Result<Self, Error> {
        let (content, secret) = match (given.template, given.source, given.content) {
            (Some(template), None, None) => render(template.0, place)?,
            (None, Some(source), None) => (Some(Content::Blob(source.0)), false),
            (None, None, Some(TextOrSecret::Text(text))) => {
                (Some(Content::Bytes(text.into_bytes())), false)
            }
            (None, None, Some(TextOrSecret::Secret(reference))) => {
                let Some(materials) = place.materials else {
                    return Ok(Self {
                        content: None,
                        sensitive: true,
                    });
                };
                let text = (materials.secret)(&reference).ok_or_else(|| {
                    let name = &reference.name;
                    place.error("content", format!("the secret `{name}` did not come along"))
                })?;
                (
                    Some(Content::Bytes(text.reveal().as_bytes().to_vec())),
                    true,
                )
            }
            (None, None, None) => {
                let message = format!("what it holds is missing: give one of {fields}");
                return Err(Error::new(place.fields.span, message));
            }
            _ => {
                let message = format!("it can hold one thing only: give one of {fields}");
                return Err(Error::new(place.fields.span, message));
            }
        };
        Ok(Self {
            content,
            sensitive: sensitive || secret,
        })
    }

    pub(super) fn content(&self) -> HostResult<&Content> {
        self.content.as_ref().ok_or_else(|| {
            HostError::failed(
                "look at a file's content",
                "its template was not rendered here",
            )
        })
    }

    pub(super) fn digest(&self) -> HostResult<Digest> {
        Ok(match self.content()? {
            Content::Bytes(bytes) => Digest::of(bytes),
            Content::Blob(digest) => *digest,
        })
    }

    pub(super) fn diff(&self, before: &Before, host: &dyn ReadHost) -> HostResult<Diff> {
        if self.sensitive {
            return Ok(Diff::Sensitive);
        }
        Ok(match self.content()? {
            Content::Bytes(new) => diff::between(before, new),
            Content::Blob(digest) => diff::between(before, &host.blob(digest)?),
        })
    }
}

fn render(digest: Digest, place: &Place<'_>) -> Result<(Option<Content>, bool), Error> {
    let Some(materials) = place.materials else {
        return Ok((None, false));
    };
    let failed = |message: String| place.error("template", message);
    let bytes = (materials.blob)(&digest).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("the template is not UTF-8".into()))?;
    let name = format!("the template of {}", place.id);
    let wrong = |error: TemplateError| {
        let start = u32::try_from(error.range.start).unwrap_or(u32::MAX);
        let (line, column) = line_column(&text, start);
        let placed = failed(format!(
            "template, line {line}, column {column}: {}",
            error.message
        ));
        error.help.into_iter().fold(placed, Error::with_help)
    };
    let template = Template::parse(&name, &text).map_err(wrong)?;
    let rendered = template
        .render(materials.context, materials.secret)
        .map_err(wrong)?;
    Ok((
        Some(Content::Bytes(rendered.text.into_bytes())),
        rendered.sensitive,
    ))
}
