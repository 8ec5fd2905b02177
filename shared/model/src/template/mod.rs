//! Templates: files written in [Handlebars](https://handlebarsjs.com), strict and without HTML
//! escaping. The agent renders them, the server checks them beforehand.
//!
//! Handlebars' own crate reads the syntax and strips the lines of blocks. Rendering is ours: its
//! renderer writes the arguments of every helper to the debug log, secrets included, wants a copy
//! of the whole context as JSON, overlooks missing variables in `{{#if typo}}`, and names places
//! by line only. Names are looked up by one function for checking and rendering, so that the two
//! cannot disagree.
//!
//! There are the blocks `if`, `unless`, `each`, `with` (with `{{else}}`, `{{else if …}}` and
//! `as |x|`) and `raw`, the functions of expressions as helpers, and some operators: see
//! [`helpers`]. A plain `{{name}}` is always a variable. There are no partials, decorators and
//! named arguments, and there is no `log`.

mod analyse;
mod check;
mod locate;
mod lower;
mod operators;
mod reference;
mod render;
mod scan;
mod scope;
mod syntax;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use self::operators::helpers;
use crate::value::{SecretRef, SecretText, Value};

/// A template that has been read.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    nodes: Vec<syntax::Node>,
    /// What is wrong whatever the context is: told by [`Template::check`], with everything else.
    errors: Vec<TemplateError>,
}

/// What is wrong with a template. Names values by their kind, never by their content: one of them
/// might be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Bytes in the template's text.
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// What a template gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// Whether the template can write a secret, in any of its branches: not only this text must
    /// stay hidden, but also what it gave before, with which it is compared.
    pub sensitive: bool,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.sensitive { "…" } else { &self.text };
        f.debug_struct("Rendered")
            .field("text", &text)
            .field("sensitive", &self.sensitive)
            .finish()
    }
}

impl Template {
    /// Reads `text`; `name` is what people know it by.
    pub fn parse(name: &str, text: &str) -> Result<Self, TemplateError> {
        scan::scan(text)?;
        let (nodes, errors) = lower::lower(text)?;
        Ok(Self {
            name: name.to_owned(),
            nodes,
            errors,
        })
    }

    /// What people know it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that can be told to be wrong before rendering, in the order of the text: unknown
    /// helpers, wrong numbers of arguments, and variables that `context` cannot have.
    ///
    /// The elements of a list are taken together: what one of them has is known. About what is
    /// `null` or empty nothing is known, and nothing is wrong.
    #[must_use]
    pub fn check(&self, context: &Value) -> Vec<TemplateError> {
        let mut errors = self.errors.clone();
        errors.extend(check::check(&self.nodes, context).errors);
        errors.sort_by_key(|error| error.range.start);
        errors
    }

    /// The paths from the root that it names, sorted, each once; an element of a list or map that
    /// is walked is `*`: `roles`, `db`, `*`, `address`.
    #[must_use]
    pub fn mentions(&self) -> Vec<Vec<String>> {
        check::mentions(&self.nodes)
    }

    /// Whether it can write a secret of `context`: one is written, or given to a helper, in any of
    /// its branches.
    #[must_use]
    pub fn is_sensitive(&self, context: &Value) -> bool {
        check::check(&self.nodes, context).sensitive
    }

    /// Renders it; `secrets` gives their texts.
    pub fn render(
        &self,
        context: &Value,
        secrets: &dyn Fn(&SecretRef) -> Option<SecretText>,
    ) -> Result<Rendered, TemplateError> {
        if let Some(error) = self.errors.first() {
            return Err(error.clone());
        }
        let text = render::render(&self.nodes, context, secrets)?;
        Ok(Rendered {
            text,
            sensitive: self.is_sensitive(context),
        })
    }
}

impl TemplateError {
    fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            help: None,
        }
    }

    fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}
