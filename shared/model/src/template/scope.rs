//! What names mean inside blocks: the one place that knows, for values, shapes and paths alike.

use super::reference::{Base, Reference};
use crate::expression::suggestion_among;

/// What names can stand for.
pub(super) trait Meaning: Clone {
    /// Its member or element; `None` if it can have none.
    fn member(&self, name: &str) -> Option<Self>;
    /// What members it has, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// One `{{#each}}` or `{{#with}}`, or the root.
pub(super) struct Frame<M> {
    pub(super) this: M,
    /// Of `as |value key|`.
    pub(super) names: Vec<(String, M)>,
    /// `@index` and the like.
    pub(super) locals: Vec<(&'static str, M)>,
}

/// The blocks around a place, the root first.
pub(super) struct Scope<M> {
    frames: Vec<Frame<M>>,
}

/// Why a name means nothing.
pub(super) struct Unresolved {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl<M: Meaning> Scope<M> {
    pub(super) fn new(root: M) -> Self {
        Self {
            frames: vec![Frame {
                this: root,
                names: Vec::new(),
                locals: Vec::new(),
            }],
        }
    }

    pub(super) fn push(&mut self, frame: Frame<M>) {
        self.frames.push(frame);
    }

    pub(super) fn pop(&mut self) {
        self.frames.pop();
    }

    /// `@index` and the like of the innermost block, which `{{#with}}` hands on.
    pub(super) fn locals(&self) -> Vec<(&'static str, M)> {
        self.frames
            .last()
            .map(|frame| frame.locals.clone())
            .unwrap_or_default()
    }

    pub(super) fn resolve(&self, reference: &Reference) -> Result<M, Unresolved> {
        let mut path = reference.path.as_slice();
        let start = match &reference.base {
            Base::Root => self.frames.first().map(|frame| frame.this.clone()),
            Base::This(up) => self.frame(*up).map(|frame| frame.this.clone()),
            Base::Local { up, name } => return self.local(reference, *up, name),
            Base::Name => match path.first().and_then(|first| self.named(first)) {
                Some(named) => {
                    path = &path[1..];
                    Some(named)
                }
                None => self.frame(0).map(|frame| frame.this.clone()),
            },
        };
        let start = start.ok_or_else(|| Unresolved {
            message: format!("`{}` leads out of the template", reference.text),
            help: Some(format!("{} blocks are open here", self.frames.len() - 1)),
        })?;
        self.walk(reference, start, path)
    }

    fn walk(&self, reference: &Reference, start: M, path: &[String]) -> Result<M, Unresolved> {
        let mut meaning = start;
        for (depth, name) in path.iter().enumerate() {
            meaning = match meaning.member(name) {
                Some(member) => member,
                None => {
                    let help = if depth == 0 {
                        self.elsewhere(reference, name)
                    } else {
                        None
                    };
                    let names = meaning.names();
                    let near = || suggestion_among(name, names.iter().map(String::as_str));
                    return Err(Unresolved {
                        message: format!("unknown variable `{}`", reference.text),
                        help: help.or_else(near),
                    });
                }
            };
        }
        Ok(meaning)
    }

    /// A name that is not known here may be known further out, where Handlebars does not look.
    fn elsewhere(&self, reference: &Reference, name: &str) -> Option<String> {
        let root = self.frames.first().filter(|_| self.frames.len() > 1)?;
        let known = reference.base == Base::Name && root.this.member(name).is_some();
        known.then(|| {
            format!(
                "write `@root.{}`: inside a block, names are of the element",
                reference.text
            )
        })
    }

    fn frame(&self, up: usize) -> Option<&Frame<M>> {
        self.frames.get(self.frames.len().checked_sub(1 + up)?)
    }

    fn named(&self, name: &str) -> Option<M> {
        let mut names = self.frames.iter().rev().flat_map(|frame| &frame.names);
        names
            .find(|(known, _)| known == name)
            .map(|(_, meaning)| meaning.clone())
    }

    fn local(&self, reference: &Reference, up: usize, name: &str) -> Result<M, Unresolved> {
        let frame = self.frame(up);
        let found = frame.and_then(|frame| frame.locals.iter().find(|(known, _)| *known == name));
        found
            .map(|(_, meaning)| meaning.clone())
            .ok_or_else(|| Unresolved {
                message: format!("`{}` means nothing here", reference.text),
                help: Some(match name {
                    "key" => "`@key` exists in `{{#each}}` over a map".to_owned(),
                    "index" | "first" | "last" => format!("`@{name}` exists in `{{{{#each}}}}`"),
                    _ => "there are @index, @first, @last, @key and @root".to_owned(),
                }),
            })
    }
}
