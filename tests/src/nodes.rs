//! The hosts that a lab can have: the one list of their names, addresses and roles.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};

/// The host that the server runs on.
pub const SERVER: &str = "brine01";

/// Where the operator sits: outside all hosts, on their network.
pub const OPERATOR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

/// The address that the balancers share.
pub const FRONT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It runs the server.
    Server,
    /// A node of the reference fleet, with this role.
    Member(&'static str),
    /// Not booted with the fleet; a scenario may add it, with this role.
    Spare(&'static str),
}

/// A host that a lab can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    pub name: &'static str,
    /// Its address on the lab's bridge.
    pub address: Ipv4Addr,
    pub part: Part,
}

/// Every host, sorted by address.
pub const MACHINES: [Machine; 13] = [
    machine("brine01", 10, Part::Server),
    machine("balancer01", 11, Part::Member("balancer")),
    machine("balancer02", 12, Part::Member("balancer")),
    machine("backend01", 21, Part::Member("backend")),
    machine("backend02", 22, Part::Member("backend")),
    machine("backend03", 23, Part::Member("backend")),
    machine("backend04", 24, Part::Spare("backend")),
    machine("db01", 31, Part::Member("db")),
    machine("db02", 32, Part::Member("db")),
    machine("db03", 33, Part::Member("db")),
    machine("db04", 34, Part::Spare("db")),
    machine("grafana01", 41, Part::Member("monitoring")),
    machine("grafana02", 42, Part::Spare("monitoring")),
];

const fn machine(name: &'static str, last: u8, part: Part) -> Machine {
    Machine {
        name,
        address: Ipv4Addr::new(10, 77, 0, last),
        part,
    }
}

impl Machine {
    /// None for the server's host.
    #[must_use]
    pub const fn role(&self) -> Option<&'static str> {
        match self.part {
            Part::Server => None,
            Part::Member(role) | Part::Spare(role) => Some(role),
        }
    }
}

/// The nodes of the whole reference fleet.
#[must_use]
pub fn fleet() -> Vec<Machine> {
    let mut nodes = MACHINES.to_vec();
    nodes.retain(|machine| matches!(machine.part, Part::Member(_)));
    nodes
}

/// Those of its nodes that have one of these roles.
#[must_use]
pub fn with_roles(roles: &[&str]) -> Vec<Machine> {
    let mut nodes = fleet();
    nodes.retain(|machine| machine.role().is_some_and(|role| roles.contains(&role)));
    nodes
}

/// The roles of the reference fleet.
#[must_use]
pub fn roles() -> BTreeSet<&'static str> {
    fleet().iter().filter_map(Machine::role).collect()
}

/// The host of this name.
///
/// # Errors
/// A lab has no such host.
pub fn find(name: &str) -> Result<Machine> {
    MACHINES
        .iter()
        .find(|machine| machine.name == name)
        .copied()
        .with_context(|| format!("a lab has no host `{name}`"))
}

/// What every /etc/hosts of a lab says.
#[must_use]
pub fn hosts_file() -> String {
    let lines = MACHINES.map(|machine| format!("{} {}\n", machine.address, machine.name));
    format!("127.0.0.1 localhost\n{}", lines.concat())
}
