//! Typed static facts of a node: stable names, documented units. Volatile numbers are metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::{Map, Value};

/// What a node is, as its agent reports it. Hostile input: data, never evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub os: Os,
    pub kernel: Kernel,
    pub cpu: Cpu,
    pub memory: Memory,
    pub network: Network,
    /// Mounted file systems on real devices, sorted by mount point.
    pub disks: Vec<Disk>,
    pub machine: Machine,
    /// `Europe/Berlin`, `Etc/UTC`.
    pub time_zone: String,
    pub agent: Agent,
    /// What `/etc/brine/facts.d` on the node says, by dotted path. Texts, whatever they look like:
    /// expressions compare those with numbers as versions.
    pub custom: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Of /etc/machine-id, hashed: the id itself is confidential.
    pub id: String,
    /// New at every boot.
    pub boot: String,
    /// In systemd's words: `kvm`, `vmware`, `lxc`, …; `none` on bare metal.
    pub virtualisation: String,
    /// `aws`, `azure`, `google`, `hetzner`, …; empty where the firmware names none.
    pub cloud: String,
    /// Of the firmware: who made it, and what.
    pub vendor: String,
    pub product: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agent {
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Os {
    /// `debian` for Debian and what derives from it; otherwise the id itself.
    pub family: String,
    /// `ID` of os-release: `debian`, `ubuntu`.
    pub id: String,
    /// `VERSION_ID` of os-release: `12`.
    pub version: String,
    /// `PRETTY_NAME` of os-release.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// `6.1.0-18-amd64`.
    pub release: String,
    /// Debian's word for the machine: `amd64`, `arm64`.
    pub architecture: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// Processors that may be used.
    pub count: u32,
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes.
    pub total: u64,
    /// Bytes.
    pub swap: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// The machine's own idea of its name.
    pub hostname: String,
    /// Sorted by name, without loopback.
    pub interfaces: Vec<Interface>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    /// `02:42:…`.
    pub mac: String,
    /// With prefix length, sorted: `10.77.0.11/24`.
    pub addresses: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disk {
    pub mount: String,
    pub device: String,
    pub file_system: String,
    /// Bytes.
    pub total: u64,
}

/// The most facts of a machine's own, and names in the path of one.
const MOST_CUSTOM: usize = 1000;
const DEEPEST: usize = 16;

impl Facts {
    /// Whether they are such as an agent sends: whoever has a certificate may send anything.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let shallow = |path: &String| path.split('.').take(DEEPEST + 1).count() <= DEEPEST;
        self.custom.len() <= MOST_CUSTOM && self.custom.keys().all(shallow)
    }

    /// The facts as `facts.…` in expressions and templates.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let integer = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        let text = |s: &str| Value::from(s);
        let interfaces = self.network.interfaces.iter().map(|interface| {
            let addresses = interface
                .addresses
                .iter()
                .map(|a| text(a))
                .collect::<Vec<_>>();
            Value::from([
                ("name", text(&interface.name)),
                ("mac", text(&interface.mac)),
                ("addresses", Value::List(addresses)),
            ])
        });
        let disks = self.disks.iter().map(|disk| {
            Value::from([
                ("mount", text(&disk.mount)),
                ("device", text(&disk.device)),
                ("file_system", text(&disk.file_system)),
                ("total", integer(disk.total)),
            ])
        });
        let mut map = Map::new();
        map.insert(
            "os".into(),
            Value::from([
                ("family", text(&self.os.family)),
                ("id", text(&self.os.id)),
                ("version", text(&self.os.version)),
                ("name", text(&self.os.name)),
            ]),
        );
        map.insert(
            "kernel".into(),
            Value::from([
                ("release", text(&self.kernel.release)),
                ("architecture", text(&self.kernel.architecture)),
            ]),
        );
        map.insert(
            "cpu".into(),
            Value::from([
                ("count", integer(self.cpu.count.into())),
                ("model", text(&self.cpu.model)),
            ]),
        );
        map.insert(
            "memory".into(),
            Value::from([
                ("total", integer(self.memory.total)),
                ("swap", integer(self.memory.swap)),
            ]),
        );
        map.insert(
            "network".into(),
            Value::from([
                ("hostname", text(&self.network.hostname)),
                ("interfaces", interfaces.collect::<Vec<_>>().into()),
            ]),
        );
        map.insert("disks".into(), disks.collect::<Vec<_>>().into());
        map.insert(
            "machine".into(),
            Value::from([
                ("id", text(&self.machine.id)),
                ("boot", text(&self.machine.boot)),
                ("virtualisation", text(&self.machine.virtualisation)),
                ("cloud", text(&self.machine.cloud)),
                ("vendor", text(&self.machine.vendor)),
                ("product", text(&self.machine.product)),
            ]),
        );
        map.insert("time_zone".into(), text(&self.time_zone));
        map.insert(
            "agent".into(),
            Value::from([("version", text(&self.agent.version))]),
        );
        let mut custom = Map::new();
        for (path, value) in &self.custom {
            // Below a bound, whoever sent them: each name is a level of maps.
            let words: Vec<&str> = path.split('.').take(DEEPEST).collect();
            put(&mut custom, &words, value);
        }
        map.insert("custom".into(), Value::Map(custom));
        Value::Map(map)
    }
}

/// Puts a text at a path of maps. What stands in the way of a longer path gives way to it.
fn put(map: &mut Map, path: &[&str], value: &str) {
    match path {
        [] => {}
        [name] => {
            map.insert((*name).to_owned(), Value::from(value));
        }
        [name, rest @ ..] => {
            let below = map.entry((*name).to_owned()).or_default();
            if !matches!(below, Value::Map(_)) {
                *below = Value::Map(Map::new());
            }
            if let Value::Map(below) = below {
                put(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Lookup, Scope};

    #[test]
    fn custom_facts_are_maps_of_texts() {
        let mut facts = Facts::default();
        for (path, value) in [("rack", "a1"), ("site", "x"), ("site.name", "north")] {
            facts.custom.insert(path.to_owned(), value.to_owned());
        }
        let value = facts.to_value();
        let at = |path: &[&str]| match value.lookup(path) {
            Lookup::Found(value) => value.to_text(),
            _ => None,
        };
        assert_eq!(at(&["custom", "rack"]).as_deref(), Some("a1"));
        assert_eq!(at(&["custom", "site", "name"]).as_deref(), Some("north"));
        assert!(facts.is_sane());
        facts.custom.insert("a.".repeat(120_000), String::new());
        assert!(!facts.is_sane());
        assert!(matches!(facts.to_value(), Value::Map(_)));
    }
}
