//! Which machine it is, and on what.

use std::path::Path;

use brine_model::facts::Machine;

use crate::boot;
use crate::host::virtualisation;
use crate::state::binding::MachineId;

/// How the firmware of a cloud's machines names itself: a part of the vendor's or product's name.
const CLOUDS: &[(&str, &str)] = &[
    ("amazon ec2", "aws"),
    ("google", "google"),
    ("hetzner", "hetzner"),
    ("digitalocean", "digitalocean"),
    ("openstack", "openstack"),
    ("alibaba cloud", "alibaba"),
    ("scaleway", "scaleway"),
    ("vultr", "vultr"),
    ("akamai", "akamai"),
    ("oraclecloud", "oracle"),
    ("exoscale", "exoscale"),
    ("upcloud", "upcloud"),
];

/// The chassis asset tag of Azure's machines; their vendor's name stands on Hyper-V's, too.
const AZURE: &str = "7783-7084-3265-9085-8269-3286-77";

pub(super) fn collect(root: &Path) -> Machine {
    let dmi = |name: &str| {
        let path = root.join("sys/class/dmi/id").join(name);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().to_owned()
    };
    let (vendor, product) = (dmi("sys_vendor"), dmi("product_name"));
    Machine {
        id: MachineId::read(root).map_or_else(|_| String::new(), |id| id.as_str().to_owned()),
        boot: boot::id(),
        virtualisation: virtualisation(root),
        cloud: cloud(&vendor, &product, &dmi("chassis_asset_tag")).to_owned(),
        vendor,
        product,
    }
}

fn cloud(vendor: &str, product: &str, tag: &str) -> &'static str {
    if tag == AZURE {
        return "azure";
    }
    let names = [vendor, product, tag].map(str::to_ascii_lowercase);
    let found = CLOUDS
        .iter()
        .find(|(part, _)| names.iter().any(|name| name.contains(part)));
    found.map_or("", |(_, cloud)| cloud)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_by_their_firmware() {
        assert_eq!(cloud("Amazon EC2", "m5.large", ""), "aws");
        assert_eq!(cloud("Google", "Google Compute Engine", ""), "google");
        assert_eq!(
            cloud("Microsoft Corporation", "Virtual Machine", AZURE),
            "azure"
        );
        assert_eq!(cloud("Microsoft Corporation", "Virtual Machine", ""), "");
        assert_eq!(cloud("QEMU", "Standard PC", "OracleCloud.com"), "oracle");
    }
}
