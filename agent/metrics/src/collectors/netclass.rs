//! What sysfs says of network interfaces.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::kept::{Device, Kept};
use crate::pattern::Filter;
use crate::roots::{Roots, names};

const IGNORED: &str = "ignored-devices";
const VALID_SPEED: &str = "ignore-invalid-speed";

pub(super) const DEFINITION: Definition = Definition {
    name: "netclass",
    enabled: true,
    options: &[
        Opt {
            name: IGNORED,
            help: "Interfaces to leave out, as a regular expression.",
            default: Value::Text("^$"),
        },
        Opt {
            name: VALID_SPEED,
            help: "Leave out the speed where the interface knows none.",
            default: Value::Switch(false),
        },
    ],
    new: |options| {
        Ok(Box::new(NetClass {
            devices: Filter::excluding(options, IGNORED)?,
            valid_speed: options.switch(VALID_SPEED),
            kept: Kept::default(),
        }))
    },
};

struct NetClass {
    devices: Filter,
    valid_speed: bool,
    kept: Kept,
}

/// A family and the attribute behind it.
struct Property {
    attribute: &'static str,
    name: &'static str,
    help: &'static str,
    kind: Kind,
}

macro_rules! properties {
    ($($attribute:literal $kind:ident $key:literal,)+) => {
        &[$(Property {
            attribute: $attribute,
            name: concat!("node_network_", $key),
            help: concat!("Network device property: ", $key),
            kind: Kind::$kind,
        }),+]
    };
}

const SPEED: &str = "speed";

const PROPERTIES: &[Property] = properties! {
    "addr_assign_type" Gauge "address_assign_type",
    "carrier" Gauge "carrier",
    "carrier_changes" Counter "carrier_changes_total",
    "carrier_up_count" Counter "carrier_up_changes_total",
    "carrier_down_count" Counter "carrier_down_changes_total",
    "dev_id" Gauge "device_id",
    "dormant" Gauge "dormant",
    "flags" Gauge "flags",
    "ifindex" Gauge "iface_id",
    "iflink" Gauge "iface_link",
    "link_mode" Gauge "iface_link_mode",
    "mtu" Gauge "mtu_bytes",
    "name_assign_type" Gauge "name_assign_type",
    "netdev_group" Gauge "net_dev_group",
    "speed" Gauge "speed_bytes",
    "tx_queue_len" Gauge "transmit_queue_length",
    "type" Gauge "protocol_type",
};

impl Collector for NetClass {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let class = roots.sysfs.join("class/net");
        let names = names(&class)?;
        if names.is_empty() && !class.exists() {
            return Err(CollectError::NoData);
        }
        let mut devices = self.kept.devices(&class, &names);
        for name in &names {
            // There are files among the interfaces.
            if self.devices.takes(name)
                && let Some(mut interface) = devices.get(name)
            {
                self.tell(name, &mut interface, out);
            }
        }
        Ok(())
    }
}

impl NetClass {
    /// One interface; it may go while it is looked at.
    fn tell(&self, device: &str, interface: &mut Device<'_>, out: &mut Exposition) {
        let mut word = |attribute| interface.attribute(attribute).unwrap_or_default();
        let state = word("operstate");
        out.gauge(
            "node_network_up",
            "Value is 1 if operstate is 'up', 0 otherwise.",
        )
        .add(&[("device", device)], state == "up");
        let labels = [
            ("device", device),
            ("address", &word("address")),
            ("broadcast", &word("broadcast")),
            ("duplex", &word("duplex")),
            ("operstate", &state),
            ("ifalias", &word("ifalias")),
        ];
        out.gauge(
            "node_network_info",
            "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
        )
        .add(&labels, 1_u64);
        for property in PROPERTIES {
            // What the driver refuses is left out; what is no number counts as 0.
            let Some(word) = interface.attribute(property.attribute) else {
                continue;
            };
            let mut value = number(&word);
            if property.attribute == SPEED {
                if value < 0 && self.valid_speed {
                    continue;
                }
                value = value.wrapping_mul(1_000_000) / 8;
            }
            out.family(property.name, property.kind, property.help)
                .add(&[("device", device)], value);
        }
    }
}

fn number(word: &str) -> i64 {
    let number = match word.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    #[test]
    fn attributes_that_are_there() {
        let machine = Machine::new(&[
            ("sys/class/net/bonding_masters", "\n"),
            ("sys/class/net/wan0/operstate", "up\n"),
            ("sys/class/net/wan0/address", "02:00:00:00:00:01\n"),
            ("sys/class/net/wan0/ifalias", "to \"the\" world\n"),
            ("sys/class/net/wan0/speed", "1000\n"),
            ("sys/class/net/wan0/flags", "0x1003\n"),
            ("sys/class/net/wan0/carrier_changes", "3\n"),
            ("sys/class/net/wan0/mtu", "odd\n"),
            ("sys/class/net/tap0/operstate", "down\n"),
            ("sys/class/net/tap0/speed", "-1\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_network_up{device=\"wan0\"} 1",
            "node_network_up{device=\"tap0\"} 0",
            "node_network_info{device=\"wan0\",address=\"02:00:00:00:00:01\",broadcast=\"\",duplex=\"\",\
             operstate=\"up\",ifalias=\"to \\\"the\\\" world\"} 1",
            "node_network_speed_bytes{device=\"wan0\"} 1.25e+08",
            "node_network_speed_bytes{device=\"tap0\"} -125000",
            "node_network_flags{device=\"wan0\"} 4099",
            "node_network_mtu_bytes{device=\"wan0\"} 0",
            "# TYPE node_network_carrier_changes_total counter",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        assert!(!text.contains("node_network_carrier{") && !text.contains("bonding_masters"));
        let given = [(IGNORED, "^wan"), (VALID_SPEED, "true")];
        let text = collected_with(&DEFINITION, &given, &machine).unwrap();
        assert!(text.contains("tap0") && !text.contains("wan0") && !text.contains("speed"));
        let machine = Machine::new(&[]);
        let error = collected(&DEFINITION, &machine).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}
