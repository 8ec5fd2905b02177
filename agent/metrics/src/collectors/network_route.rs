//! Routes, as the kernel uses them.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::netlink::{ROUTES, aligned, attributes, device_names, list, u16_at, u32_at};
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "network_route",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const HEAD: usize = 12;

const LABELS: [&str; 7] = ["dest", "device", "gw", "priority", "proto", "src", "weight"];

fn collect(_: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let names = device_names()?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut told = HashSet::new();
    let mut routes = Vec::new();
    list(ROUTES, &[0; HEAD], |bytes| {
        routes.extend(Route::read(bytes))
    })?;
    for route in routes {
        for hop in &route.hops {
            let device = names.get(&hop.device).map_or("", String::as_str);
            *counts.entry(device).or_default() += 1;
            let values = [
                route.destination.clone(),
                device.to_owned(),
                text_of(hop.gateway),
                route.priority.to_string(),
                protocol(route.protocol).to_owned(),
                text_of(route.source),
                hop.weight.clone(),
            ];
            // Tables may have the same route.
            if told.contains(&values) {
                continue;
            }
            let labels: Vec<(&str, &str)> = LABELS
                .iter()
                .zip(&values)
                .map(|(label, value)| (*label, value.as_str()))
                .collect();
            out.gauge(
                "node_network_route_info",
                "network routing table information",
            )
            .add(&labels, 1_u64);
            told.insert(values);
        }
    }
    for (device, count) in counts {
        out.gauge("node_network_routes", "network routes by interface")
            .add(&[("device", device)], count);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Route {
    destination: String,
    source: Option<IpAddr>,
    priority: u32,
    protocol: u8,
    /// One, or several that share the load.
    hops: Vec<Hop>,
}

#[derive(Debug, Default)]
struct Hop {
    device: u32,
    gateway: Option<IpAddr>,
    /// Empty where there is only one.
    weight: String,
}

impl Route {
    /// None for what is no route to somewhere else: local and broadcast addresses, and what is unreachable.
    fn read(bytes: &[u8]) -> Option<Self> {
        const UNICAST: u8 = 1;
        const DESTINATION: u16 = 1;
        const DEVICE: u16 = 4;
        const GATEWAY: u16 = 5;
        const PRIORITY: u16 = 6;
        const SOURCE: u16 = 7;
        const HOPS: u16 = 9;
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (length, protocol, kind) = (head[1], head[5], head[7]);
        if kind != UNICAST {
            return None;
        }
        let mut route = Self {
            destination: "default".to_owned(),
            protocol,
            ..Self::default()
        };
        let mut only = Hop::default();
        for (kind, value) in attributes(rest) {
            match kind {
                DESTINATION if length > 0 => {
                    route.destination = format!("{}/{length}", text_of(address(value)));
                }
                DEVICE => only.device = u32_at(value, 0)?,
                GATEWAY => only.gateway = address(value),
                PRIORITY => route.priority = u32_at(value, 0)?,
                SOURCE => route.source = address(value),
                HOPS => route.hops = hops(value),
                _ => {}
            }
        }
        if route.hops.is_empty() {
            route.hops.push(only);
        }
        Some(route)
    }
}

fn hops(bytes: &[u8]) -> Vec<Hop> {
    const HEAD: usize = 8;
    const GATEWAY: u16 = 5;
    let mut hops = Vec::new();
    let mut rest = bytes;
    while let (Some(length), Some(device)) = (u16_at(rest, 0), u32_at(rest, 4)) {
        let length = usize::from(length);
        let Some(within) = rest.get(HEAD..length) else {
            break;
        };
        let gateway = attributes(within).find(|(kind, _)| *kind == GATEWAY);
        hops.push(Hop {
            device,
            gateway: gateway.and_then(|(_, value)| address(value)),
            weight: (u32::from(rest[3]) + 1).to_string(),
        });
        rest = rest.get(aligned(length)..).unwrap_or(&[]);
    }
    hops
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical())
}

fn text_of(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

/// Who has made a route.
fn protocol(number: u8) -> &'static str {
    match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        17 => "mrouted",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tests::attribute;

    fn head(length: u8, kind: u8) -> Vec<u8> {
        vec![2, length, 0, 0, 254, 4, 0, kind, 0, 0, 0, 0]
    }

    #[test]
    fn one_hop_and_several() {
        let mut one = head(24, 1);
        one.extend(attribute(1, &[192, 0, 2, 0]));
        one.extend(attribute(4, &3_u32.to_ne_bytes()));
        one.extend(attribute(6, &100_u32.to_ne_bytes()));
        one.extend(attribute(7, &[192, 0, 2, 9]));
        let route = Route::read(&one).unwrap();
        assert_eq!(route.destination, "192.0.2.0/24");
        assert_eq!(text_of(route.source), "192.0.2.9");
        assert_eq!(protocol(route.protocol), "static");
        assert_eq!((route.priority, route.hops.len()), (100, 1));
        assert_eq!((route.hops[0].device, &*route.hops[0].weight), (3, ""));
        let mut hop = vec![16, 0, 0, 4, 0, 0, 0, 0];
        hop[..2].copy_from_slice(&16_u16.to_ne_bytes());
        hop[4..].copy_from_slice(&7_u32.to_ne_bytes());
        hop.extend(attribute(5, &[192, 0, 2, 1]));
        let mut several = head(0, 1);
        several.extend(attribute(9, &hop.repeat(2)));
        let route = Route::read(&several).unwrap();
        assert_eq!((&*route.destination, route.hops.len()), ("default", 2));
        assert_eq!((route.hops[1].device, &*route.hops[1].weight), (7, "5"));
        assert_eq!(text_of(route.hops[1].gateway), "192.0.2.1");
        assert!(Route::read(&head(24, 2)).is_none());
        assert!(Route::read(&one[..11]).is_none());
        assert_eq!(hops(&hop[..10]).len(), 0);
    }

    #[test]
    fn addresses_are_short() {
        let mut six = [0; 16];
        assert_eq!(text_of(address(&six)), "::");
        six[10..].copy_from_slice(&[255, 255, 192, 0, 2, 1]);
        assert_eq!(text_of(address(&six)), "192.0.2.1");
        assert_eq!(text_of(address(&six[..5])), "");
    }
}
