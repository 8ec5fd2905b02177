//! Memory: every field that the kernel tells, under the kernel's own names.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "meminfo",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "meminfo";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut fields = Vec::new();
    for line in text.lines() {
        fields.extend(field(line)?);
    }
    for (key, value) in fields {
        let kind = if key.ends_with("_total") {
            Kind::Counter
        } else {
            Kind::Gauge
        };
        let name = format!("node_memory_{key}");
        if !out.has(&name) {
            let help = format!("Memory information field {key}.");
            out.family(name, kind, help).add(&[], value);
        }
    }
    Ok(())
}

/// What a line says, in bytes where it has a unit, which is always kibibytes; none for a line without words.
fn field(line: &str) -> Result<Option<(String, u64)>, CollectError> {
    let mut words = line.split_ascii_whitespace();
    let Some(key) = words.next() else {
        return Ok(None);
    };
    let value: u64 = number(FILE, words.next())?;
    // `Active(anon):` is `Active_anon`.
    let mut name = key.trim_end_matches(':').replace('(', "_").replace(')', "");
    let value = match (words.next(), words.next()) {
        (None, _) => value,
        (Some(_), None) => {
            name.push_str("_bytes");
            value.saturating_mul(1024)
        }
        _ => return Err(CollectError::malformed(FILE, line)),
    };
    Ok(Some((name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn fields_with_a_unit_are_bytes() {
        let machine = Machine::new(&[(
            "proc/meminfo",
            "MemTotal:        2048 kB\n\nActive(anon):    3 kB\nHugePages_Total:       7\n",
        )]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.contains(
                "# HELP node_memory_MemTotal_bytes Memory information field MemTotal_bytes.\n# TYPE node_memory_MemTotal_bytes gauge\nnode_memory_MemTotal_bytes 2.097152e+06\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\nnode_memory_Active_anon_bytes 3072\n"),
            "{text}"
        );
        assert!(text.contains("\nnode_memory_HugePages_Total 7\n"), "{text}");
    }

    #[test]
    fn one_odd_line_is_a_failure_of_all() {
        for odd in ["MemTotal:\n", "MemTotal: x kB\n", "MemTotal: 1 kB more\n"] {
            let machine = Machine::new(&[("proc/meminfo", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
    }
}
