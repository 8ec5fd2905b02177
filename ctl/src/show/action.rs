//! What an action is about to do, and what it has left on each node.

use brine_model::name::NodeName;
use brine_wire::operator::NodeInfo;
use brine_wire::run::{NodeState, Output, RunDetail};

use super::apply::{draw_troubles, sum};
use super::count::count;
use super::names::names;
use super::nodes::paused;
use super::page::Page;
use super::style::{Style, Tone};
use super::{diagnostics, words};

/// What is asked for, and on which nodes.
#[must_use]
pub fn intent(words: &str, nodes: &[NodeInfo], style: Style) -> String {
    let mut page = Page::new(style);
    page.put(Tone::Strong, words)
        .plain(&format!(" on {}:", count(nodes.len(), "node")))
        .end();
    let those = |wanted: &dyn Fn(&NodeInfo) -> bool| -> Vec<&NodeName> {
        let wanted = nodes.iter().filter(|node| wanted(node));
        wanted.map(|node| &node.name).collect()
    };
    page.pad(2).line(Tone::Accent, &names(&those(&|_| true)));
    for (what, concerned) in [
        ("not connected", those(&|node| !node.connected)),
        ("paused", those(&|node| paused(node, style.now).is_some())),
    ] {
        if !concerned.is_empty() {
            page.pad(2)
                .put(Tone::Warn, what)
                .plain(": ")
                .line(Tone::Plain, &names(&concerned));
        }
    }
    page.finish()
}

/// What nodes said, the same once; what went wrong; the sum.
#[must_use]
pub fn summary(run: &RunDetail, style: Style) -> String {
    let mut page = Page::new(style);
    page.drawn(&diagnostics::list(&run.diagnostics, style));
    for (nodes, output) in grouped(&run.outputs) {
        page.gap().put(Tone::Accent, &names(&nodes));
        if output.code != 0 {
            page.plain(": ")
                .put(Tone::Bad, &format!("exit code {}", output.code));
        }
        page.end();
        page.block(Tone::Plain, 2, &output.stdout)
            .block(Tone::Warn, 2, &output.stderr);
        if output.stdout.is_empty() && output.stderr.is_empty() {
            page.pad(2).line(Tone::Dim, "no output");
        }
    }
    draw_troubles(run, &mut page);
    page.gap();
    let (tone, phase) = words::phase(run.summary.phase);
    page.put(Tone::Strong, &format!("run {} ", run.summary.id))
        .put(tone, phase);
    page.plain(": ").plain(&sum(&run.summary)).end();
    page.block(tone, 2, run.summary.reason.as_deref().unwrap_or_default());
    page.finish()
}

/// Whether a program has said that it failed, or a node that it did.
#[must_use]
pub fn has_failures(run: &RunDetail) -> bool {
    run.outputs.iter().any(|(_, output)| output.code != 0)
        || run
            .summary
            .nodes
            .iter()
            .any(|node| node.state == NodeState::Failed)
}

fn grouped(outputs: &[(NodeName, Output)]) -> Vec<(Vec<&NodeName>, &Output)> {
    let mut groups: Vec<(Vec<&NodeName>, &Output)> = Vec::new();
    for (node, output) in outputs {
        match groups.iter_mut().find(|(_, known)| *known == output) {
            Some((nodes, _)) => nodes.push(node),
            None => groups.push((vec![node], output)),
        }
    }
    groups
}
