//! What the kernel counts since the machine began: interrupts, context switches, new processes.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "stat",
    enabled: true,
    options: &[Opt {
        name: "softirq",
        help: "Export softirq calls per vector",
        default: Value::Switch(false),
    }],
    new: |options| {
        let softirq = options.switch("softirq");
        Ok(Box::new(Stat { softirq }))
    },
};

const FILE: &str = "stat";

/// In the order of the kernel's columns, which begin with a total.
const VECTORS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

struct Stat {
    softirq: bool,
}

/// A line that a kernel does not have counts nothing.
#[derive(Default)]
struct Counts {
    interrupts: u64,
    switches: u64,
    forks: u64,
    boot: u64,
    running: u64,
    blocked: u64,
    softirqs: [u64; VECTORS.len()],
}

impl Collector for Stat {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let counts = self.counts(&roots.proc(FILE)?)?;
        out.counter("node_intr_total", "Total number of interrupts serviced.")
            .add(&[], counts.interrupts);
        out.counter(
            "node_context_switches_total",
            "Total number of context switches.",
        )
        .add(&[], counts.switches);
        out.counter("node_forks_total", "Total number of forks.")
            .add(&[], counts.forks);
        out.gauge("node_boot_time_seconds", "Node boot time, in unixtime.")
            .add(&[], counts.boot);
        out.gauge(
            "node_procs_running",
            "Number of processes in runnable state.",
        )
        .add(&[], counts.running);
        out.gauge(
            "node_procs_blocked",
            "Number of processes blocked waiting for I/O to complete.",
        )
        .add(&[], counts.blocked);
        if self.softirq {
            let mut family = out.counter("node_softirqs_total", "Number of softirq calls.");
            for (vector, count) in VECTORS.iter().zip(counts.softirqs) {
                family.add(&[("vector", vector)], count);
            }
        }
        Ok(())
    }
}

impl Stat {
    fn counts(&self, text: &str) -> Result<Counts, CollectError> {
        let mut counts = Counts::default();
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(' ') else {
                continue;
            };
            // Behind the total of `intr` is a column for each interrupt, thousands on large machines: no need to look.
            let mut words = rest.split_ascii_whitespace();
            let count = match key {
                "intr" => &mut counts.interrupts,
                "ctxt" => &mut counts.switches,
                "processes" => &mut counts.forks,
                "btime" => &mut counts.boot,
                "procs_running" => &mut counts.running,
                "procs_blocked" => &mut counts.blocked,
                "softirq" if self.softirq => {
                    let mut vectors = words.skip(1);
                    for count in &mut counts.softirqs {
                        *count = number(FILE, vectors.next())?;
                    }
                    continue;
                }
                _ => continue,
            };
            *count = number(FILE, words.next())?;
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const TEXT: &str = "\
cpu  1 2 3 4 5 6 7 8 9 10
cpu0 1 2 3 4 5 6 7 8 9 10
intr 5000 1 2 3
ctxt 6000000
btime 1700000000
processes 70
procs_running 3
procs_blocked 1
softirq 55 1 2 3 4 5 6 7 8 9 10
";

    #[test]
    fn counts_since_boot() {
        let machine = Machine::new(&[("proc/stat", TEXT)]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_intr_total 5000\n"), "{text}");
        assert!(
            text.contains("\nnode_context_switches_total 6e+06\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_boot_time_seconds 1.7e+09\n"),
            "{text}"
        );
        assert!(text.contains("\nnode_procs_blocked 1\n"), "{text}");
        assert!(!text.contains("softirq"), "{text}");
        let text = collected_with(&DEFINITION, &[("softirq", "true")], &machine).unwrap();
        assert!(
            text.contains("\nnode_softirqs_total{vector=\"hi\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_softirqs_total{vector=\"rcu\"} 10\n"),
            "{text}"
        );
    }

    #[test]
    fn lines_may_be_missing_and_may_not_be_odd() {
        let machine = Machine::new(&[("proc/stat", "ctxt 5\n")]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_context_switches_total 5\n"), "{text}");
        assert!(text.contains("\nnode_forks_total 0\n"), "{text}");
        let machine = Machine::new(&[("proc/stat", "ctxt -\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
        let machine = Machine::new(&[("proc/stat", "softirq 5 1 2\n")]);
        assert!(collected_with(&DEFINITION, &[("softirq", "true")], &machine).is_err());
        assert!(collected(&DEFINITION, &Machine::new(&[])).is_err());
    }
}
