//! What became of an apply: a table, the failures in the program's own words, what to do next.

use brine_model::converge::{Applied, ApplyReport, ResourceOutcome};
use brine_model::name::NodeName;
use brine_model::resource::ResourceId;
use brine_wire::run::{NodeState, Output, RunDetail, RunKind, RunNode, RunPhase, RunSummary};

use super::count::{count, parts};
use super::names::names;
use super::page::Page;
use super::style::{Style, Tone};
use super::table::{Cell, Table, cell};
use super::{diagnostics, words};

#[must_use]
pub fn summary(run: &RunDetail, style: Style) -> String {
    let mut page = Page::new(style);
    page.drawn(&diagnostics::list(&run.diagnostics, style));
    if !run.summary.nodes.is_empty() {
        table(run, &mut page);
    }
    draw_troubles(run, &mut page);
    page.gap();
    let (tone, phase) = words::phase(run.summary.phase);
    page.put(Tone::Strong, &format!("run {} ", run.summary.id))
        .put(tone, phase);
    page.plain(": ").plain(&sum(&run.summary)).end();
    page.block(tone, 2, run.summary.reason.as_deref().unwrap_or_default());
    for hint in next(run) {
        page.put(Tone::Accent, "next:")
            .plain(" ")
            .line(Tone::Plain, &hint);
    }
    page.finish()
}

fn table(run: &RunDetail, page: &mut Page) {
    let headings = ["NODE", "STATE", "CHANGED", "IN SYNC", "FAILED", "SKIPPED"];
    let mut table = Table::new(&headings);
    for node in &run.summary.nodes {
        let (tone, state) = words::node(node.state);
        let mut cells = vec![
            (Tone::Strong, node.name.to_string()),
            (tone, state.to_owned()),
        ];
        match report(run, &node.name) {
            Some(report) => cells.extend(numbers(report)),
            None if node.changed + node.failed > 0 => cells.extend([
                number(node.changed as usize, Tone::Good),
                cell(""),
                number(node.failed as usize, Tone::Bad),
            ]),
            None => {}
        }
        table.row(cells);
    }
    table.draw(page);
}

fn numbers(report: &ApplyReport) -> [Cell; 4] {
    let count = |wanted: fn(&ResourceOutcome) -> bool| {
        report
            .resources
            .iter()
            .filter(|applied| wanted(&applied.outcome))
            .count()
    };
    [
        number(
            count(|o| matches!(o, ResourceOutcome::Changed(_))),
            Tone::Good,
        ),
        number(count(|o| matches!(o, ResourceOutcome::InSync)), Tone::Plain),
        number(
            count(|o| matches!(o, ResourceOutcome::Failed { .. })),
            Tone::Bad,
        ),
        number(count(is_skipped), Tone::Warn),
    ]
}

fn number(number: usize, tone: Tone) -> Cell {
    (
        if number == 0 { Tone::Dim } else { tone },
        number.to_string(),
    )
}

const fn is_skipped(outcome: &ResourceOutcome) -> bool {
    matches!(
        outcome,
        ResourceOutcome::Skipped { .. }
            | ResourceOutcome::NotApproved(_)
            | ResourceOutcome::Cancelled
    )
}

/// What went wrong in the same way on some nodes.
#[derive(Debug)]
struct Trouble<'a> {
    nodes: Vec<&'a NodeName>,
    resource: Option<&'a ResourceId>,
    title: &'static str,
    /// A program's own words.
    words: String,
    /// What was not even looked at because of it.
    skipped: usize,
}

/// What went wrong, the same on several nodes once.
pub(super) fn draw_troubles(run: &RunDetail, page: &mut Page) {
    for trouble in troubles(run) {
        draw(&trouble, page);
    }
}

fn troubles(run: &RunDetail) -> Vec<Trouble<'_>> {
    let mut found: Vec<Trouble<'_>> = Vec::new();
    for node in &run.summary.nodes {
        // What a program has said for itself stands with its output.
        let has_told = |(name, output): &(NodeName, Output)| *name == node.name && output.code != 0;
        let told = run.outputs.iter().any(has_told);
        let Some(trouble) = trouble(node, report(run, &node.name)).filter(|_| !told) else {
            continue;
        };
        let same = |known: &&mut Trouble<'_>| {
            (known.resource, known.title, &known.words, known.skipped)
                == (
                    trouble.resource,
                    trouble.title,
                    &trouble.words,
                    trouble.skipped,
                )
        };
        match found.iter_mut().find(same) {
            Some(known) => known.nodes.extend(trouble.nodes),
            None => found.push(trouble),
        }
    }
    found
}

fn trouble<'a>(node: &'a RunNode, report: Option<&'a ApplyReport>) -> Option<Trouble<'a>> {
    let stopped = report.and_then(ApplyReport::stopped_at);
    let reason = node.reason.clone().unwrap_or_default();
    let (resource, title, words) = match stopped {
        Some(Applied {
            id,
            outcome: ResourceOutcome::Failed { message, .. },
            ..
        }) => (Some(id), "failed", message.clone()),
        Some(Applied {
            id,
            outcome: ResourceOutcome::NotApproved(changes),
            ..
        }) => {
            let wanted: Vec<_> = changes.iter().map(|change| change.text.as_str()).collect();
            (
                Some(id),
                "not done, since it takes more than was approved",
                wanted.join("\n"),
            )
        }
        Some(Applied {
            id,
            outcome: ResourceOutcome::Cancelled,
            ..
        }) => (Some(id), "cancelled before its turn", String::new()),
        _ if node.state == NodeState::Failed => (None, "failed", reason),
        _ if !reason.is_empty() => (None, words::node(node.state).1, reason),
        _ => return None,
    };
    let skips = |a: &&Applied| matches!(a.outcome, ResourceOutcome::Skipped { .. });
    let skipped = report.map_or(0, |report| report.resources.iter().filter(skips).count());
    Some(Trouble {
        nodes: vec![&node.name],
        resource,
        title,
        words,
        skipped,
    })
}

fn draw(trouble: &Trouble<'_>, page: &mut Page) {
    page.gap()
        .put(Tone::Accent, &names(&trouble.nodes))
        .plain(": ");
    if let Some(resource) = trouble.resource {
        page.put(Tone::Strong, &resource.to_string()).plain(" ");
    }
    page.line(Tone::Bad, trouble.title);
    page.block(Tone::Plain, 4, &trouble.words);
    if trouble.skipped > 0 {
        let text = format!(
            "{} after it not looked at",
            count(trouble.skipped, "resource")
        );
        page.pad(2).line(Tone::Dim, &text);
    }
}

/// `3 nodes: 2 changed, 1 failed`.
#[must_use]
pub fn sum(run: &RunSummary) -> String {
    let nodes = &run.nodes;
    let number = |state| nodes.iter().filter(|node| node.state == state).count();
    let states = [
        NodeState::Changed,
        NodeState::InSync,
        NodeState::Planned,
        NodeState::Failed,
        NodeState::Reverted,
        NodeState::Untouched,
        NodeState::SkippedUnreachable,
        NodeState::Pending,
        NodeState::Planning,
        NodeState::Applying,
        NodeState::Checking,
        NodeState::Draining,
        NodeState::Between,
        NodeState::Waiting,
    ];
    let word = |state| match (run.kind, state) {
        (RunKind::Action, NodeState::Changed) => "done",
        _ => words::short(state),
    };
    let numbers: Vec<_> = states
        .into_iter()
        .map(|state| (number(state), word(state)))
        .collect();
    let parts = parts(&numbers);
    if parts.is_empty() {
        count(0, "node")
    } else {
        format!("{}: {parts}", count(nodes.len(), "node"))
    }
}

/// What to do now.
fn next(run: &RunDetail) -> Vec<String> {
    let mut hints = Vec::new();
    let apply = format!("`ctl apply {}`", quoted(&run.summary.target));
    let resume = format!("`ctl apply --resume {}`", run.summary.id);
    let outcomes = || {
        run.reports
            .iter()
            .flat_map(|(_, r)| &r.resources)
            .map(|a| &a.outcome)
    };
    let any = |state| run.summary.nodes.iter().any(|node| node.state == state);
    if outcomes().any(|outcome| matches!(outcome, ResourceOutcome::NotApproved(_))) {
        hints.push(format!(
            "the node is not as it was planned; see the new plan: {apply}"
        ));
    } else if run.summary.phase == RunPhase::Failed || any(NodeState::Failed) {
        hints.push(format!(
            "mend what failed, then go on: {resume}; with other states, anew: {apply}"
        ));
    } else if matches!(
        run.summary.phase,
        RunPhase::Cancelled | RunPhase::Interrupted
    ) {
        hints.push(format!("go on where it stands: {resume}"));
    }
    let left: Vec<_> = run
        .summary
        .nodes
        .iter()
        .filter(|n| n.state == NodeState::SkippedUnreachable)
        .collect();
    if let [one] = left.as_slice() {
        hints.push(format!("once it is back: `ctl apply node={}`", one.name));
    } else if !left.is_empty() {
        hints.push(format!("once the skipped nodes are back: {apply}"));
    }
    hints
}

/// As a shell would want it.
#[must_use]
pub fn quoted(target: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | '.' | '-' | '_' | ':' | ',' | '/');
    if !target.is_empty() && target.chars().all(plain) {
        target.to_owned()
    } else {
        format!("'{}'", target.replace('\'', r"'\''"))
    }
}

fn report<'a>(run: &'a RunDetail, node: &NodeName) -> Option<&'a ApplyReport> {
    run.reports
        .iter()
        .find(|(name, _)| name == node)
        .map(|(_, report)| report)
}
