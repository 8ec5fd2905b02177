//! What the NFS client did: packets, calls, and how often it asked for what.

use std::collections::HashMap;

use brine_exposition::{Exposition, Samples};

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "nfs",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "net/rpc/nfs";

const LINES: [Line; 5] = [
    ("net", Columns::Exactly(4)),
    ("rpc", Columns::Exactly(3)),
    ("proc2", Columns::Counted(PROCEDURES_2.len())),
    ("proc3", Columns::Counted(PROCEDURES_3.len())),
    // It grows with every kernel: what an old one does not count is 0.
    ("proc4", Columns::Counted(0)),
];

/// A line of the statistics, by its first word.
pub(super) type Line = (&'static str, Columns);

/// How many numbers a line has.
#[derive(Clone, Copy)]
pub(super) enum Columns {
    Exactly(usize),
    /// The first one says how many follow, and these are at least so many.
    Counted(usize),
}

/// Procedures of version 2, as they are numbered.
pub(super) const PROCEDURES_2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write",
    "Create", "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

/// Procedures of version 3, as they are numbered.
pub(super) const PROCEDURES_3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];

/// What a client of version 4 asks for, in the kernel's order.
const PROCEDURES_4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "LayoutGet",
    "GetDeviceInfo",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE).map_err(CollectError::without_file)?;
    let statistics = Statistics::of(FILE, &text, &LINES)?;
    out.counter(
        "node_nfs_packets_total",
        "Total NFSd network packets (sent+received) by protocol type.",
    )
    .add(&[("protocol", "udp")], statistics.value("net", 1))
    .add(&[("protocol", "tcp")], statistics.value("net", 2));
    out.counter(
        "node_nfs_connections_total",
        "Total number of NFSd TCP connections.",
    )
    .add(&[], statistics.value("net", 3));
    out.counter("node_nfs_rpcs_total", "Total number of RPCs performed.")
        .add(&[], statistics.value("rpc", 0));
    out.counter(
        "node_nfs_rpc_retransmissions_total",
        "Number of RPC transmissions performed.",
    )
    .add(&[], statistics.value("rpc", 1));
    out.counter(
        "node_nfs_rpc_authentication_refreshes_total",
        "Number of RPC authentication refreshes performed.",
    )
    .add(&[], statistics.value("rpc", 2));
    let mut family = out.counter(
        "node_nfs_requests_total",
        "Number of NFS procedures invoked.",
    );
    for (line, version, procedures) in [
        ("proc2", "2", &PROCEDURES_2[..]),
        ("proc3", "3", &PROCEDURES_3),
        ("proc4", "4", &PROCEDURES_4),
    ] {
        for (place, procedure) in procedures.iter().enumerate() {
            let count = statistics.value(line, place + 1);
            request(&mut family, version, procedure, count);
        }
    }
    Ok(())
}

/// A sample of the family of requests.
pub(super) fn request(family: &mut Samples<'_>, version: &str, procedure: &str, count: u64) {
    family.add(&[("proto", version), ("method", procedure)], count);
}

/// Numbers by the first word of their line.
pub(super) struct Statistics<'a>(HashMap<&'a str, Vec<u64>>);

impl<'a> Statistics<'a> {
    /// Lines that are not among `known`, or are not as it says, are failures of all.
    pub(super) fn of(file: &str, text: &'a str, known: &[Line]) -> Result<Self, CollectError> {
        let mut lines = HashMap::new();
        for line in text.lines() {
            let malformed = || CollectError::malformed(file, line);
            let mut words = line.split_ascii_whitespace();
            let first = words.next().ok_or_else(malformed)?;
            let mut known = known.iter();
            let (_, columns) = known
                .find(|(word, _)| *word == first)
                .ok_or_else(malformed)?;
            // Behind the numbers of threads is a histogram of fractions that has long been empty.
            let limit = if first == "th" { 2 } else { usize::MAX };
            let values = words.take(limit).map(|word| number(file, Some(word)));
            let values = values.collect::<Result<Vec<u64>, _>>()?;
            if !columns.are(&values) {
                return Err(malformed());
            }
            lines.insert(first, values);
        }
        Ok(Self(lines))
    }

    /// 0 where there is none.
    pub(super) fn value(&self, line: &str, column: usize) -> u64 {
        let values = self.0.get(line);
        values
            .and_then(|values| values.get(column))
            .copied()
            .unwrap_or_default()
    }
}

impl Columns {
    fn are(self, values: &[u64]) -> bool {
        match (self, values) {
            (Self::Exactly(count), _) => values.len() == count,
            (Self::Counted(least), [count, rest @ ..]) => {
                rest.len() as u64 == *count && rest.len() >= least
            }
            (Self::Counted(_), []) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    fn text(proc4: &str) -> String {
        let zeros = " 0".repeat(16);
        format!("net 9 1 2 3\nrpc 4000000 5 6\nproc2 18 7 8{zeros}\nproc4 {proc4}\n")
    }

    #[test]
    fn procedures_by_version() {
        let machine = Machine::new(&[("proc/net/rpc/nfs", &text("3 10 11 12"))]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains("\nnode_nfs_packets_total{protocol=\"tcp\"} 2\n"),
            "{text}"
        );
        assert!(text.contains("\nnode_nfs_rpcs_total 4e+06\n"), "{text}");
        for (version, method, count) in [
            ("2", "GetAttr", 8),
            ("3", "Commit", 0),
            ("4", "Write", 12),
            ("4", "Clone", 0),
        ] {
            let line = format!(
                "\nnode_nfs_requests_total{{proto=\"{version}\",method=\"{method}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn without_the_module_there_is_nothing_and_odd_lines_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        for odd in [
            text("3 10 11"),
            text("x"),
            text(""),
            "net 1 2 3\n".to_owned(),
            "proc2 2 1 2\n".to_owned(),
            "other 1\n".to_owned(),
            "\n".to_owned(),
        ] {
            let machine = Machine::new(&[("proc/net/rpc/nfs", &odd)]);
            let result = collected(&DEFINITION, &machine);
            assert!(
                matches!(result, Err(CollectError::Malformed { .. })),
                "{odd}"
            );
        }
    }
}
