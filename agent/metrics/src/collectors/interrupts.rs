//! How often each interrupt came, by processor.

use std::collections::BTreeMap;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "interrupts",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "interrupts";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut lines = text.lines();
    let heading = lines.next();
    let heading = heading.ok_or_else(|| CollectError::malformed(FILE, "it is empty"))?;
    let cpus = heading.split_ascii_whitespace().count();
    let labels: Vec<String> = (0..cpus).map(|cpu| cpu.to_string()).collect();
    let mut interrupts = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // Totals of errors are not by processor.
        if words.len() < cpus + 2 {
            continue;
        }
        let name = words[0].strip_suffix(':').unwrap_or(words[0]);
        let (counts, about) = words[1..].split_at(cpus);
        interrupts.insert(name, (counts.to_vec(), about.to_vec()));
    }
    let mut samples = out.counter("node_interrupts_total", "Interrupt details.");
    for (name, (counts, about)) in interrupts {
        // Numbered ones have a controller and devices, others a description.
        let (info, devices) = if name.parse::<u64>().is_ok() {
            (about[0].to_owned(), about[1..].join(" "))
        } else {
            (about.join(" "), String::new())
        };
        for (cpu, word) in labels.iter().zip(counts) {
            let count: u64 = word
                .parse()
                .map_err(|_| CollectError::malformed(FILE, word))?;
            let labels = [
                ("cpu", cpu.as_str()),
                ("type", name),
                ("info", &info),
                ("devices", &devices),
            ];
            samples.add(&labels, count);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn numbered_and_named_ones() {
        let table = "     CPU0  CPU1\n  9:  1  2000000  IO-APIC  9-fasteoi  acpi\n\
            LOC:  3  4  Local timer\nERR:  5\n";
        let machine = Machine::new(&[("proc/interrupts", table)]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_interrupts_total{cpu=\"1\",type=\"9\",info=\"IO-APIC\",devices=\"9-fasteoi acpi\"} 2e+06",
            "node_interrupts_total{cpu=\"0\",type=\"LOC\",info=\"Local timer\",devices=\"\"} 3",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        assert!(!text.contains("ERR"));
        for table in ["", " CPU0\n 1: x IO-APIC\n"] {
            let machine = Machine::new(&[("proc/interrupts", table)]);
            assert!(collected(&DEFINITION, &machine).is_err());
        }
    }
}
