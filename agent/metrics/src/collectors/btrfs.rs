//! Btrfs: what is allocated and used of each file system, and the devices it lies on.

use std::fs::File;
use std::os::unix::fs::FileExt;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, whole};
use crate::roots::{Directory, ReadError, Roots, entries, names, subdirectories};

pub(super) const DEFINITION: Definition = Definition {
    name: "btrfs",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const SECTOR: u64 = 512;

const GROUPS: &[&str] = &["data", "metadata", "system"];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let systems = roots.sysfs.join("fs/btrfs");
    whole(out, |out| {
        for name in names(&systems)? {
            // Next to the file systems is what the module can do.
            if name.contains('-') {
                tell(&name, &Directory::open(&systems.join(&name))?, roots, out)?;
            }
        }
        Ok(())
    })
}

const SIZE: (&str, &str) = (
    "node_btrfs_device_size_bytes",
    "Size of a device that is part of the filesystem.",
);

fn tell(
    name: &str,
    directory: &Directory,
    roots: &Roots,
    out: &mut Exposition,
) -> Result<(), CollectError> {
    let given = word(directory, "metadata_uuid")?;
    let uuid = if given.is_empty() { name } else { &given };
    let label = word(directory, "label")?;
    out.gauge("node_btrfs_info", "Filesystem information")
        .add(&[("label", &label), ("uuid", uuid)], 1_u64);
    out.gauge(
        "node_btrfs_global_rsv_size_bytes",
        "Size of global reserve.",
    )
    .add(
        &[("uuid", uuid)],
        number(directory, "allocation/global_rsv_size")?,
    );
    let devices = entries(&directory.path().join("devices"))?;
    let members: Option<Vec<Member>> = devices
        .iter()
        .map(|device| Member::read(device, directory, roots))
        .collect();
    if let Some(members) = members {
        for member in members {
            member.tell(uuid, out);
        }
    } else {
        for device in &devices {
            let sectors = number(directory, &format!("devices/{device}/size"))?;
            out.gauge(SIZE.0, SIZE.1).add(
                &[("device", device), ("uuid", uuid)],
                sectors.saturating_mul(SECTOR),
            );
        }
    }
    for group in GROUPS {
        let path = directory.path().join("allocation").join(group);
        let layouts = match subdirectories(&path) {
            Ok(layouts) => layouts,
            // Data and metadata may be mixed: they have no directories of their own then.
            Err(error) if error.is_missing() && *group != "system" => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let reserved = number(directory, &format!("allocation/{group}/bytes_reserved"))?;
        out.gauge(
            "node_btrfs_reserved_bytes",
            "Amount of space reserved for a data type",
        )
        .add(&[("block_group_type", group), ("uuid", uuid)], reserved);
        for layout in layouts {
            let labels = [
                ("block_group_type", *group),
                ("mode", layout.as_str()),
                ("uuid", uuid),
            ];
            let file = |name| format!("allocation/{group}/{layout}/{name}");
            out.gauge(
                "node_btrfs_used_bytes",
                "Amount of used space by a layout/data type",
            )
            .add(&labels, number(directory, &file("used_bytes"))?);
            out.gauge(
                "node_btrfs_size_bytes",
                "Amount of space allocated for a layout/data type",
            )
            .add(&labels, number(directory, &file("total_bytes"))?);
            out.gauge(
                "node_btrfs_allocation_ratio",
                "Data allocation ratio for a layout/data type",
            )
            .add(&labels, ratio(&layout, devices.len()));
        }
    }
    Ok(())
}

/// A device as the file system knows it. The superblock says so, and the kernel keeps that in memory: to read it takes
/// no ioctl, but the right to read the device.
struct Member {
    name: String,
    uuid: String,
    size: u64,
    used: u64,
    errors: [u64; ERRORS.len()],
}

/// Kinds of errors, and the words before their numbers.
const ERRORS: [(&str, &str); 5] = [
    ("write", "write_errs"),
    ("read", "read_errs"),
    ("flush", "flush_errs"),
    ("corruption", "corruption_errs"),
    ("generation", "generation_errs"),
];

impl Member {
    /// None where something of it cannot be known: the right is missing, or the kernel is old.
    fn read(device: &str, directory: &Directory, roots: &Roots) -> Option<Self> {
        const SUPERBLOCK: u64 = 64 * 1024;
        const MAGIC: &[u8] = b"_BHRfS_M";
        let mut block = [0; 512];
        // The kernel writes a slash so, where a name has one.
        let node = File::open(roots.root(&format!("dev/{}", device.replace('!', "/")))).ok()?;
        node.read_exact_at(&mut block, SUPERBLOCK).ok()?;
        if !block[64..].starts_with(MAGIC) {
            return None;
        }
        let number = |place: usize| {
            block[place..]
                .first_chunk()
                .copied()
                .map(u64::from_le_bytes)
        };
        let id = number(201)?;
        let stats = directory.attribute(&format!("devinfo/{id}/error_stats"))?;
        let mut errors = [0; ERRORS.len()];
        for (place, (_, word)) in ERRORS.iter().enumerate() {
            let mut lines = stats.lines();
            let count = lines.find_map(|line| line.strip_prefix(word))?;
            errors[place] = count.trim().parse().ok()?;
        }
        // A mapped device goes by its own name.
        let mapped = directory.value(&format!("devices/{device}/dm/name"));
        let name = mapped.unwrap_or_else(|_| device.replace('!', "/"));
        Some(Self {
            name: name.rsplit('/').next().unwrap_or(&name).to_owned(),
            uuid: uuid(block[267..].first_chunk()?),
            size: number(209)?,
            used: number(217)?,
            errors,
        })
    }

    fn tell(&self, uuid: &str, out: &mut Exposition) {
        let labels = [
            ("btrfs_dev_uuid", self.uuid.as_str()),
            ("device", self.name.as_str()),
            ("uuid", uuid),
        ];
        out.gauge(SIZE.0, SIZE.1).add(&labels, self.size);
        out.gauge(
            "node_btrfs_device_unused_bytes",
            "Unused bytes unused on a device that is part of the filesystem.",
        )
        .add(&labels, self.size.saturating_sub(self.used));
        for ((kind, _), count) in ERRORS.iter().zip(self.errors) {
            let [id, device, system] = labels;
            out.counter(
                "node_btrfs_device_errors_total",
                "Errors reported for the device",
            )
            .add(&[id, device, ("type", kind), system], count);
        }
    }
}

fn uuid(bytes: &[u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*bytes));
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// How much of the disks a byte takes; 0 where that is not known.
fn ratio(layout: &str, devices: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many disks")]
    let devices = devices as f64;
    match layout {
        "single" | "raid0" => 1.0,
        "dup" | "raid1" | "raid10" => 2.0,
        "raid5" => devices / (devices - 1.0),
        "raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}

/// An attribute that not every kernel has.
fn word(directory: &Directory, name: &str) -> Result<String, ReadError> {
    match directory.value(name) {
        Err(error) if error.is_missing() => Ok(String::new()),
        value => value,
    }
}

/// 0 for what is missing, and for what is no number.
fn number(directory: &Directory, name: &str) -> Result<u64, ReadError> {
    Ok(word(directory, name)?.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn allocation_by_group_and_layout() {
        let files = [
            ("sys/fs/btrfs/features/raid56", "0\n"),
            ("sys/fs/btrfs/aa-bb/label", "store\n"),
            ("sys/fs/btrfs/aa-bb/devices/sdy/size", "8\n"),
            ("sys/fs/btrfs/aa-bb/devices/sdz/size", "16\n"),
            ("sys/fs/btrfs/aa-bb/devices/sdzz/size", "x\n"),
            ("sys/fs/btrfs/aa-bb/allocation/global_rsv_size", "77\n"),
            ("sys/fs/btrfs/aa-bb/allocation/data/bytes_reserved", "5\n"),
            ("sys/fs/btrfs/aa-bb/allocation/data/raid5/used_bytes", "6\n"),
            (
                "sys/fs/btrfs/aa-bb/allocation/data/raid5/total_bytes",
                "9\n",
            ),
            (
                "sys/fs/btrfs/aa-bb/allocation/system/raid1c3/used_bytes",
                "1\n",
            ),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_btrfs_info{label=\"store\",uuid=\"aa-bb\"} 1",
            "node_btrfs_global_rsv_size_bytes{uuid=\"aa-bb\"} 77",
            "node_btrfs_device_size_bytes{device=\"sdy\",uuid=\"aa-bb\"} 4096",
            "node_btrfs_device_size_bytes{device=\"sdzz\",uuid=\"aa-bb\"} 0",
            "node_btrfs_reserved_bytes{block_group_type=\"metadata\",uuid=\"aa-bb\"} 0",
            "node_btrfs_allocation_ratio{block_group_type=\"data\",mode=\"raid5\",uuid=\"aa-bb\"} 1.5",
            "node_btrfs_allocation_ratio{block_group_type=\"system\",mode=\"raid1c3\",uuid=\"aa-bb\"} 0",
            "node_btrfs_size_bytes{block_group_type=\"data\",mode=\"raid5\",uuid=\"aa-bb\"} 9",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        let error = collected(&DEFINITION, &Machine::new(&files[..9])).unwrap_err();
        assert!(matches!(error, CollectError::Read(_)));
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }

    #[test]
    fn devices_that_can_be_read_say_more() {
        let stats =
            "write_errs 1\nread_errs 2\nflush_errs 0\ncorruption_errs 9\ngeneration_errs 0\n";
        let files = [
            ("sys/fs/btrfs/aa-bb/devices/dm-7/size", "8\n"),
            ("sys/fs/btrfs/aa-bb/devices/dm-7/dm/name", "safe\n"),
            ("sys/fs/btrfs/aa-bb/devinfo/3/error_stats", stats),
            ("sys/fs/btrfs/aa-bb/allocation/system/flags", "2\n"),
            ("root/dev/dm-7", ""),
        ];
        let machine = Machine::new(&files);
        let text = collected(&DEFINITION, &machine).unwrap();
        let line = "node_btrfs_device_size_bytes{device=\"dm-7\",uuid=\"aa-bb\"} 4096";
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
        let mut disk = vec![0; 66 * 1024];
        let block = &mut disk[64 * 1024..];
        block[64..72].copy_from_slice(b"_BHRfS_M");
        block[201..209].copy_from_slice(&3_u64.to_le_bytes());
        block[209..217].copy_from_slice(&5000_u64.to_le_bytes());
        block[217..225].copy_from_slice(&4000_u64.to_le_bytes());
        block[267..283].fill(0xab);
        std::fs::write(machine.path("root/dev/dm-7"), disk).unwrap();
        let text = collected(&DEFINITION, &machine).unwrap();
        let id = "abababab-abab-abab-abab-abababababab";
        let member = format!("btrfs_dev_uuid=\"{id}\",device=\"safe\"");
        for line in [
            format!("node_btrfs_device_size_bytes{{{member},uuid=\"aa-bb\"}} 5000"),
            format!("node_btrfs_device_unused_bytes{{{member},uuid=\"aa-bb\"}} 1000"),
            format!(
                "node_btrfs_device_errors_total{{{member},type=\"corruption\",uuid=\"aa-bb\"}} 9"
            ),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        std::fs::remove_file(machine.path("sys/fs/btrfs/aa-bb/devinfo/3/error_stats")).unwrap();
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(!text.contains("btrfs_dev_uuid"), "{text}");
    }
}
