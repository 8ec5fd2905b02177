//! Runs: the list, and the head of one.

use brine_wire::run::{RunDetail, RunKind, RunPhase, RunSummary};

use super::count::count;
use super::page::Page;
use super::style::{Style, Tone};
use super::table::{Table, cell};
use super::time::{ago, span};
use super::{action, apply, plan, words};

#[must_use]
pub fn list(runs: &[RunSummary], style: Style) -> String {
    let mut page = Page::new(style);
    if runs.is_empty() {
        page.line(Tone::Dim, "no runs yet");
        return page.finish();
    }
    let mut table = Table::new(&[
        "RUN", "KIND", "TARGET", "STATE", "NODES", "BY", "STARTED", "TOOK",
    ]);
    for run in runs {
        let (tone, phase) = words::phase(run.phase);
        table.row(vec![
            (Tone::Strong, run.id.to_string()),
            cell(words::kind(run.kind)),
            cell(run.target.clone()),
            (tone, phase.to_owned()),
            cell(run.nodes.len().to_string()),
            cell(run.operator.as_str()),
            cell(ago(style.now, run.started)),
            cell(
                run.ended
                    .map(|ended| span(ended.since(run.started)))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table.draw(&mut page);
    page.finish()
}

/// How a run ended, in a line for standard error.
#[must_use]
pub fn ending(run: &RunSummary, style: Style) -> String {
    let mut page = Page::new(style);
    let (tone, phase) = words::phase(run.phase);
    page.put(Tone::Strong, &format!("run {} ", run.id))
        .put(tone, phase)
        .end();
    page.block(tone, 2, run.reason.as_deref().unwrap_or_default());
    page.finish()
}

/// Which run it is that an apply takes up again.
#[must_use]
pub fn going_on(run: &RunSummary, style: Style) -> String {
    let mut page = Page::new(style);
    let (tone, phase) = words::phase(run.phase);
    let when = ago(style.now, run.ended.unwrap_or(run.started));
    page.plain("going on with ")
        .put(Tone::Strong, &format!("run {}", run.id))
        .plain(&format!(" by {} over ", run.operator))
        .put(Tone::Strong, &run.target)
        .plain(": ")
        .put(tone, phase)
        .plain(&format!(" {when}"))
        .end();
    page.block(Tone::Dim, 2, run.reason.as_deref().unwrap_or_default());
    page.finish()
}

/// One run's record. Of an apply this is what became of it, or with `planned` what was planned.
#[must_use]
pub fn detail(run: &RunDetail, planned: bool, style: Style) -> String {
    let mut page = Page::new(style);
    head(&run.summary, &mut page);
    page.gap();
    page.drawn(&if planned {
        plan::plan(run, style)
    } else {
        outcome(run, style)
    });
    page.finish()
}

/// What came of a run: of a plan, and of an apply that has applied nothing yet, the plan.
#[must_use]
pub fn outcome(run: &RunDetail, style: Style) -> String {
    let begun = !matches!(run.summary.phase, RunPhase::Planning | RunPhase::Approval);
    match run.summary.kind {
        RunKind::Action => action::summary(run, style),
        RunKind::Apply if begun => apply::summary(run, style),
        RunKind::Apply | RunKind::Plan => plan::plan(run, style),
    }
}

/// Two lines: what it was, and how it stands.
pub fn head(run: &RunSummary, page: &mut Page) {
    let (tone, phase) = words::phase(run.phase);
    let started = ago(page.style.now, run.started);
    page.put(Tone::Strong, &format!("run {}", run.id));
    page.plain(&format!(
        ": {} of {} on ",
        words::kind(run.kind),
        count(run.nodes.len(), "node")
    ));
    page.put(Tone::Strong, &run.target);
    page.plain(&format!(", by {}, {started}: ", run.operator))
        .put(tone, phase)
        .end();
    page.pad(2)
        .put(Tone::Dim, "states ")
        .put(Tone::Dim, &run.snapshot)
        .end();
    page.block(tone, 2, run.reason.as_deref().unwrap_or_default());
}
