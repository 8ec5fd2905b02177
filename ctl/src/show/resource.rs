//! One resource of a plan.

use brine_model::converge::{PlanOutcome, Planned};
use brine_model::resource::{Change, Diff, Impact};

use super::diff;
use super::page::Page;
use super::style::Tone;

const INDENT: usize = 2;
const BODY: usize = 6;

/// `~ file:/etc/hosts  mode 0600 → 0644`, with a diff below where there is one.
pub fn draw(planned: &Planned, page: &mut Page) {
    let (tone, mark) = mark(&planned.outcome);
    page.pad(INDENT)
        .put(tone, mark)
        .plain(" ")
        .put(Tone::Strong, &planned.id.to_string());
    page.pad(2);
    match &planned.outcome {
        PlanOutcome::InSync => {
            page.put(Tone::Dim, "in sync").end();
        }
        PlanOutcome::Changes(changes) => list(planned.id.name(), changes, page),
        PlanOutcome::After { resource, intent } => {
            page.put(Tone::Dim, "after ").plain(&resource.to_string());
            if intent.is_empty() {
                page.end();
            } else {
                page.plain(": ");
                list(planned.id.name(), intent, page);
            }
        }
        PlanOutcome::Failed(message) => {
            page.put(Tone::Bad, "cannot be planned").end();
            page.block(Tone::Bad, BODY, message);
        }
    }
}

fn mark(outcome: &PlanOutcome) -> (Tone, &'static str) {
    match outcome {
        PlanOutcome::InSync => (Tone::Dim, "="),
        PlanOutcome::After { .. } => (Tone::Accent, "…"),
        PlanOutcome::Failed(_) => (Tone::Bad, "!"),
        PlanOutcome::Changes(changes) => match changes.first().map(|change| change.verb.as_str()) {
            Some("create" | "install") => (Tone::Good, "+"),
            Some("remove" | "delete" | "purge" | "absent") => (Tone::Bad, "-"),
            _ => (Tone::Warn, "~"),
        },
    }
}

/// The changes' texts in one line, then their diffs.
fn list(name: &str, changes: &[Change], page: &mut Page) {
    for (index, change) in changes.iter().enumerate() {
        if index > 0 {
            page.plain(", ");
        }
        one(name, change, page);
    }
    page.end();
    for change in changes {
        if let Some(body) = &change.diff {
            diff::draw(body, BODY, page);
        }
    }
}

fn one(name: &str, change: &Change, page: &mut Page) {
    // The text of a secret file's change is ours, so that no kind of resource can forget it.
    if change.diff == Some(Diff::Sensitive) && change.verb == "content" {
        page.plain("content changed");
    } else {
        page.put(impact_tone(change), &brief(change, name));
    }
    if let Some(note) = diff::note(change.diff.as_ref()).filter(|n| !change.text.ends_with(n)) {
        page.plain(" ").put(Tone::Dim, &note);
    }
    let impact = impact(change.impact);
    if let Some(impact) = impact.filter(|impact| *impact != change.verb) {
        page.plain(" ").put(Tone::Warn, &format!("[{impact}]"));
    }
}

/// The text without the resource's name, which stands before it already: `install haproxy 2.6`
/// becomes `install 2.6`.
fn brief(change: &Change, name: &str) -> String {
    let mut words: Vec<&str> = change.text.split(' ').collect();
    if let Some(at) = words.iter().position(|word| *word == name) {
        words.remove(at);
        if at > 0 && words[at - 1] == "of" {
            words.remove(at - 1);
        }
    }
    if words.is_empty() {
        change.verb.clone()
    } else {
        words.join(" ")
    }
}

const fn impact_tone(change: &Change) -> Tone {
    match change.impact {
        Impact::None => Tone::Plain,
        Impact::Reload | Impact::Restart | Impact::Reboot => Tone::Warn,
    }
}

const fn impact(impact: Impact) -> Option<&'static str> {
    match impact {
        Impact::None => None,
        Impact::Reload => Some("reload"),
        Impact::Restart => Some("restart"),
        Impact::Reboot => Some("reboot"),
    }
}
