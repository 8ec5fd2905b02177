//! Btrfs: what is allocated and used of each file system, and the devices it lies on.

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
                tell(&name, &Directory::open(&systems.join(&name))?, out)?;
            }
        }
        Ok(())
    })
}

fn tell(name: &str, directory: &Directory, out: &mut Exposition) -> Result<(), CollectError> {
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
    for device in &devices {
        let sectors = number(directory, &format!("devices/{device}/size"))?;
        out.gauge(
            "node_btrfs_device_size_bytes",
            "Size of a device that is part of the filesystem.",
        )
        .add(
            &[("device", device), ("uuid", uuid)],
            sectors.saturating_mul(SECTOR),
        );
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
}
