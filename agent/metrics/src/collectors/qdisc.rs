//! Queues of network devices: what they have sent, dropped, and what waits in them.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::netlink::{QUEUES, attributes, device_names, list, u32_at, u64_at, word};
use crate::pattern::Filter;
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "qdisc",
    enabled: false,
    options: &[
        Opt {
            name: INCLUDE,
            help: "Devices that count: a regular expression.",
            default: Value::Text(""),
        },
        Opt {
            name: EXCLUDE,
            help: "Devices to leave out: a regular expression.",
            default: Value::Text(""),
        },
    ],
    new: |options| {
        Ok(Box::new(Queues {
            devices: Filter::new(options, INCLUDE, EXCLUDE)?,
        }))
    },
};

const INCLUDE: &str = "device-include";
const EXCLUDE: &str = "device-exclude";

struct Queues {
    devices: Filter,
}

impl Collector for Queues {
    fn collect(&self, _: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let mut queues = Vec::new();
        list(QUEUES, &[0; HEAD], |bytes| {
            queues.extend(Queue::read(bytes))
        })?;
        let names = device_names()?;
        for queue in queues {
            // A device may have gone in between.
            let name = names.get(&queue.device);
            if let Some(name) = name.filter(|name| self.devices.takes(name)) {
                queue.tell(name, out);
            }
        }
        Ok(())
    }
}

const HEAD: usize = 20;

/// The parent of the queue that a device sends from.
const ROOT: u32 = u32::MAX;

#[derive(Debug, Default, PartialEq, Eq)]
struct Queue {
    device: u32,
    kind: String,
    bytes: u64,
    packets: u32,
    length: u32,
    backlog: u32,
    drops: u32,
    requeues: u32,
    overlimits: u32,
}

impl Queue {
    /// None for a queue within another one.
    fn read(bytes: &[u8]) -> Option<Self> {
        const KIND: u16 = 1;
        const STATISTICS: u16 = 7;
        let device = u32_at(bytes, 4)?;
        if !matches!(u32_at(bytes, 12)?, 0 | ROOT) {
            return None;
        }
        let mut queue = Self {
            device,
            ..Self::default()
        };
        for (kind, value) in attributes(bytes.get(HEAD..)?) {
            match kind {
                KIND => queue.kind = word(value),
                STATISTICS => queue.statistics(value),
                _ => {}
            }
        }
        Some(queue)
    }

    fn statistics(&mut self, bytes: &[u8]) {
        const BASIC: u16 = 1;
        const QUEUE: u16 = 3;
        for (kind, value) in attributes(bytes) {
            let number = |place| u32_at(value, place).unwrap_or(0);
            match kind {
                BASIC => {
                    self.bytes = u64_at(value, 0).unwrap_or(0);
                    self.packets = number(8);
                }
                QUEUE => {
                    self.length = number(0);
                    self.backlog = number(4);
                    self.drops = number(8);
                    self.requeues = number(12);
                    self.overlimits = number(16);
                }
                _ => {}
            }
        }
    }

    fn tell(&self, name: &str, out: &mut Exposition) {
        let labels = [("device", name), ("kind", &self.kind)];
        out.counter("node_qdisc_bytes_total", "Number of bytes sent.")
            .add(&labels, self.bytes);
        out.counter("node_qdisc_packets_total", "Number of packets sent.")
            .add(&labels, self.packets);
        out.counter("node_qdisc_drops_total", "Number of packets dropped.")
            .add(&labels, self.drops);
        out.counter(
            "node_qdisc_requeues_total",
            "Number of packets dequeued, not transmitted, and requeued.",
        )
        .add(&labels, self.requeues);
        out.counter(
            "node_qdisc_overlimits_total",
            "Number of overlimit packets.",
        )
        .add(&labels, self.overlimits);
        out.gauge(
            "node_qdisc_current_queue_length",
            "Number of packets currently in queue to be sent.",
        )
        .add(&labels, self.length);
        out.gauge(
            "node_qdisc_backlog",
            "Number of bytes currently in queue to be sent.",
        )
        .add(&labels, self.backlog);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;

    fn message(parent: u32) -> Vec<u8> {
        let mut message = vec![0; HEAD];
        message[4] = 2;
        message[12..16].copy_from_slice(&parent.to_ne_bytes());
        message.extend(attribute(1, b"fq\0"));
        let mut basic = 4242_u64.to_ne_bytes().to_vec();
        basic.extend(42_u32.to_ne_bytes());
        let mut statistics = attribute(1, &basic);
        let queue: Vec<u8> = (1_u32..=5).flat_map(u32::to_ne_bytes).collect();
        statistics.extend(attribute(3, &queue));
        message.extend(attribute(7, &statistics));
        message
    }

    #[test]
    fn the_root_of_a_device() {
        let queue = Queue::read(&message(ROOT)).unwrap();
        let mut out = Exposition::new();
        queue.tell("eth9", &mut out);
        let text = out.text();
        for line in [
            "node_qdisc_bytes_total{device=\"eth9\",kind=\"fq\"} 4242",
            "node_qdisc_packets_total{device=\"eth9\",kind=\"fq\"} 42",
            "node_qdisc_current_queue_length{device=\"eth9\",kind=\"fq\"} 1",
            "node_qdisc_overlimits_total{device=\"eth9\",kind=\"fq\"} 5",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert_eq!(Queue::read(&message(0x8001_0001)), None);
        assert_eq!(Queue::read(&message(ROOT)[..10]), None);
        assert_eq!(Queue::read(&message(0)[..HEAD]).unwrap().kind, "");
    }
}
