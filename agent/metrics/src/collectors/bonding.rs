//! Interfaces that are bonds of others, and how many of those are up.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::{ReadError, Roots};

pub(super) const DEFINITION: Definition = Definition {
    name: "bonding",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let bonds = bonds(roots).map_err(|error| {
        if error.is_missing() {
            CollectError::NoData
        } else {
            error.into()
        }
    })?;
    for (master, slaves, active) in bonds {
        let labels = [("master", master.as_str())];
        out.gauge(
            "node_bonding_slaves",
            "Number of configured slaves per bonding interface.",
        )
        .add(&labels, slaves);
        out.gauge(
            "node_bonding_active",
            "Number of active slaves per bonding interface.",
        )
        .add(&labels, active);
    }
    Ok(())
}

/// Name, members, and members that are up.
fn bonds(roots: &Roots) -> Result<Vec<(String, usize, usize)>, ReadError> {
    let mut bonds = Vec::new();
    let masters = roots.sys("class/net/bonding_masters")?;
    for master in masters.split_ascii_whitespace() {
        let slaves = roots.sys(&format!("class/net/{master}/bonding/slaves"))?;
        let (mut count, mut active) = (0, 0);
        for slave in slaves.split_ascii_whitespace() {
            let state = |prefix| {
                roots.sys(&format!(
                    "class/net/{master}/{prefix}_{slave}/bonding_slave/mii_status"
                ))
            };
            let state = match state("lower") {
                // The name in old kernels.
                Err(error) if error.is_missing() => state("slave"),
                state => state,
            }?;
            count += 1;
            if state.trim() == "up" {
                active += 1;
            }
        }
        bonds.push((master.to_owned(), count, active));
    }
    Ok(bonds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn members_and_those_that_are_up() {
        let net = "sys/class/net";
        let slaves = format!("{net}/bond0/bonding/slaves");
        let first = format!("{net}/bond0/lower_eth0/bonding_slave/mii_status");
        let second = format!("{net}/bond0/slave_eth1/bonding_slave/mii_status");
        let masters = "sys/class/net/bonding_masters";
        let mut files = vec![
            (masters, "bond0\n"),
            (slaves.as_str(), "eth0 eth1\n"),
            (first.as_str(), "up\n"),
            (second.as_str(), "down\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        assert!(text.contains("\nnode_bonding_slaves{master=\"bond0\"} 2\n"));
        assert!(text.contains("\nnode_bonding_active{master=\"bond0\"} 1\n"));
        files.pop();
        for _ in 0..2 {
            let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
            assert!(matches!(error, CollectError::NoData));
            files.clear();
        }
    }
}
