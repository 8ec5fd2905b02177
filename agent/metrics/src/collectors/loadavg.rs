//! Load: how many processes run or wait for a disk, on average.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "loadavg",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "loadavg";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut words = text.split_ascii_whitespace();
    let mut next = || {
        let word = words.next().and_then(|word| word.parse::<f64>().ok());
        word.ok_or_else(|| CollectError::malformed(FILE, text.trim()))
    };
    out.gauge("node_load1", "1m load average.")
        .add(&[], next()?);
    out.gauge("node_load5", "5m load average.")
        .add(&[], next()?);
    out.gauge("node_load15", "15m load average.")
        .add(&[], next()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn three_averages() {
        let machine = Machine::new(&[("proc/loadavg", "0.02 0.04 5.10 1/229 14252\n")]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_load1 0.02\n"), "{text}");
        assert!(text.contains("\nnode_load15 5.1\n"), "{text}");
        let machine = Machine::new(&[("proc/loadavg", "0.02 x 5.10\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
    }
}
