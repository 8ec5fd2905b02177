//! Free memory in blocks of each size, which tells how fragmented it is.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, whole};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "buddyinfo",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const FILE: &str = "buddyinfo";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    whole(out, |out| {
        let mut sizes = None;
        for line in text.lines() {
            let malformed = || CollectError::malformed(FILE, line);
            // `Node 0, zone Normal`, and a number for each size.
            let words: Vec<&str> = line.split_whitespace().collect();
            let &[_, node, _, zone, ref counts @ ..] = words.as_slice() else {
                return Err(malformed());
            };
            if *sizes.get_or_insert(counts.len()) != counts.len() {
                return Err(malformed());
            }
            let (node, zone) = (node.trim_end_matches(','), zone.trim_end_matches(','));
            for (size, count) in counts.iter().enumerate() {
                let count: u64 = count.parse().map_err(|_| malformed())?;
                out.gauge(
                    "node_buddyinfo_blocks",
                    "Count of free blocks according to size.",
                )
                .add(
                    &[("node", node), ("size", &size.to_string()), ("zone", zone)],
                    count,
                );
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
    fn blocks_by_size() {
        let told = |text| collected(&DEFINITION, &Machine::new(&[("proc/buddyinfo", text)]));
        let text =
            told("Node 0, zone      DMA      1      0\nNode 1, zone   Normal   4381   1093\n");
        let text = text.unwrap();
        let line = "node_buddyinfo_blocks{node=\"1\",size=\"0\",zone=\"Normal\"} 4381";
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
        for odd in [
            "Node 0, zone\n",
            "Node 0, zone DMA 1 x\n",
            "Node 0, zone DMA 1 2\nNode 0, zone DMA32 1\n",
        ] {
            assert!(told(odd).is_err(), "{odd}");
        }
    }
}
