//! Modules that the kernel has loaded.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "modules",
    doc: "A loaded kernel module.",
    columns: &[column("name", "its name"), column("size", "bytes")],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    // A kernel without modules has no such file.
    let text = machine.text("/proc/modules").unwrap_or_default();
    let rows = text.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let name = fields.next()?;
        let size = fields.next()?.parse::<i64>().ok();
        Some(vec![name.into(), size.into()])
    });
    Ok(rows.collect())
}
