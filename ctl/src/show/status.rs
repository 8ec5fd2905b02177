//! How the fleet is, on one screen: sums first, then only what needs a look.

use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_wire::operator::{Enrollment, NodeInfo, Status};

use super::count::{count, parts};
use super::names::names;
use super::nodes::{Standing, paused, standing};
use super::page::Page;
use super::style::{Style, Tone};
use super::{diagnostics, runs};

#[must_use]
pub fn status(status: &Status, style: Style) -> String {
    let mut page = Page::new(style);
    page.put(Tone::Dim, "server ").plain(&status.server_version);
    page.put(Tone::Dim, ", states ")
        .plain(&status.snapshot)
        .end();
    sums(&status.nodes, &mut page);
    for (tone, what, concerned) in concerns(&status.nodes, style.now) {
        if !concerned.is_empty() {
            page.pad(2)
                .put(tone, what)
                .plain(": ")
                .line(Tone::Plain, &names(&concerned));
        }
    }
    if !status.runs.is_empty() {
        page.gap().line(Tone::Strong, "runs going on");
        page.drawn(&runs::list(&status.runs, style));
    }
    if !status.diagnostics.is_empty() {
        let sum = diagnostics::sum(&status.diagnostics);
        page.gap()
            .put(Tone::Strong, "state tree: ")
            .line(Tone::Bad, &sum);
        page.drawn(&diagnostics::list(&status.diagnostics, style));
    }
    page.finish()
}

fn sums(nodes: &[NodeInfo], page: &mut Page) {
    let number = |wanted: &dyn Fn(&NodeInfo) -> bool| nodes.iter().filter(|n| wanted(n)).count();
    let connected = number(&|node| node.connected);
    let reach = parts(&[
        (connected, "connected"),
        (number(&is_silent), "silent"),
        (number(&is_waiting), "waiting to be accepted"),
        (number(&is_expected), "not enrolled"),
    ]);
    let catalogs = parts(&[
        (
            number(&|node| standing(node) == Standing::UpToDate),
            "up to date",
        ),
        (number(&|node| standing(node) == Standing::Behind), "behind"),
        (
            number(&|node| standing(node) == Standing::NeverApplied),
            "never applied",
        ),
        (
            number(&|node| standing(node) == Standing::NoCatalog),
            "without a catalog",
        ),
    ]);
    page.put(Tone::Strong, &count(nodes.len(), "node"));
    if !nodes.is_empty() {
        page.plain(&format!(": {reach}; {catalogs}"));
    }
    page.end();
}

/// What needs a look, worst first.
fn concerns(nodes: &[NodeInfo], now: Timestamp) -> Vec<(Tone, &'static str, Vec<&NodeName>)> {
    let those = |wanted: &dyn Fn(&NodeInfo) -> bool| {
        nodes
            .iter()
            .filter(|node| wanted(node))
            .map(|node| &node.name)
            .collect()
    };
    vec![
        (Tone::Bad, "silent", those(&is_silent)),
        (
            Tone::Bad,
            "without a catalog",
            those(&|n| standing(n) == Standing::NoCatalog),
        ),
        (
            Tone::Warn,
            "paused",
            those(&|node| paused(node, now).is_some()),
        ),
        (Tone::Warn, "drifted", those(&|node| node.drifted > 0)),
        (Tone::Warn, "waiting to be accepted", those(&is_waiting)),
        (
            Tone::Warn,
            "behind",
            those(&|n| standing(n) == Standing::Behind),
        ),
        (
            Tone::Dim,
            "never applied",
            those(&|n| standing(n) == Standing::NeverApplied),
        ),
        (Tone::Dim, "not enrolled", those(&is_expected)),
    ]
}

fn is_silent(node: &NodeInfo) -> bool {
    !node.connected && matches!(node.enrollment, Enrollment::Enrolled { .. })
}

fn is_waiting(node: &NodeInfo) -> bool {
    !node.connected && matches!(node.enrollment, Enrollment::Waiting { .. })
}

fn is_expected(node: &NodeInfo) -> bool {
    !node.connected && node.enrollment == Enrollment::Expected
}
