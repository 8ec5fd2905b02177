//! What network interfaces received and sent, and which addresses they have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::netlink::{self, LINKS, number};
use crate::options::{Invalid, Options};
use crate::pattern::Filter;
use crate::roots::Roots;

const INCLUDE: &str = "device-include";
const EXCLUDE: &str = "device-exclude";
const ADDRESSES: &str = "address-info";
const DETAILED: &str = "enable-detailed-metrics";
const NETLINK: &str = "netlink";

pub(super) const DEFINITION: Definition = Definition {
    name: "netdev",
    enabled: true,
    options: &[
        Opt {
            name: INCLUDE,
            help: "Interfaces to include, as a regular expression.",
            default: Value::Text(""),
        },
        Opt {
            name: EXCLUDE,
            help: "Interfaces to exclude, as a regular expression.",
            default: Value::Text("^lo$"),
        },
        Opt {
            name: ADDRESSES,
            help: "The addresses of all interfaces: node_network_address_info.",
            default: Value::Switch(false),
        },
        Opt {
            name: DETAILED,
            help: "Each kind of error for itself, under names of their own.",
            default: Value::Switch(false),
        },
        Opt {
            name: NETLINK,
            help: "Ask the kernel over netlink, not by /proc/net/dev.",
            default: Value::Switch(true),
        },
    ],
    new: |options| Ok(Box::new(NetDev::new(options)?)),
};

struct NetDev {
    filter: Filter,
    addresses: bool,
    netlink: bool,
    statistics: &'static [Statistic],
}

impl NetDev {
    fn new(options: &Options) -> Result<Self, Invalid> {
        let netlink = options.switch(NETLINK);
        Ok(Self {
            filter: Filter::new(options, INCLUDE, EXCLUDE)?,
            addresses: options.switch(ADDRESSES),
            netlink,
            statistics: match (netlink, options.switch(DETAILED)) {
                (true, false) => LINK,
                (true, true) => LINK_DETAILED,
                (false, false) => FILE,
                (false, true) => FILE_DETAILED,
            },
        })
    }
}

impl Collector for NetDev {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let links = if self.netlink || self.addresses {
            links()?
        } else {
            Vec::new()
        };
        if self.netlink {
            let counted = links.iter();
            let counted = counted.filter(|link| self.filter.takes(&link.name));
            let counted = counted.filter_map(|link| Some((link.name.as_str(), link.counts?)));
            self.tell(&counted.collect::<Vec<_>>(), out);
        } else {
            let text = roots.proc(DEV)?;
            let mut devices = devices(&text)?;
            devices.retain(|(name, _)| self.filter.takes(name));
            self.tell(&devices, out);
        }
        if self.addresses {
            addresses(&links, out)?;
        }
        Ok(())
    }
}

impl NetDev {
    fn tell<const COUNTS: usize>(&self, devices: &[(&str, [u64; COUNTS])], out: &mut Exposition) {
        for statistic in self.statistics {
            let mut samples = out.counter(statistic.name, statistic.help);
            for (device, counts) in devices {
                let counts = statistic.of.iter().filter_map(|place| counts.get(*place));
                let sum = counts.fold(0, |sum: u64, count| sum.wrapping_add(*count));
                samples.add(&[("device", device)], sum);
            }
        }
    }
}

/// A family: which counts it is the sum of, by place in what the kernel says.
struct Statistic {
    name: &'static str,
    help: &'static str,
    of: &'static [usize],
}

macro_rules! statistics {
    ($($key:literal: $($place:literal)+,)+) => {
        &[$(Statistic {
            name: concat!("node_network_", $key, "_total"),
            help: concat!("Network device statistic ", $key, "."),
            of: &[$($place),+],
        }),+]
    };
}

/// Counts of `struct rtnl_link_stats64`, added up as /proc/net/dev does.
const LINK: &[Statistic] = statistics! {
    "receive_packets": 0,
    "transmit_packets": 1,
    "receive_bytes": 2,
    "transmit_bytes": 3,
    "receive_errs": 4,
    "transmit_errs": 5,
    "receive_drop": 6 15,
    "transmit_drop": 7,
    "receive_multicast": 8,
    "transmit_colls": 9,
    "receive_frame": 10 11 12 13,
    "receive_fifo": 14,
    "transmit_carrier": 16 17 19 20,
    "transmit_fifo": 18,
    "receive_compressed": 21,
    "transmit_compressed": 22,
    "receive_nohandler": 23,
};

const LINK_DETAILED: &[Statistic] = statistics! {
    "receive_packets": 0,
    "transmit_packets": 1,
    "receive_bytes": 2,
    "transmit_bytes": 3,
    "receive_errors": 4,
    "transmit_errors": 5,
    "receive_dropped": 6,
    "transmit_dropped": 7,
    "multicast": 8,
    "collisions": 9,
    "receive_length_errors": 10,
    "receive_over_errors": 11,
    "receive_crc_errors": 12,
    "receive_frame_errors": 13,
    "receive_fifo_errors": 14,
    "receive_missed_errors": 15,
    "transmit_aborted_errors": 16,
    "transmit_carrier_errors": 17,
    "transmit_fifo_errors": 18,
    "transmit_heartbeat_errors": 19,
    "transmit_window_errors": 20,
    "receive_compressed": 21,
    "transmit_compressed": 22,
    "receive_nohandler": 23,
};

/// Columns of /proc/net/dev.
const FILE: &[Statistic] = statistics! {
    "receive_bytes": 0,
    "receive_packets": 1,
    "receive_errs": 2,
    "receive_drop": 3,
    "receive_fifo": 4,
    "receive_frame": 5,
    "receive_compressed": 6,
    "receive_multicast": 7,
    "transmit_bytes": 8,
    "transmit_packets": 9,
    "transmit_errs": 10,
    "transmit_drop": 11,
    "transmit_fifo": 12,
    "transmit_colls": 13,
    "transmit_carrier": 14,
    "transmit_compressed": 15,
};

const FILE_DETAILED: &[Statistic] = statistics! {
    "receive_bytes": 0,
    "receive_packets": 1,
    "receive_errors": 2,
    "receive_dropped": 3,
    "receive_fifo": 4,
    "receive_frame": 5,
    "receive_compressed": 6,
    "receive_multicast": 7,
    "transmit_bytes": 8,
    "transmit_packets": 9,
    "transmit_errors": 10,
    "transmit_dropped": 11,
    "transmit_fifo": 12,
    "transmit_colls": 13,
    "transmit_carrier": 14,
    "transmit_compressed": 15,
};

const LINK_COUNTS: usize = 24;
const FILE_COUNTS: usize = 16;

struct Link {
    index: u32,
    name: String,
    counts: Option<[u64; LINK_COUNTS]>,
}

fn links() -> Result<Vec<Link>, CollectError> {
    const HEADER: usize = 16;
    let mut links = Vec::new();
    netlink::list(LINKS, &[0; HEADER], |message| {
        links.extend(message.get(HEADER..).and_then(|rest| link(message, rest)));
    })?;
    Ok(links)
}

fn link(header: &[u8], attributes: &[u8]) -> Option<Link> {
    const NAME: u16 = 3;
    const COUNTS: u16 = 23;
    let index = number(header, 4).map(u32::from_ne_bytes)?;
    let mut name = None;
    let mut counts = None;
    for (kind, content) in netlink::attributes(attributes) {
        match kind {
            NAME => {
                let text = content.strip_suffix(&[0]).unwrap_or(content);
                name = Some(String::from_utf8_lossy(text).into_owned());
            }
            COUNTS => {
                // Old kernels have fewer, new ones may have more.
                let mut found = [0; LINK_COUNTS];
                for (place, count) in found.iter_mut().enumerate() {
                    let bytes = number(content, place * size_of::<u64>());
                    *count = bytes.map(u64::from_ne_bytes).unwrap_or_default();
                }
                counts = Some(found);
            }
            _ => {}
        }
    }
    Some(Link {
        index,
        name: name?,
        counts,
    })
}

const DEV: &str = "net/dev";

fn devices(text: &str) -> Result<Vec<(&str, [u64; FILE_COUNTS])>, CollectError> {
    const HEADINGS: usize = 2;
    let mut devices: Vec<(&str, [u64; FILE_COUNTS])> = Vec::new();
    for line in text.lines().skip(HEADINGS) {
        let malformed = || CollectError::malformed(DEV, line);
        // Names of aliases have colons, too.
        let (name, rest) = line.rsplit_once(':').ok_or_else(malformed)?;
        let mut words = rest.split_ascii_whitespace();
        let mut counts = [0; FILE_COUNTS];
        for count in &mut counts {
            let word = words.next().and_then(|word| word.parse().ok());
            *count = word.ok_or_else(malformed)?;
        }
        let name = name.trim();
        if name.is_empty() {
            return Err(malformed());
        }
        devices.push((name, counts));
    }
    Ok(devices)
}

fn addresses(links: &[Link], out: &mut Exposition) -> Result<(), CollectError> {
    const HEADER: usize = 8;
    let names: BTreeMap<u32, &str> = links
        .iter()
        .map(|link| (link.index, link.name.as_str()))
        .collect();
    // The same one can be there for several peers.
    let mut found = BTreeSet::new();
    netlink::list(netlink::ADDRESSES, &[0; HEADER], |message| {
        if let Some(rest) = message.get(HEADER..)
            && let Some((index, address, prefix)) = address(message, rest)
            && let Some(name) = names.get(&index)
        {
            found.insert((*name, address, prefix));
        }
    })?;
    let mut samples = out.gauge(
        "node_network_address_info",
        "node network address by device",
    );
    for (device, address, prefix) in found {
        let labels = [
            ("device", device),
            ("address", &address.to_string()),
            ("netmask", &prefix.to_string()),
            ("scope", scope(address)),
        ];
        samples.add(&labels, 1_u64);
    }
    Ok(())
}

/// The interface's index, its own address, and the length of the prefix.
fn address(header: &[u8], attributes: &[u8]) -> Option<(u32, IpAddr, u8)> {
    const PEER_OR_OWN: u16 = 1;
    const OWN: u16 = 2;
    let prefix = *header.get(1)?;
    let index = number(header, 4).map(u32::from_ne_bytes)?;
    let mut found = None;
    for (kind, content) in netlink::attributes(attributes) {
        if kind == OWN || kind == PEER_OR_OWN && found.is_none() {
            found = match content.len() {
                4 => number::<4>(content, 0).map(|bytes| Ipv4Addr::from(bytes).into()),
                16 => number::<16>(content, 0).map(|bytes| Ipv6Addr::from(bytes).into()),
                _ => found,
            };
        }
    }
    Some((index, found?, prefix))
}

fn scope(address: IpAddr) -> &'static str {
    let (near, here, nowhere) = match address {
        IpAddr::V4(address) => (
            address.is_loopback()
                || address.is_link_local()
                || address.octets()[..3] == [224, 0, 0],
            false,
            address.is_broadcast() || address.is_unspecified() || address.is_multicast(),
        ),
        IpAddr::V6(address) => (
            address.is_loopback()
                || address.is_unicast_link_local()
                || address.segments()[0] & 0xff0f == 0xff02,
            address.segments()[0] & 0xff0f == 0xff01,
            address.is_unspecified() || address.is_multicast(),
        ),
    };
    if near {
        "link-local"
    } else if here {
        "interface-local"
    } else if nowhere {
        ""
    } else {
        "global"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const TABLE: &str = "Inter-|   Receive  |  Transmit\n face |bytes |bytes\n\
        \x20   lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n\
        \x20eth0:1: 7000000 20 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";

    #[test]
    fn the_file() {
        let machine = Machine::new(&[("proc/net/dev", TABLE)]);
        let text = collected_with(&DEFINITION, &[(NETLINK, "false")], &machine).unwrap();
        for line in [
            "node_network_receive_bytes_total{device=\"eth0:1\"} 7e+06",
            "node_network_receive_errs_total{device=\"eth0:1\"} 3",
            "node_network_transmit_carrier_total{device=\"eth0:1\"} 15",
            "# HELP node_network_receive_drop_total Network device statistic receive_drop.",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        }
        assert!(!text.contains("\"lo\"") && !text.contains("nohandler"));
        let given = [(NETLINK, "false"), (DETAILED, "true"), (INCLUDE, "^lo")];
        let text = collected_with(&DEFINITION, &given, &machine).unwrap();
        assert!(text.contains("\nnode_network_receive_dropped_total{device=\"lo\"} 0\n"));
        assert!(!text.contains("eth0"));
        for table in ["a\nb\nlo: 1 2 3\n", "a\nb\nlo 1\n", "a\nb\n: 1\n"] {
            let machine = Machine::new(&[("proc/net/dev", table)]);
            assert!(collected_with(&DEFINITION, &[(NETLINK, "false")], &machine).is_err());
        }
    }

    #[test]
    fn this_machine_has_a_loopback_device() {
        let machine = Machine::new(&[]);
        let given = [(EXCLUDE, ""), (ADDRESSES, "true")];
        let text = collected_with(&DEFINITION, &given, &machine).unwrap();
        assert!(text.contains("\nnode_network_receive_nohandler_total{device=\"lo\"} 0\n"));
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(!text.contains("\"lo\""), "{text}");
    }

    #[test]
    fn links_and_addresses_are_taken_apart() {
        let mut attributes = Vec::new();
        attributes.extend_from_slice(&[8, 0, 3, 0, b'w', b'0', 0, 0]);
        attributes.extend_from_slice(&[12, 0, 23, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&5_u32.to_ne_bytes());
        if cfg!(target_endian = "little") {
            let found = link(&header, &attributes).unwrap();
            assert_eq!((found.index, found.counts.unwrap()[0]), (5, 9));
            let peer = [8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 0, 0, 2];
            let mut header = [2, 31, 0, 0, 0, 0, 0, 0];
            header[4..].copy_from_slice(&5_u32.to_ne_bytes());
            let own = IpAddr::from([10, 0, 0, 2]);
            assert_eq!(address(&header, &peer), Some((5, own, 31)));
        }
        assert!(link(&header, &[]).is_none() && link(&[], &attributes).is_none());
        let scopes = [
            ("127.0.0.1", "link-local"),
            ("fe80::1", "link-local"),
            ("224.0.0.7", "link-local"),
            ("ff01::1", "interface-local"),
            ("ff05::1", ""),
            ("192.168.1.1", "global"),
            ("2001:db8::1", "global"),
        ];
        for (address, expected) in scopes {
            assert_eq!(scope(address.parse().unwrap()), expected, "{address}");
        }
    }
}
