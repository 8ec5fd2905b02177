//! How each processor keeps up with the packets that come in.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::hexadecimal;

pub(super) const DEFINITION: Definition = Definition {
    name: "softnet",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "net/softnet_stat";

/// The first columns.
const METRICS: [(&str, &str); 3] = [
    (
        "node_softnet_processed_total",
        "Number of processed packets",
    ),
    ("node_softnet_dropped_total", "Number of dropped packets"),
    (
        "node_softnet_times_squeezed_total",
        "Number of times processing packets ran out of quota",
    ),
];

/// No kernel writes less.
const COLUMNS: usize = 9;

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut rows = Vec::new();
    for line in text.lines() {
        if line.split_ascii_whitespace().count() < COLUMNS {
            return Err(CollectError::malformed(FILE, line));
        }
        let mut row = [0; METRICS.len()];
        for (value, word) in row.iter_mut().zip(line.split_ascii_whitespace()) {
            *value = hexadecimal(FILE, Some(word))?;
        }
        rows.push(row);
    }
    for (column, (name, help)) in METRICS.into_iter().enumerate() {
        let mut family = out.counter(name, help);
        for (processor, row) in rows.iter().enumerate() {
            family.add(&[("cpu", &processor.to_string())], row[column]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn a_row_for_each_processor() {
        let machine = Machine::new(&[(
            "proc/net/softnet_stat",
            "000000ff 00000001 00000000 0 0 0 0 0 0 0 0\n00000010 00000000 0000000a 0 0 0 0 0 0 0 0\n",
        )]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains("\nnode_softnet_processed_total{cpu=\"0\"} 255\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnode_softnet_times_squeezed_total{cpu=\"1\"} 10\n"),
            "{text}"
        );
        for odd in ["1 2 3\n", "x 0 0 0 0 0 0 0 0\n"] {
            let machine = Machine::new(&[("proc/net/softnet_stat", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
    }
}
