//! Caches of the network stack: routes, neighbours, tracked connections, by processor.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, whole};
use crate::roots::{Roots, names, read};

pub(super) const DEFINITION: Definition = Definition {
    name: "lnstat",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let directory = roots.procfs.join("net/stat");
    whole(out, |out| {
        for name in names(&directory)? {
            tell(&name, &read(&directory.join(&name))?, out)?;
        }
        Ok(())
    })
}

/// A line of names, and one of hexadecimal numbers for each processor.
fn tell(name: &str, text: &str, out: &mut Exposition) -> Result<(), CollectError> {
    let mut lines = text.lines();
    let fields: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    for (processor, line) in lines.enumerate() {
        let processor = processor.to_string();
        for (place, word) in line.split_whitespace().enumerate() {
            let number = u64::from_str_radix(word, 16);
            let (Ok(number), Some(field)) = (number, fields.get(place)) else {
                return Err(CollectError::malformed(name, line));
            };
            out.counter(
                format!("node_lnstat_{field}_total"),
                "linux network cache stats",
            )
            .add(&[("cpu", &processor), ("subsystem", name)], number);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn numbers_by_processor() {
        let mut files = [
            (
                "proc/net/stat/arp_cache",
                "entries  hits\n00000014 0000001f\n00000014 000000ff\n",
            ),
            ("proc/net/stat/other", "hits\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_lnstat_entries_total{cpu=\"0\",subsystem=\"arp_cache\"} 20",
            "node_lnstat_hits_total{cpu=\"1\",subsystem=\"arp_cache\"} 255",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        for odd in ["hits\n0 1\n", "hits\nx\n"] {
            files[1].1 = odd;
            assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        }
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}
