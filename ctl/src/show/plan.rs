//! What a run would change.

use brine_model::converge::PlanOutcome;
use brine_model::name::NodeName;
use brine_model::resource::Impact;
use brine_wire::run::{NodeState, RunDetail};

use super::count::{count, parts};
use super::names::names;
use super::page::Page;
use super::style::{Style, Tone};
use super::words::is_failed;
use super::{diagnostics, group, resource};
use crate::saved::SavedPlan;

/// The whole plan: changes by groups of nodes, what is released, who is left out, and the sum.
#[must_use]
pub fn plan(run: &RunDetail, style: Style) -> String {
    let mut page = Page::new(style);
    page.drawn(&diagnostics::list(&run.diagnostics, style));
    for section in group::changes(&run.plans) {
        page.gap().line(Tone::Accent, &names(&section.nodes));
        for planned in section.items {
            resource::draw(planned, &mut page);
        }
    }
    for section in group::released(&run.plans) {
        page.gap().put(Tone::Accent, &names(&section.nodes));
        page.plain(": released, left in place and no longer managed")
            .end();
        for id in section.items {
            page.pad(2)
                .put(Tone::Dim, "·")
                .plain(" ")
                .line(Tone::Plain, &id.to_string());
        }
    }
    let in_sync: Vec<_> = run
        .plans
        .iter()
        .filter(|(_, p)| p.in_sync())
        .map(|(n, _)| n)
        .collect();
    if !in_sync.is_empty() {
        page.gap()
            .put(Tone::Accent, &names(&in_sync))
            .plain(": ")
            .line(Tone::Good, "in sync");
    }
    without_plan(run, &mut page);
    page.gap().line(Tone::Strong, &sum(run));
    page.finish()
}

/// `Apply these changes to 3 nodes?`
#[must_use]
pub fn question(run: &RunDetail) -> String {
    let nodes = run.plans.iter().filter(|(_, plan)| !plan.in_sync()).count();
    format!("Apply these changes to {}?", count(nodes, "node"))
}

/// What a file is about to have applied.
#[must_use]
pub fn saved(plan: &SavedPlan, style: Style) -> String {
    let mut page = Page::new(style);
    page.put(Tone::Dim, "saved plan ")
        .plain(&format!("of run {}: ", plan.run))
        .put(Tone::Strong, &plan.target)
        .plain(&format!(", {}", count(plan.agreed.nodes.len(), "node")))
        .put(Tone::Dim, &format!(", states {}", plan.snapshot))
        .end();
    page.finish()
}

/// Whether something would change, or cannot be told from that.
#[must_use]
pub fn has_changes(run: &RunDetail) -> bool {
    run.plans.iter().any(|(_, plan)| !plan.in_sync())
}

/// Whether a node could not say what would change on it.
#[must_use]
pub fn has_failures(run: &RunDetail) -> bool {
    run.plans
        .iter()
        .any(|(_, plan)| plan.failures().next().is_some())
        || run.summary.nodes.iter().any(|node| is_failed(node.state))
}

/// `5 nodes: 3 to change, 2 in sync; 2 services reload, 1 restarts`.
#[must_use]
pub fn sum(run: &RunDetail) -> String {
    let failed = run
        .plans
        .iter()
        .filter(|(_, plan)| plan.failures().next().is_some())
        .count();
    let in_sync = run.plans.iter().filter(|(_, plan)| plan.in_sync()).count();
    let to_change = run.plans.len() - in_sync - failed;
    let planless = |wanted: fn(NodeState) -> bool| {
        run.summary
            .nodes
            .iter()
            .filter(|n| !has_plan(run, &n.name) && wanted(n.state))
            .count()
    };
    let skipped = planless(|state| state == NodeState::SkippedUnreachable);
    let broken = planless(is_failed);
    let rest = planless(|s| !is_failed(s) && s != NodeState::SkippedUnreachable);
    let total = run.plans.len() + skipped + broken + rest;
    let nodes = parts(&[
        (to_change, "to change"),
        (in_sync, "in sync"),
        (failed + broken, "failed"),
        (skipped, "skipped"),
        (rest, "not planned"),
    ]);
    let impact = impacts(run);
    let mut text = count(total, "node");
    for (before, part) in [(": ", nodes), ("; ", impact)] {
        if !part.is_empty() {
            text = format!("{text}{before}{part}");
        }
    }
    text
}

/// `2 services reload, 1 restarts; 1 node reboots`.
fn impacts(run: &RunDetail) -> String {
    let resources = run.plans.iter().flat_map(|(_, plan)| &plan.resources);
    let worst = |outcome: &PlanOutcome| outcome.changes().iter().map(|c| c.impact).max();
    let impacts: Vec<Impact> = resources.filter_map(|p| worst(&p.outcome)).collect();
    let number = |wanted| impacts.iter().filter(|impact| **impact == wanted).count();
    let mut noun = "service";
    let mut said = Vec::new();
    for (number, verb) in [
        (number(Impact::Reload), "reload"),
        (number(Impact::Restart), "restart"),
    ] {
        if number > 0 {
            let who = if noun.is_empty() {
                number.to_string()
            } else {
                count(number, noun)
            };
            said.push(format!(
                "{who} {verb}{}",
                if number == 1 { "s" } else { "" }
            ));
            noun = "";
        }
    }
    let reboots = |plan: &brine_model::converge::Plan| plan.impact() == Impact::Reboot;
    match run.plans.iter().filter(|(_, plan)| reboots(plan)).count() {
        0 => said.join(", "),
        nodes => {
            let verb = if nodes == 1 { "reboots" } else { "reboot" };
            said.push(format!("{} {verb}", count(nodes, "node")));
            said.join(", ")
        }
    }
}

fn without_plan(run: &RunDetail, page: &mut Page) {
    for node in run
        .summary
        .nodes
        .iter()
        .filter(|node| !has_plan(run, &node.name))
    {
        let (tone, state) = super::words::node(node.state);
        page.gap()
            .put(Tone::Accent, node.name.as_str())
            .plain(": ")
            .put(tone, state)
            .end();
        page.block(tone, 6, node.reason.as_deref().unwrap_or_default());
    }
}

fn has_plan(run: &RunDetail, name: &NodeName) -> bool {
    run.plans.iter().any(|(node, _)| node == name)
}
