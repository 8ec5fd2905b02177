//! What was read from disks and written to them, and what udev knows of them.

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Definition, Opt, Value};
use crate::pattern::Filter;
use crate::roots::{Roots, read};

const INCLUDE: &str = "device-include";
const EXCLUDE: &str = "device-exclude";

pub(super) const DEFINITION: Definition = Definition {
    name: "diskstats",
    enabled: true,
    options: &[
        Opt {
            name: INCLUDE,
            help: "Disks to include, as a regular expression.",
            default: Value::Text(""),
        },
        Opt {
            name: EXCLUDE,
            help: "Disks to exclude, as a regular expression.",
            default: Value::Text(r"^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"),
        },
    ],
    new: |options| {
        let filter = Filter::new(options, INCLUDE, EXCLUDE)?;
        Ok(Box::new(move |roots: &Roots, out: &mut Exposition| {
            collect(&filter, roots, out)
        }))
    },
};

const FILE: &str = "diskstats";

/// How a column becomes a sample.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    /// Of 512 bytes, whatever the disk has.
    Sectors,
    Milliseconds,
}

struct Column {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    unit: Unit,
}

const fn counter(name: &'static str, help: &'static str, unit: Unit) -> Column {
    Column {
        name,
        help,
        kind: Kind::Counter,
        unit,
    }
}

/// In the order of the file, behind the name. Kernels since 4.18 have discards, those since 5.5 flushes.
const COLUMNS: [Column; 17] = [
    counter(
        "node_disk_reads_completed_total",
        "The total number of reads completed successfully.",
        Unit::Count,
    ),
    counter(
        "node_disk_reads_merged_total",
        "The total number of reads merged.",
        Unit::Count,
    ),
    counter(
        "node_disk_read_bytes_total",
        "The total number of bytes read successfully.",
        Unit::Sectors,
    ),
    counter(
        "node_disk_read_time_seconds_total",
        "The total number of seconds spent by all reads.",
        Unit::Milliseconds,
    ),
    counter(
        "node_disk_writes_completed_total",
        "The total number of writes completed successfully.",
        Unit::Count,
    ),
    counter(
        "node_disk_writes_merged_total",
        "The number of writes merged.",
        Unit::Count,
    ),
    counter(
        "node_disk_written_bytes_total",
        "The total number of bytes written successfully.",
        Unit::Sectors,
    ),
    counter(
        "node_disk_write_time_seconds_total",
        "This is the total number of seconds spent by all writes.",
        Unit::Milliseconds,
    ),
    Column {
        name: "node_disk_io_now",
        help: "The number of I/Os currently in progress.",
        kind: Kind::Gauge,
        unit: Unit::Count,
    },
    counter(
        "node_disk_io_time_seconds_total",
        "Total seconds spent doing I/Os.",
        Unit::Milliseconds,
    ),
    counter(
        "node_disk_io_time_weighted_seconds_total",
        "The weighted # of seconds spent doing I/Os.",
        Unit::Milliseconds,
    ),
    counter(
        "node_disk_discards_completed_total",
        "The total number of discards completed successfully.",
        Unit::Count,
    ),
    counter(
        "node_disk_discards_merged_total",
        "The total number of discards merged.",
        Unit::Count,
    ),
    counter(
        "node_disk_discarded_sectors_total",
        "The total number of sectors discarded successfully.",
        Unit::Count,
    ),
    counter(
        "node_disk_discard_time_seconds_total",
        "This is the total number of seconds spent by all discards.",
        Unit::Milliseconds,
    ),
    counter(
        "node_disk_flush_requests_total",
        "The total number of flush requests completed successfully",
        Unit::Count,
    ),
    counter(
        "node_disk_flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.",
        Unit::Milliseconds,
    ),
];

/// What was always there; shorter lines are of partitions in kernels before 2.6.25.
const LEAST: usize = 11;

struct Disk<'a> {
    major: u32,
    minor: u32,
    name: &'a str,
    counts: Vec<u64>,
}

fn collect(filter: &Filter, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let text = roots.proc(FILE)?;
    let mut disks = disks(&text)?;
    disks.retain(|disk| filter.takes(disk.name));
    for (place, column) in COLUMNS.iter().enumerate() {
        let mut samples = out.family(column.name, column.kind, column.help);
        for disk in &disks {
            let labels = [("device", disk.name)];
            if let Some(count) = disk.counts.get(place).copied() {
                #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
                match column.unit {
                    Unit::Count => samples.add(&labels, count),
                    Unit::Sectors => samples.add(&labels, count as f64 * 512.0),
                    Unit::Milliseconds => samples.add(&labels, count as f64 * 0.001),
                };
            }
        }
    }
    for disk in &disks {
        properties(disk, roots, out);
    }
    Ok(())
}

fn disks(text: &str) -> Result<Vec<Disk<'_>>, CollectError> {
    let mut disks = Vec::new();
    for line in text.lines() {
        let malformed = || CollectError::malformed(FILE, line);
        let mut words = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let mut counts = Vec::with_capacity(COLUMNS.len());
        for word in words.take(COLUMNS.len()) {
            counts.push(word.parse().map_err(|_| malformed())?);
        }
        if counts.len() >= LEAST {
            disks.push(Disk {
                major: major.parse().map_err(|_| malformed())?,
                minor: minor.parse().map_err(|_| malformed())?,
                name,
                counts,
            });
        }
    }
    Ok(disks)
}

/// Families of their own for disks that speak ATA.
const ATA: [(&str, &str, &str); 3] = [
    (
        "ID_ATA_WRITE_CACHE",
        "node_disk_ata_write_cache",
        "ATA disk has a write cache.",
    ),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        "node_disk_ata_write_cache_enabled",
        "ATA disk has its write cache enabled.",
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        "node_disk_ata_rotation_rate_rpm",
        "ATA disk rotation rate in RPMs (0 for SSDs).",
    ),
];

fn properties(disk: &Disk<'_>, roots: &Roots, out: &mut Exposition) {
    let Disk {
        major, minor, name, ..
    } = disk;
    // Without udev, nothing is known.
    let file = read(&roots.udev.join(format!("b{major}:{minor}"))).unwrap_or_default();
    let known: Vec<(&str, &str)> = file
        .lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .collect();
    let find = |property: &str| {
        let mut known = known.iter().rev();
        known
            .find(|(name, _)| *name == property)
            .map(|(_, value)| *value)
    };
    let word = |property| find(property).unwrap_or_default();
    let labels = [
        ("device", *name),
        ("major", &major.to_string()),
        ("minor", &minor.to_string()),
        ("path", word("ID_PATH")),
        ("wwn", word("ID_WWN")),
        ("model", word("ID_MODEL")),
        ("serial", word("ID_SERIAL_SHORT")),
        ("revision", word("ID_REVISION")),
    ];
    out.gauge("node_disk_info", "Info of /sys/block/<block_device>.")
        .add(&labels, 1_u64);
    if !word("ID_FS_TYPE").is_empty() {
        let labels = [
            ("device", *name),
            ("type", word("ID_FS_TYPE")),
            ("usage", word("ID_FS_USAGE")),
            ("uuid", word("ID_FS_UUID")),
            ("version", word("ID_FS_VERSION")),
        ];
        out.gauge("node_disk_filesystem_info", "Info about disk filesystem.")
            .add(&labels, 1_u64);
    }
    if !word("DM_NAME").is_empty() {
        let labels = [
            ("device", *name),
            ("name", word("DM_NAME")),
            ("uuid", word("DM_UUID")),
            ("vg_name", word("DM_VG_NAME")),
            ("lv_name", word("DM_LV_NAME")),
            ("lv_layer", word("DM_LV_LAYER")),
        ];
        out.gauge(
            "node_disk_device_mapper_info",
            "Info about disk device mapper.",
        )
        .add(&labels, 1_u64);
    }
    if !word("ID_ATA").is_empty() {
        for (property, family, help) in ATA {
            if let Some(value) = find(property).and_then(|value| value.parse::<f64>().ok()) {
                out.gauge(family, help).add(&[("device", *name)], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const STATS: &str = "   8       0 sda 10 2 2000 1500 4 3 6 7 1 9 10 11 12 13 14 15 16 17 18\n\
        \x20  8       1 sda1 1 1 1 1\n 253 0 dm-0 1 2 3 4 5 6 7 8 9 10 11\n   7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n";

    #[test]
    fn counts_and_properties() {
        let machine = Machine::new(&[
            ("proc/diskstats", STATS),
            (
                "udev/b8:0",
                "S:disk/x\nE:ID_ATA=1\nE:ID_MODEL=SPIN=9\nE:ID_ATA_ROTATION_RATE_RPM=7200\n\
                 E:ID_ATA_WRITE_CACHE=odd\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=1-2\n",
            ),
            ("udev/b253:0", "E:DM_NAME=vg-root\nE:DM_LV_NAME=root\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_disk_reads_completed_total{device=\"sda\"} 10",
            "node_disk_read_bytes_total{device=\"sda\"} 1.024e+06",
            "node_disk_read_time_seconds_total{device=\"sda\"} 1.5",
            "# TYPE node_disk_io_now gauge",
            "node_disk_flush_requests_total{device=\"sda\"} 15",
            "node_disk_io_now{device=\"dm-0\"} 9",
            "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",path=\"\",wwn=\"\",model=\"SPIN=9\",serial=\"\",\
             revision=\"\"} 1",
            "node_disk_filesystem_info{device=\"sda\",type=\"ext4\",usage=\"\",uuid=\"1-2\",version=\"\"} 1",
            "node_disk_device_mapper_info{device=\"dm-0\",name=\"vg-root\",uuid=\"\",vg_name=\"\",lv_name=\"root\",\
             lv_layer=\"\"} 1",
            "node_disk_ata_rotation_rate_rpm{device=\"sda\"} 7200",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        for absent in [
            "sda1",
            "loop0",
            "write_cache",
            "discards_merged_total{device=\"dm-0\"",
        ] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
        let text = collected_with(&DEFINITION, &[(INCLUDE, "loop")], &machine).unwrap();
        assert!(text.contains("loop0") && !text.contains("sda"));
    }

    #[test]
    fn what_is_not_understood_fails() {
        for stats in ["8 0 sda 1 x 3\n", "x 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"] {
            let machine = Machine::new(&[("proc/diskstats", stats)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{stats}");
        }
        let machine = Machine::new(&[("proc/diskstats", "\n8 0 sda\n")]);
        assert_eq!(collected(&DEFINITION, &machine).unwrap(), "");
    }
}
