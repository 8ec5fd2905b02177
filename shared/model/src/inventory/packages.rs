//! Packages, from dpkg's own file: what `dpkg-query -W` says.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "packages",
    doc: "An installed package.",
    columns: &[
        column("name", "its name"),
        column("architecture", "amd64, all"),
        column("version", "its version; compare with COLLATE version"),
        column("source", "the source package that it is built from"),
        column("status", "installed, half-configured, …"),
        column("hold", "1 if it is kept at its version"),
    ],
    key: 2,
    asked: &["source"],
    times: &[],
    fleeting: &[],
    collect,
};

const STATUS: &str = "/var/lib/dpkg/status";

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let text = machine.text(STATUS)?;
    Ok(text.split("\n\n").filter_map(row).collect())
}

/// None for what is only known, or has left its configuration behind.
fn row(paragraph: &str) -> Option<Row> {
    // Continued lines begin with a space, so no description can pose as a field.
    let field = |name: &str| {
        paragraph
            .lines()
            .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    };
    let name = field("Package")?;
    let mut status = field("Status")?.split_whitespace();
    let (want, state) = (status.next()?, status.nth(1)?);
    if matches!(state, "not-installed" | "config-files") {
        return None;
    }
    // With a version of its own in brackets, where that differs.
    let source = field("Source").map_or(name, |source| {
        source.split_once(' ').map_or(source, |(name, _)| name)
    });
    Some(vec![
        name.into(),
        field("Architecture").unwrap_or_default().into(),
        field("Version").unwrap_or_default().into(),
        source.into(),
        state.into(),
        i64::from(want == "hold").into(),
    ])
}
