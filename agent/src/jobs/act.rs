//! Doing something to one resource.

use brine_model::catalog::Entry;
use brine_model::deserialize::Error;
use brine_model::host::{Host, ReadHost};
use brine_model::resource::Resource;
use brine_model::resources::{self, Materials};
use brine_model::span::{Span, Spanned};
use brine_model::value::Value;
use brine_wire::job::{JobResult, Secret};

use super::materials::text_of;
use super::observer::Reporter;
use super::task::Refusal;

pub(super) fn run(
    entry: &Entry,
    action: &str,
    secrets: &[Secret],
    host: &mut dyn Host,
    reporter: Reporter,
) -> Result<JobResult, Refusal> {
    let resource = decode(entry, action, secrets, host.as_read())?;
    reporter.tell(0, 1, format!("{action} {}", entry.id));
    let done = resource.act(action, host).map_err(Refusal::failed)?;
    Ok(JobResult::Acted(done))
}

fn decode(
    entry: &Entry,
    action: &str,
    secrets: &[Secret],
    host: &dyn ReadHost,
) -> Result<Box<dyn Resource>, Refusal> {
    let name = entry.id.kind();
    let kind = resources::kind(name).ok_or_else(|| {
        Refusal::Failed(format!(
            "this agent does not know resources of kind `{name}`: it needs a newer agent"
        ))
    })?;
    if !kind.actions.contains(&action) {
        return Err(Refusal::Failed(format!(
            "this agent does not know the action `{action}` of `{name}`"
        )));
    }
    let materials = Materials {
        context: &Value::Null,
        blob: &|digest| host.blob(digest),
        secret: &|reference| text_of(secrets, reference),
        later_services: &[],
    };
    // A job has no source text, so nothing here has a span.
    let fields = Spanned::from_value(Value::Map(entry.fields.clone()), Span::default());
    kind.decode(&entry.id, &fields, Some(&materials))
        .map_err(|error| {
            let words: Vec<String> = error.into_all().iter().map(Error::to_string).collect();
            Refusal::Failed(format!("{}: {}", entry.id, words.join("; ")))
        })
}
