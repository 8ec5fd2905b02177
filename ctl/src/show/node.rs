//! All about one node.

use brine_model::facts::Facts;
use brine_wire::operator::{Enrollment, NodeDetail};

use super::nodes::{catalog, generation, joined, labels, paused, since, state};
use super::page::Page;
use super::style::{Style, Tone};
use super::time::left;
use super::{diagnostics, runs};

#[must_use]
pub fn node(node: &NodeDetail, style: Style) -> String {
    let mut page = Page::new(style);
    let info = &node.info;
    page.line(Tone::Strong, info.name.as_str());
    field(&mut page, "roles", &joined(&info.roles));
    field(&mut page, "labels", &labels(&info.labels));
    field(
        &mut page,
        "address",
        info.address.as_deref().unwrap_or_default(),
    );
    toned(&mut page, "state", state(info));
    let paused = paused(info, style.now).map(|paused| format!("for {paused}"));
    toned(
        &mut page,
        "paused",
        (Tone::Warn, paused.unwrap_or_default()),
    );
    field(&mut page, "last seen", &since(style.now, info.last_seen));
    field(
        &mut page,
        "agent",
        info.agent_version.as_deref().unwrap_or_default(),
    );
    toned(&mut page, "catalog", catalog(info));
    if info.drifted > 0 {
        let drifted = format!("{}: `ctl drift node={}`", info.drifted, info.name);
        toned(&mut page, "drifted", (Tone::Warn, drifted));
    }
    field(
        &mut page,
        "generation",
        &generation(info).unwrap_or_default(),
    );
    enrollment(&info.enrollment, &mut page);
    if let Some(facts) = &node.facts {
        let age = since(style.now, node.facts_at);
        page.gap()
            .put(Tone::Strong, "facts")
            .plain(" ")
            .put(Tone::Dim, &age)
            .end();
        draw_facts(facts, &mut page);
    }
    if !node.resources.is_empty() {
        page.gap().line(Tone::Strong, "resources, in order");
        for resource in &node.resources {
            page.pad(2).line(Tone::Plain, resource);
        }
    }
    if !node.runs.is_empty() {
        page.gap().line(Tone::Strong, "runs");
        page.drawn(&runs::list(&node.runs, style));
    }
    if !node.diagnostics.is_empty() {
        page.gap()
            .drawn(&diagnostics::list(&node.diagnostics, style));
    }
    page.finish()
}

fn enrollment(enrollment: &Enrollment, page: &mut Page) {
    match enrollment {
        Enrollment::Expected => {}
        Enrollment::Waiting { fingerprint } => field(page, "key", fingerprint),
        Enrollment::Enrolled {
            fingerprint,
            expires,
        } => {
            field(page, "key", fingerprint);
            let now = page.style.now;
            field(
                page,
                "certificate",
                &format!("expires {}", left(now, *expires)),
            );
        }
    }
}

fn draw_facts(facts: &Facts, page: &mut Page) {
    field(page, "os", &facts.os.name);
    field(
        page,
        "kernel",
        &format!("{} {}", facts.kernel.release, facts.kernel.architecture),
    );
    field(
        page,
        "cpu",
        &format!("{} × {}", facts.cpu.count, facts.cpu.model),
    );
    let swap = gigabytes(facts.memory.swap);
    field(
        page,
        "memory",
        &format!("{}, swap {swap}", gigabytes(facts.memory.total)),
    );
    field(page, "hostname", &facts.network.hostname);
    for interface in &facts.network.interfaces {
        field(page, &interface.name, &interface.addresses.join(", "));
    }
    for disk in &facts.disks {
        let size = gigabytes(disk.total);
        field(
            page,
            &disk.mount,
            &format!("{size} {} on {}", disk.file_system, disk.device),
        );
    }
}

/// `7.8 GiB`, in whole tenths.
fn gigabytes(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / (1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

fn field(page: &mut Page, name: &str, value: &str) {
    toned(page, name, (Tone::Plain, value.to_owned()));
}

fn toned(page: &mut Page, name: &str, (tone, value): (Tone, String)) {
    if !value.trim().is_empty() {
        page.pad(2)
            .put(Tone::Dim, &format!("{name:<12}"))
            .plain(" ")
            .put(tone, &value)
            .end();
    }
}
