//! The machine's name, interfaces and addresses.

use std::ffi::OsString;

use brine_model::facts::{Interface, Network};
use sysinfo::Networks;

pub(super) fn collect() -> Network {
    let mut interfaces: Vec<Interface> = Networks::new_with_refreshed_list()
        .map(|networks| networks.iter().filter_map(interface).collect())
        .unwrap_or_default();
    interfaces.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Network {
        hostname: hostname(),
        interfaces,
    }
}

/// As the kernel has it; empty where it has none.
pub(crate) fn hostname() -> String {
    nix::unistd::gethostname()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn interface((name, data): (&OsString, &sysinfo::NetworkData)) -> Option<Interface> {
    let name = name.to_string_lossy();
    if name == "lo" {
        return None;
    }
    let networks = data.ip_networks().iter();
    let mut addresses: Vec<String> = networks
        .map(|network| format!("{}/{}", network.addr, network.prefix))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Some(Interface {
        name: name.into_owned(),
        mac: data.mac_address().to_string(),
        addresses,
    })
}
