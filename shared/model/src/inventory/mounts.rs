//! What is mounted where: what `findmnt` says.

use super::{Machine, Row, Table, column};

pub(super) const TABLE: Table = Table {
    name: "mounts",
    doc: "A mounted file system.",
    columns: &[
        column("path", "where it is mounted"),
        column(
            "device",
            "what is mounted: a device, server:/export, or the type itself",
        ),
        column("type", "ext4, xfs, fuse.glusterfs"),
        column(
            "options",
            "of the mount and of the file system, with commas",
        ),
    ],
    key: 1,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let text = machine.text("/proc/self/mountinfo")?;
    let mut rows: Vec<Row> = text.lines().filter_map(row).collect();
    // What is mounted over another hides it, and stands below it.
    rows.reverse();
    let mut seen = std::collections::BTreeSet::new();
    rows.retain(|row| seen.insert(row[0].clone()));
    Ok(rows)
}

/// A line of mountinfo (proc(5)): `36 35 98:0 /root /at rw,noatime shared:1 - ext3 /dev/sda rw`.
fn row(line: &str) -> Option<Row> {
    let (mount, system) = line.split_once(" - ")?;
    let mount: Vec<&str> = mount.split(' ').collect();
    let mut system = system.split(' ');
    let (kind, device) = (system.next()?, system.next()?);
    let mut options: Vec<&str> = mount.get(5)?.split(',').collect();
    for option in system.next().unwrap_or_default().split(',') {
        if !option.is_empty() && !options.contains(&option) {
            options.push(option);
        }
    }
    Some(vec![
        unescaped(mount.get(4)?).into(),
        unescaped(device).into(),
        kind.into(),
        options.join(",").into(),
    ])
}

/// Spaces and their like are written as `\040`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = rest.get(1..4).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match (first, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                rest = rest.get(4..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
