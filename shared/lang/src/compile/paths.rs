//! `template:` and `source:`: names of files become digests of their content.

use std::collections::BTreeSet;
use std::sync::Arc;

use brine_model::deserialize::from_spanned;
use brine_model::diagnostic::did_you_mean;
use brine_model::digest::Digest;
use brine_model::resources::{PathField, PathUse};
use brine_model::span::{Node, Spanned};
use brine_model::value::Value;

use super::Compiler;
use crate::formula::Formula;
use crate::issue::Issue;

/// What was built, not written: kept out of version control, so absent where nobody built it.
const ARTIFACTS: &str = "artifacts/";

impl Compiler<'_> {
    pub(super) fn content(
        &self,
        formula: &Formula,
        field: &PathField,
        value: &Spanned,
        templates: &mut BTreeSet<String>,
        issues: &mut Vec<Issue>,
    ) -> Option<Spanned> {
        let written = match from_spanned::<String>(value) {
            Ok(written) => written,
            Err(error) => {
                issues.extend(Issue::from_misfits(error));
                return None;
            }
        };
        let relative = written.strip_prefix('/').unwrap_or(&written);
        if relative
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            let message = format!("`{written}` has a `.`, `..` or empty component");
            issues.push(Issue::error(value.span, message));
            return None;
        }
        let digest = match field.holds {
            PathUse::Template => match formula.templates.get(&written) {
                Some(template) => {
                    self.blobs
                        .borrow_mut()
                        .insert(template.digest, Arc::clone(&template.bytes));
                    templates.insert(written);
                    Some(template.digest)
                }
                None => {
                    issues.push(missing_template(formula, &written, value));
                    None
                }
            },
            PathUse::Source => self.source(formula, &written, value, issues),
        };
        digest.map(|digest| Spanned {
            span: value.span,
            node: Node::Leaf(Value::Blob(digest)),
        })
    }

    fn source(
        &self,
        formula: &Formula,
        written: &str,
        value: &Spanned,
        issues: &mut Vec<Issue>,
    ) -> Option<Digest> {
        let path = match written.strip_prefix('/') {
            Some(rooted) if rooted.starts_with(ARTIFACTS) => rooted.to_owned(),
            Some(_) => {
                issues.push(
                    Issue::error(
                        value.span,
                        format!("`{written}` is not under `/artifacts/`"),
                    )
                    .with_help(
                        "a source is a file in the formula's `files/`, or `/artifacts/NAME`",
                    ),
                );
                return None;
            }
            None => format!("formulas/{}/files/{written}", formula.name),
        };
        if let Some(digest) = self.digests.borrow().get(&path) {
            return Some(*digest);
        }
        if let Some(bytes) = self.library.files.get(&path) {
            let digest = Digest::of(bytes);
            self.blobs.borrow_mut().insert(digest, Arc::clone(bytes));
            self.digests.borrow_mut().insert(path, digest);
            return Some(digest);
        }
        if path.starts_with(ARTIFACTS) {
            let issue = if self.strictness.artifacts {
                Issue::error(value.span, format!("`{path}` was not built"))
            } else {
                Issue::warning(value.span, format!("`{path}` is not there yet"))
            };
            issues.push(issue.with_help(format!(
                "artifacts are built, not written; see `formulas/{}/README.md`",
                formula.name
            )));
            return (!self.strictness.artifacts).then(|| Digest::of(b""));
        }
        let below = format!("formulas/{}/files/", formula.name);
        let known = self.library.files.range(below.clone()..);
        let known = known
            .map_while(|(path, _)| path.strip_prefix(&below))
            .collect::<Vec<_>>();
        let near = did_you_mean(written, known.iter().copied());
        let issue = Issue::error(value.span, format!("there is no file `{written}`"));
        issues.push(issue.with_help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it would be `{path}`"),
        }));
        None
    }
}

fn missing_template(formula: &Formula, written: &str, value: &Spanned) -> Issue {
    let near = did_you_mean(written, formula.templates.keys().map(String::as_str));
    let issue = Issue::error(value.span, format!("there is no template `{written}`"));
    issue.with_help(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "it would be `formulas/{}/templates/{written}`",
            formula.name
        ),
    })
}
