//! What the agent would write, with secrets masked.

use brine_model::catalog::{Catalog, Entry};
use brine_model::name::NodeName;
use brine_model::template::Template;
use brine_model::value::{SecretRef, SecretText, Value};
use brine_wire::operator::OperatorReply;

use super::nodes::no_node;
use super::refuse::Refused;
use crate::compile::Snapshot;
use crate::context::Context;

/// Where `unit` resources lie.
const UNITS: &str = "/etc/systemd/system/";

pub(super) async fn render(
    node: NodeName,
    path: &str,
    context: &Context,
) -> Result<OperatorReply, Refused> {
    let snapshot = context.compiler.newest().await?;
    snapshot.node(&node).ok_or_else(|| no_node(&node))?;
    let errors = snapshot.errors(std::slice::from_ref(&node));
    let Some(compiled) = snapshot.compilation.catalogs.get(&node) else {
        return Err(Refused::Invalid(errors));
    };
    let catalog = &compiled.catalog;
    let entry = catalog
        .resources
        .iter()
        .find(|entry| lies_at(entry, path))
        .ok_or_else(|| {
            let path = path.escape_debug();
            Refused::not_found(format!("the catalog of {node} has no file `{path}`"))
                .help(format!("`ctl nodes show {node}` lists its resources"))
        })?;
    let (text, sensitive) = content(entry, catalog, &snapshot)?;
    Ok(OperatorReply::Rendered { text, sensitive })
}

fn lies_at(entry: &Entry, path: &str) -> bool {
    let holds = ["template", "source", "content"];
    let has_content = holds.iter().any(|field| entry.fields.contains_key(*field));
    let name = entry.id.name();
    has_content && (name == path || path.strip_prefix(UNITS) == Some(name))
}

fn content(
    entry: &Entry,
    catalog: &Catalog,
    snapshot: &Snapshot,
) -> Result<(String, bool), Refused> {
    let blob = |field: &str| match entry.fields.get(field) {
        Some(Value::Blob(digest)) => snapshot.compilation.blobs.get(digest),
        _ => None,
    };
    if let Some(template) = blob("template") {
        let text = String::from_utf8_lossy(template);
        let data = catalog.contexts.get(&entry.formula).unwrap_or(&Value::Null);
        let rendered = Template::parse(&entry.id.to_string(), &text)
            .and_then(|template| template.render(data, &masked))
            .map_err(|error| Refused::bad(format!("{}: {error}", entry.id)))?;
        return Ok((rendered.text, rendered.sensitive));
    }
    // Unlike in a template, what is secret in there cannot be masked.
    if matches!(entry.fields.get("sensitive"), Some(Value::Bool(true))) {
        return Ok((
            "(hidden: the file is marked as sensitive)\n".to_owned(),
            true,
        ));
    }
    match (blob("source"), entry.fields.get("content")) {
        (Some(bytes), _) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok((text.to_owned(), false)),
            Err(_) => Ok((
                format!("({} bytes that are not text)\n", bytes.len()),
                false,
            )),
        },
        (None, Some(Value::Secret(secret))) => Ok((mask(secret), true)),
        (None, Some(Value::String(text))) => Ok((text.clone(), false)),
        _ => Err(Refused::bad(format!("{} has no content to show", entry.id))),
    }
}

fn mask(secret: &SecretRef) -> String {
    format!("(secret {})", secret.name)
}

#[expect(clippy::unnecessary_wraps, reason = "rendering asks like this")]
fn masked(secret: &SecretRef) -> Option<SecretText> {
    Some(SecretText::new(mask(secret)))
}
