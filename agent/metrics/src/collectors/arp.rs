//! Neighbours that the machine knows, by device.

use std::collections::BTreeMap;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::pattern::Filter;
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "arp",
    enabled: true,
    options: &[
        Opt {
            name: "device-include",
            help: "Regexp of arp devices to include (mutually exclusive to device-exclude).",
            default: Value::Text(""),
        },
        Opt {
            name: "device-exclude",
            help: "Regexp of arp devices to exclude (mutually exclusive to device-include).",
            default: Value::Text(""),
        },
    ],
    new: |options| {
        let devices = Filter::new(options, "device-include", "device-exclude")?;
        Ok(Box::new(Arp { devices }))
    },
};

const FILE: &str = "net/arp";
const COLUMNS: usize = 6;

struct Arp {
    devices: Filter,
}

impl Collector for Arp {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let text = roots.proc(FILE)?;
        let mut entries: BTreeMap<&str, u64> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let first = words.next();
            // The hardware address of some devices is of several words: the device is the last one.
            let device = match words.nth(COLUMNS - 2) {
                Some(last) => words.last().unwrap_or(last),
                None => return Err(CollectError::malformed(FILE, line)),
            };
            if first != Some("IP") {
                *entries.entry(device).or_default() += 1;
            }
        }
        let mut family = out.gauge("node_arp_entries", "ARP entries by device");
        for (device, count) in entries {
            if self.devices.takes(device) {
                family.add(&[("device", device)], count);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const TABLE: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.1         0x1         0x2         02:00:00:00:00:01     *        eth0
10.0.0.2         0x1         0x2         02:00:00:00:00:02     *        eth0
10.1.0.1         0x1         0x2         02:00:00:00:00:03     *        br0
";

    #[test]
    fn entries_are_counted_by_device() {
        let machine = Machine::new(&[("proc/net/arp", TABLE)]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(
            text.ends_with(
                "node_arp_entries{device=\"br0\"} 1\nnode_arp_entries{device=\"eth0\"} 2\n"
            ),
            "{text}"
        );
        let text = collected_with(&DEFINITION, &[("device-exclude", "^br")], &machine).unwrap();
        assert!(!text.contains("br0") && text.contains("eth0"), "{text}");
        let text = collected_with(&DEFINITION, &[("device-include", "^br")], &machine).unwrap();
        assert!(text.contains("br0") && !text.contains("eth0"), "{text}");
        let machine = Machine::new(&[("proc/net/arp", "10.0.0.1 0x1 0x2 * eth0\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
    }
}
