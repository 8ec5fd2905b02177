//! Memory: every field that the kernel tells, under the kernel's own names.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Collector, Definition};
use crate::remembered::{Remembered, Title};
use crate::roots::Roots;
use crate::words::number;

pub(super) const DEFINITION: Definition = Definition {
    name: "meminfo",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(Meminfo::default())),
};

const FILE: &str = "meminfo";

#[derive(Default)]
struct Meminfo {
    /// By key: of a plain number, and of one with a unit.
    titles: Remembered<[Title; 2]>,
}

struct Field<'a> {
    key: &'a str,
    value: u64,
    has_unit: bool,
}

impl Collector for Meminfo {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let text = roots.proc(FILE)?;
        let mut fields = Vec::with_capacity(64);
        for line in text.lines() {
            fields.extend(field(line)?);
        }
        let mut titles = self.titles.recall();
        for field in fields {
            let [plain, bytes] = titles.of(field.key, titles_of);
            let Title { name, help } = if field.has_unit { bytes } else { plain };
            let kind = if name.ends_with("_total") {
                Kind::Counter
            } else {
                Kind::Gauge
            };
            if let Some(mut samples) = out.new_family(name.clone(), kind, help.clone()) {
                samples.add(&[], field.value);
            }
        }
        Ok(())
    }
}

/// `Active(anon):` is `Active_anon`.
fn titles_of(key: &str) -> [Title; 2] {
    let key = key.trim_end_matches(':').replace('(', "_").replace(')', "");
    [key.clone(), format!("{key}_bytes")].map(|key| {
        let help = format!("Memory information field {key}.");
        Title::new(format!("node_memory_{key}"), help)
    })
}

/// What a line says, in bytes where it has a unit, which is always kibibytes; none for a line without words.
fn field(line: &str) -> Result<Option<Field<'_>>, CollectError> {
    let mut words = line.split_ascii_whitespace();
    let Some(key) = words.next() else {
        return Ok(None);
    };
    let value: u64 = number(FILE, words.next())?;
    let (value, has_unit) = match (words.next(), words.next()) {
        (None, _) => (value, false),
        (Some(_), None) => (value.saturating_mul(1024), true),
        _ => return Err(CollectError::malformed(FILE, line)),
    };
    Ok(Some(Field {
        key,
        value,
        has_unit,
    }))
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
