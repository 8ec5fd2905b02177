//! What the NFS server did: its caches, its threads, its traffic, and how often it was asked for what.

use brine_exposition::{Exposition, Kind};

use super::nfs::{Columns, Line, PROCEDURES_2, PROCEDURES_3, Statistics, request};
use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "nfsd",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "net/rpc/nfsd";

const LINES: [Line; 12] = [
    ("rc", Columns::Exactly(3)),
    ("fh", Columns::Exactly(5)),
    ("io", Columns::Exactly(2)),
    ("th", Columns::Exactly(2)),
    ("ra", Columns::Exactly(12)),
    ("net", Columns::Exactly(4)),
    ("rpc", Columns::Exactly(5)),
    ("proc2", Columns::Counted(PROCEDURES_2.len())),
    ("proc3", Columns::Counted(PROCEDURES_3.len())),
    ("proc4", Columns::Counted(2)),
    ("proc4ops", Columns::Counted(39)),
    // Since Linux 6.6; there is no metric of it.
    ("wdeleg_getattr", Columns::Exactly(1)),
];

/// A metric of its own: its line and column, kind, name and help.
type Metric = (&'static str, usize, Kind, &'static str, &'static str);

const METRICS: [Metric; 11] = [
    (
        "rc",
        0,
        Kind::Counter,
        "node_nfsd_reply_cache_hits_total",
        "Total number of NFSd Reply Cache hits (client lost server response).",
    ),
    (
        "rc",
        1,
        Kind::Counter,
        "node_nfsd_reply_cache_misses_total",
        "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
    ),
    (
        "rc",
        2,
        Kind::Counter,
        "node_nfsd_reply_cache_nocache_total",
        "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
    ),
    // The kernel does not use the other columns of this line any more.
    (
        "fh",
        0,
        Kind::Counter,
        "node_nfsd_file_handles_stale_total",
        "Total number of NFSd stale file handles",
    ),
    (
        "io",
        0,
        Kind::Counter,
        "node_nfsd_disk_bytes_read_total",
        "Total NFSd bytes read.",
    ),
    (
        "io",
        1,
        Kind::Counter,
        "node_nfsd_disk_bytes_written_total",
        "Total NFSd bytes written.",
    ),
    (
        "th",
        0,
        Kind::Gauge,
        "node_nfsd_server_threads",
        "Total number of NFSd kernel threads that are running.",
    ),
    (
        "ra",
        0,
        Kind::Gauge,
        "node_nfsd_read_ahead_cache_size_blocks",
        "How large the read ahead cache is in blocks.",
    ),
    (
        "ra",
        11,
        Kind::Counter,
        "node_nfsd_read_ahead_cache_not_found_total",
        "Total number of NFSd read ahead cache not found.",
    ),
    (
        "net",
        3,
        Kind::Counter,
        "node_nfsd_connections_total",
        "Total number of NFSd TCP connections.",
    ),
    (
        "rpc",
        0,
        Kind::Counter,
        "node_nfsd_server_rpcs_total",
        "Total number of NFSd RPCs.",
    ),
];

/// Operations of version 4 as they are numbered, from 3 on; those without a name are not told.
const OPERATIONS: [&str; 35] = [
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "Verify",
    "Write",
    "RelLockOwner",
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE).map_err(CollectError::without_file)?;
    let statistics = Statistics::of(FILE, &text, &LINES)?;
    for (line, column, kind, name, help) in METRICS {
        out.family(name, kind, help)
            .add(&[], statistics.value(line, column));
    }
    out.counter(
        "node_nfsd_packets_total",
        "Total NFSd network packets (sent+received) by protocol type.",
    )
    .add(&[("proto", "udp")], statistics.value("net", 1))
    .add(&[("proto", "tcp")], statistics.value("net", 2));
    out.counter(
        "node_nfsd_rpc_errors_total",
        "Total number of NFSd RPC errors by error type.",
    )
    .add(&[("error", "fmt")], statistics.value("rpc", 2))
    .add(&[("error", "auth")], statistics.value("rpc", 3))
    .add(&[("error", "cInt")], statistics.value("rpc", 4));
    let mut family = out.counter(
        "node_nfsd_requests_total",
        "Total number NFSd Requests by method and protocol.",
    );
    // The column of the first name is behind a count, and behind procedures that are not told.
    for (line, version, first, names) in [
        ("proc2", "2", 2, &PROCEDURES_2[1..]),
        ("proc3", "3", 2, &PROCEDURES_3[1..]),
        ("proc4ops", "4", 4, &OPERATIONS),
    ] {
        for (place, name) in names.iter().enumerate() {
            if !name.is_empty() {
                let count = statistics.value(line, first + place);
                request(&mut family, version, name, count);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn operations_by_version() {
        let operations: Vec<String> = (0..40).map(|number| format!(" {number}")).collect();
        let file = format!(
            "rc 1 2 3\nth 8 0 0.000 0.500\nnet 9 5 6 7\nrpc 100 6 1 2 3\nproc4 2 4 5\nproc4ops 40{}\nwdeleg_getattr 0\n",
            operations.concat()
        );
        let machine = Machine::new(&[("proc/net/rpc/nfsd", &file)]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "\nnode_nfsd_reply_cache_nocache_total 3\n",
            "\n# TYPE node_nfsd_server_threads gauge\nnode_nfsd_server_threads 8\n",
            "\nnode_nfsd_read_ahead_cache_size_blocks 0\n",
            "\nnode_nfsd_packets_total{proto=\"tcp\"} 6\n",
            "\nnode_nfsd_rpc_errors_total{error=\"cInt\"} 3\n",
            "\nnode_nfsd_requests_total{proto=\"2\",method=\"GetAttr\"} 0\n",
            "\nnode_nfsd_requests_total{proto=\"4\",method=\"Access\"} 3\n",
            "\nnode_nfsd_requests_total{proto=\"4\",method=\"Read\"} 25\n",
            "\nnode_nfsd_requests_total{proto=\"4\",method=\"RelLockOwner\"} 37\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("method=\"\"") && !text.contains("Null"));
    }

    #[test]
    fn without_the_module_there_is_nothing_and_odd_lines_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        for odd in ["th 8\n", "rc 1 2\n", "proc4ops 2 1 2\n", "io a b\n"] {
            let machine = Machine::new(&[("proc/net/rpc/nfsd", odd)]);
            let result = collected(&DEFINITION, &machine);
            assert!(
                matches!(result, Err(CollectError::Malformed { .. })),
                "{odd}"
            );
        }
    }
}
