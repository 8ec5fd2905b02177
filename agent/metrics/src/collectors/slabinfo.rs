//! The kernel's own objects, by kind: how many there are, and how big they are.

use std::collections::HashSet;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, whole};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "slabinfo",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "slabinfo";

/// Metrics of the columns behind the name.
#[rustfmt::skip]
const COLUMNS: &[(&str, &str)] = &[
    ("node_slabinfo_active_objects", "The number of objects that are currently active (i.e., in use)."),
    ("node_slabinfo_objects", "The total number of allocated objects (i.e., objects that are both in use and not in use)."),
    ("node_slabinfo_object_size_bytes", "The size of objects in this slab, in bytes."),
    ("node_slabinfo_objects_per_slab", "The number of objects stored in each slab."),
    ("node_slabinfo_pages_per_slab", "The number of pages allocated for each slab."),
];

/// With the words between the numbers.
const WORDS: usize = 16;

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut told = HashSet::new();
    whole(out, |out| {
        for line in text.lines() {
            if line.contains("slabinfo -") || line.contains("# name") {
                continue;
            }
            let malformed = || CollectError::malformed(FILE, line);
            if line.split_whitespace().count() != WORDS {
                return Err(malformed());
            }
            let mut words = line.split_whitespace();
            let name = words.next().ok_or_else(malformed)?;
            // Parts of the kernel may have given the same name.
            let is_first = told.insert(name);
            for ((metric, help), word) in COLUMNS.iter().zip(words) {
                let number: i64 = word.parse().map_err(|_| malformed())?;
                if is_first {
                    out.gauge(*metric, *help).add(&[("slab", name)], number);
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn columns_of_each_kind() {
        let told = |text: &str| collected(&DEFINITION, &Machine::new(&[("proc/slabinfo", text)]));
        let head = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs>\n";
        let line = "tw_sock_TCP  704 864 256 32 2 : tunables 0 0 0 : slabdata 27 27 0\n";
        let text = told(&format!("{head}{line}{line}")).unwrap();
        for line in [
            "node_slabinfo_active_objects{slab=\"tw_sock_TCP\"} 704",
            "node_slabinfo_pages_per_slab{slab=\"tw_sock_TCP\"} 2",
        ] {
            assert_eq!(text.matches(&format!("\n{line}\n")).count(), 1, "{text}");
        }
        assert!(told(&line.replace("704", "x")).is_err());
        assert!(told(&line.replace(" 27 27 0", "")).is_err());
        assert!(collected(&DEFINITION, &Machine::new(&[])).is_err());
    }
}
