//! Time lost by waiting for processors, disks and memory.

use brine_exposition::Exposition;
use nix::errno::Errno;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "pressure",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// A file, what its line `some` counts, and what its line `full` counts.
type Resource = (&'static str, Metric, Option<Metric>);
type Metric = (&'static str, &'static str);

/// For processors, `full` says nothing for the machine as a whole.
const RESOURCES: [Resource; 3] = [
    (
        "pressure/cpu",
        (
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        ),
        None,
    ),
    (
        "pressure/io",
        (
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        ),
        Some((
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        )),
    ),
    (
        "pressure/memory",
        (
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        ),
        Some((
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        )),
    ),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    for (file, some, full) in RESOURCES {
        let text = roots.proc(file).map_err(|error| {
            // The kernel can do it, and was told at boot not to.
            if error.is(Errno::EOPNOTSUPP) {
                CollectError::NoData
            } else {
                CollectError::without_file(error)
            }
        })?;
        let waited = seconds(file, &text, "some")?;
        let stalled = match full {
            Some(metric) => Some((metric, seconds(file, &text, "full")?)),
            None => None,
        };
        for ((name, help), seconds) in [(some, waited)].into_iter().chain(stalled) {
            out.counter(name, help).add(&[], seconds);
        }
    }
    Ok(())
}

/// The total of a line, which is in microseconds.
fn seconds(file: &str, text: &str, line: &str) -> Result<f64, CollectError> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    let mut words = lines
        .find_map(|mut words| (words.next() == Some(line)).then_some(words))
        .ok_or_else(|| CollectError::malformed(file, format!("there is no line \"{line}\"")))?;
    let total: u64 = number(file, words.find_map(|word| word.strip_prefix("total=")))?;
    Ok(total as f64 / 1000.0 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const SOME: &str = "some avg10=0.10 avg60=0.20 avg300=0.30 total=1500000\n";
    const BOTH: &str = "some avg10=0.10 avg60=0.20 avg300=0.30 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";

    #[test]
    fn microseconds_become_seconds() {
        let machine = Machine::new(&[
            ("proc/pressure/cpu", SOME),
            ("proc/pressure/io", BOTH),
            ("proc/pressure/memory", BOTH),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains("\nnode_pressure_cpu_waiting_seconds_total 1.5\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_pressure_memory_waiting_seconds_total 2.5\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_pressure_io_stalled_seconds_total 7e-06\n"),
            "{text}"
        );
    }

    #[test]
    fn without_the_files_there_is_nothing_and_odd_ones_are_failures() {
        let nothing = collected(&DEFINITION, &Machine::new(&[]));
        assert!(matches!(nothing, Err(CollectError::NoData)));
        let machine = Machine::new(&[("proc/pressure/cpu", SOME), ("proc/pressure/io", SOME)]);
        let odd = collected(&DEFINITION, &machine);
        assert!(matches!(odd, Err(CollectError::Malformed { .. })));
        let machine = Machine::new(&[("proc/pressure/cpu", "some total=x\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
    }
}
