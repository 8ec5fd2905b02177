//! Connections that the packet filter keeps track of.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::{hexadecimal, number};

pub(super) const DEFINITION: Definition = Definition {
    name: "conntrack",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const COUNT: &str = "sys/net/netfilter/nf_conntrack_count";
const LIMIT: &str = "sys/net/netfilter/nf_conntrack_max";
const STATISTICS: &str = "net/stat/nf_conntrack";

/// In a row of the statistics, which is one of a processor.
const COLUMNS: usize = 17;

/// A column, its metric and help.
const METRICS: [(usize, &str, &str); 8] = [
    (
        2,
        "node_nf_conntrack_stat_found",
        "Number of searched entries which were successful.",
    ),
    (
        4,
        "node_nf_conntrack_stat_invalid",
        "Number of packets seen which can not be tracked.",
    ),
    (
        5,
        "node_nf_conntrack_stat_ignore",
        "Number of packets seen which are already connected to a conntrack entry.",
    ),
    (
        8,
        "node_nf_conntrack_stat_insert",
        "Number of entries inserted into the list.",
    ),
    (
        9,
        "node_nf_conntrack_stat_insert_failed",
        "Number of entries for which list insertion was attempted but failed.",
    ),
    (
        10,
        "node_nf_conntrack_stat_drop",
        "Number of packets dropped due to conntrack failure.",
    ),
    (
        11,
        "node_nf_conntrack_stat_early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
    ),
    (
        16,
        "node_nf_conntrack_stat_search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
    ),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    // Where one of the files is missing, the module is not there, or not all of it.
    let text = |file| roots.proc(file).map_err(CollectError::without_file);
    let count: u64 = number(COUNT, Some(text(COUNT)?.trim()))?;
    out.gauge(
        "node_nf_conntrack_entries",
        "Number of currently allocated flow entries for connection tracking.",
    )
    .add(&[], count);
    let limit: u64 = number(LIMIT, Some(text(LIMIT)?.trim()))?;
    out.gauge(
        "node_nf_conntrack_entries_limit",
        "Maximum size of connection tracking table.",
    )
    .add(&[], limit);
    let sums = sums(&text(STATISTICS)?)?;
    for ((_, name, help), sum) in METRICS.into_iter().zip(sums) {
        out.gauge(name, help).add(&[], sum);
    }
    Ok(())
}

/// Over all processors.
fn sums(text: &str) -> Result<[u64; METRICS.len()], CollectError> {
    let mut sums = [0_u64; METRICS.len()];
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if words.len() != COLUMNS {
            return Err(CollectError::malformed(STATISTICS, line));
        }
        for (sum, (column, ..)) in sums.iter_mut().zip(METRICS) {
            let count = hexadecimal(STATISTICS, words.get(column).copied())?;
            *sum = sum.wrapping_add(count);
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const FILES: [(&str, &str); 3] = [
        ("proc/sys/net/netfilter/nf_conntrack_count", "12\n"),
        ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
        (
            "proc/net/stat/nf_conntrack",
            "entries and so on\nc 0 1 0 2 a 0 0 3 4 5 6 0  0 0 0 7\nc 0 1 0 2 a 0 0 3 4 5 6 0  0 0 0 8\n",
        ),
    ];

    #[test]
    fn columns_are_summed_over_processors() {
        let text = collected(&DEFINITION, &Machine::new(&FILES)).unwrap();
        assert!(text.contains("\nnode_nf_conntrack_entries 12\n"), "{text}");
        assert!(
            text.contains("\nnode_nf_conntrack_stat_found 2\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_nf_conntrack_stat_ignore 20\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_nf_conntrack_stat_search_restart 15\n"),
            "{text}"
        );
    }

    #[test]
    fn without_the_module_there_is_nothing_and_short_rows_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&FILES[..2]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        let machine = Machine::new(&[
            FILES[0],
            FILES[1],
            ("proc/net/stat/nf_conntrack", "x\n1 2 3\n"),
        ]);
        let odd = collected(&DEFINITION, &machine);
        assert!(matches!(odd, Err(CollectError::Malformed { .. })));
    }
}
