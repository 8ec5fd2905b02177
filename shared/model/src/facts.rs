//! Typed static facts of a node: stable names, documented units. Volatile numbers are metrics.

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

impl Facts {
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
        Value::Map(map)
    }
}
