//! Zones of memory: watermarks, and what their pages are used for.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Definition};
use crate::roots::{Roots, signed};

pub(super) const DEFINITION: Definition = Definition {
    name: "zoneinfo",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// First words of lines, metrics, what they are, by word.
#[rustfmt::skip]
const FIELDS: &[(&str, &str, Kind, &str)] = &[
    ("high", "node_zoneinfo_high_pages", Kind::Gauge, "Zone watermark pages_high"),
    ("low", "node_zoneinfo_low_pages", Kind::Gauge, "Zone watermark pages_low"),
    ("managed", "node_zoneinfo_managed_pages", Kind::Gauge, "Present pages managed by the buddy system"),
    ("min", "node_zoneinfo_min_pages", Kind::Gauge, "Zone watermark pages_min"),
    ("nr_active_anon", "node_zoneinfo_nr_active_anon_pages", Kind::Gauge, "Number of anonymous pages recently more used"),
    ("nr_active_file", "node_zoneinfo_nr_active_file_pages", Kind::Gauge, "Number of active pages with file-backing"),
    ("nr_anon_pages", "node_zoneinfo_nr_anon_pages", Kind::Gauge, "Number of anonymous pages currently used by the system"),
    ("nr_anon_transparent_hugepages", "node_zoneinfo_nr_anon_transparent_hugepages", Kind::Gauge, "Number of anonymous transparent huge pages currently used by the system"),
    ("nr_dirtied", "node_zoneinfo_nr_dirtied_total", Kind::Counter, "Page dirtyings since bootup"),
    ("nr_dirty", "node_zoneinfo_nr_dirty_pages", Kind::Gauge, "Number of dirty pages"),
    ("nr_file_pages", "node_zoneinfo_nr_file_pages", Kind::Gauge, "Number of file pages"),
    ("nr_free_pages", "node_zoneinfo_nr_free_pages", Kind::Gauge, "Total number of free pages in the zone"),
    ("nr_inactive_anon", "node_zoneinfo_nr_inactive_anon_pages", Kind::Gauge, "Number of anonymous pages recently less used"),
    ("nr_inactive_file", "node_zoneinfo_nr_inactive_file_pages", Kind::Gauge, "Number of inactive pages with file-backing"),
    ("nr_isolated_anon", "node_zoneinfo_nr_isolated_anon_pages", Kind::Gauge, "Temporary isolated pages from anon lru"),
    ("nr_isolated_file", "node_zoneinfo_nr_isolated_file_pages", Kind::Gauge, "Temporary isolated pages from file lru"),
    ("nr_kernel_stack", "node_zoneinfo_nr_kernel_stacks", Kind::Gauge, "Number of kernel stacks"),
    ("nr_mapped", "node_zoneinfo_nr_mapped_pages", Kind::Gauge, "Number of mapped pages"),
    ("nr_mlock_stack", "node_zoneinfo_nr_mlock_stack_pages", Kind::Gauge, "mlock()ed pages found and moved off LRU"),
    ("nr_shmem", "node_zoneinfo_nr_shmem_pages", Kind::Gauge, "Number of shmem pages (included tmpfs/GEM pages)"),
    ("nr_slab_reclaimable", "node_zoneinfo_nr_slab_reclaimable_pages", Kind::Gauge, "Number of reclaimable slab pages"),
    ("nr_slab_unreclaimable", "node_zoneinfo_nr_slab_unreclaimable_pages", Kind::Gauge, "Number of unreclaimable slab pages"),
    ("nr_unevictable", "node_zoneinfo_nr_unevictable_pages", Kind::Gauge, "Number of unevictable pages"),
    ("nr_writeback", "node_zoneinfo_nr_writeback_pages", Kind::Gauge, "Number of writeback pages"),
    ("nr_written", "node_zoneinfo_nr_written_total", Kind::Counter, "Page writings since bootup"),
    ("numa_foreign", "node_zoneinfo_numa_foreign_total", Kind::Counter, "Was intended here, hit elsewhere"),
    ("numa_hit", "node_zoneinfo_numa_hit_total", Kind::Counter, "Allocated in intended node"),
    ("numa_interleave", "node_zoneinfo_numa_interleave_total", Kind::Counter, "Interleaver preferred this zone"),
    ("numa_local", "node_zoneinfo_numa_local_total", Kind::Counter, "Allocation from local node"),
    ("numa_miss", "node_zoneinfo_numa_miss_total", Kind::Counter, "Allocated in non intended node"),
    ("numa_other", "node_zoneinfo_numa_other_total", Kind::Counter, "Allocation from other node"),
    ("present", "node_zoneinfo_present_pages", Kind::Gauge, "Physical pages existing within the zone"),
    ("scanned", "node_zoneinfo_scanned_pages", Kind::Gauge, "Pages scanned since last reclaim"),
    ("spanned", "node_zoneinfo_spanned_pages", Kind::Gauge, "Total pages spanned by the zone, including holes"),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc("zoneinfo")?;
    let mut zone = Zone::new("", "");
    for line in text.lines() {
        if let Some((node, name)) = head(line) {
            zone.tell(out);
            zone = Zone::new(node, name);
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            continue;
        };
        if first == "protection:" {
            zone.protect(line);
        } else if let Ok(place) = FIELDS.binary_search_by_key(&first, |(word, ..)| word) {
            // What is no number is told as 0, as it always was.
            zone.values[place] = Some(signed(second).unwrap_or(0));
        }
    }
    zone.tell(out);
    Ok(())
}

/// `Node 0, zone      DMA`
fn head(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(", zone")?;
    let digits = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let node = &before[digits.len()..];
    let name = after.split_ascii_whitespace().next()?;
    let is_apart = after.starts_with(|letter: char| letter.is_ascii_whitespace());
    (is_apart && !node.is_empty()).then_some((node, name))
}

/// What was read of a zone: where a word comes twice, the last counts.
struct Zone<'a> {
    node: &'a str,
    name: &'a str,
    values: [Option<i64>; FIELDS.len()],
    protection: Vec<i64>,
}

impl<'a> Zone<'a> {
    fn new(node: &'a str, name: &'a str) -> Self {
        Self {
            node,
            name,
            values: [None; FIELDS.len()],
            protection: Vec::new(),
        }
    }

    /// `protection: (0, 2877, 7826)`
    fn protect(&mut self, line: &str) {
        let list = line.split(':').nth(1).unwrap_or("");
        let list = list.replace(['(', ')'], "");
        let values = list.trim().split(", ").map(|word| word.parse().ok());
        if let Some(values) = values.collect() {
            self.protection = values;
        }
    }

    fn tell(&self, out: &mut Exposition) {
        let labels = [("node", self.node), ("zone", self.name)];
        for ((_, metric, kind, help), value) in FIELDS.iter().zip(self.values) {
            if let Some(value) = value {
                out.family(*metric, *kind, *help).add(&labels, value);
            }
        }
        for (place, value) in self.protection.iter().enumerate() {
            out.gauge(
                format!("node_zoneinfo_protection_{place}"),
                format!("Protection array {place}. field"),
            )
            .add(&labels, *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn fields_of_zones() {
        assert!(FIELDS.is_sorted_by_key(|(word, ..)| word));
        let zones = "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 18\n  pages free     3952\n        min      33\n        protection: (0, 2877)\n      nr_free_pages 3952\n      numa_hit x\n  pagesets\n    cpu: 0\n              high:  7\nNode 1, zone   Normal\n        high     41\n        protection: ()\n";
        let text = collected(&DEFINITION, &Machine::new(&[("proc/zoneinfo", zones)])).unwrap();
        for line in [
            "node_zoneinfo_nr_inactive_anon_pages{node=\"0\",zone=\"DMA\"} 18",
            "node_zoneinfo_min_pages{node=\"0\",zone=\"DMA\"} 33",
            "node_zoneinfo_numa_hit_total{node=\"0\",zone=\"DMA\"} 0",
            "node_zoneinfo_protection_1{node=\"0\",zone=\"DMA\"} 2877",
            "node_zoneinfo_high_pages{node=\"1\",zone=\"Normal\"} 41",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert!(!text.contains("_high_pages{node=\"0\""), "{text}");
        assert!(!text.contains("_protection_0{node=\"1\""), "{text}");
        assert!(collected(&DEFINITION, &Machine::new(&[])).is_err());
    }
}
