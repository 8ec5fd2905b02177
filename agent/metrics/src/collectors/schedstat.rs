//! How long each processor ran processes, and how long processes waited for it.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "schedstat",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "schedstat";

const NANOSECONDS: f64 = 1e9;

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE).map_err(CollectError::without_file)?;
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    let mut family = out.counter(
        "node_schedstat_running_seconds_total",
        "Number of seconds CPU spent running a process.",
    );
    for (processor, [running, ..]) in &rows {
        family.add(&[("cpu", processor)], *running as f64 / NANOSECONDS);
    }
    let mut family = out.counter(
        "node_schedstat_waiting_seconds_total",
        "Number of seconds spent by processing waiting for this CPU.",
    );
    for (processor, [_, waiting, _]) in &rows {
        family.add(&[("cpu", processor)], *waiting as f64 / NANOSECONDS);
    }
    let mut family = out.counter(
        "node_schedstat_timeslices_total",
        "Number of timeslices executed by CPU.",
    );
    for (processor, [.., slices]) in &rows {
        family.add(&[("cpu", processor)], *slices);
    }
    Ok(())
}

/// The processor's number, and the last three of its nine columns; none for a line about something else.
fn row(line: &str) -> Option<(&str, [u64; 3])> {
    let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
    let processor = words.next()?;
    processor.parse::<u64>().ok()?;
    let mut words = words.skip(6).map(|word| word.parse().ok());
    Some((processor, [words.next()??, words.next()??, words.next()??]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn the_last_columns_of_each_processor() {
        let machine = Machine::new(&[(
            "proc/schedstat",
            "version 15\ntimestamp 5\ncpu0 1 0 2 3 4 5 1500000000 2500000000 77\ndomain0 03 1 2\ncpu1 1 0 2 3 4 5 6 7\ncpu2 1 0 2 3 4 5 6 7 x\n",
        )]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains("\nnode_schedstat_running_seconds_total{cpu=\"0\"} 1.5\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_schedstat_waiting_seconds_total{cpu=\"0\"} 2.5\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_schedstat_timeslices_total{cpu=\"0\"} 77\n"),
            "{text}"
        );
        assert!(!text.contains("cpu=\"1\"") && !text.contains("cpu=\"2\""));
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
    }
}
