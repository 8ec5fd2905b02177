//! Bcache: how well fast disks serve as a cache of slow ones.

use std::path::Path;

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Collector, Definition, Opt, Value, whole};
use crate::roots::{Roots, names, read};

pub(super) const DEFINITION: Definition = Definition {
    name: "bcache",
    enabled: true,
    options: &[Opt {
        name: PRIORITY,
        help: "Also what each cache holds, which takes the kernel a while to find out.",
        default: Value::Switch(false),
    }],
    new: |options| {
        Ok(Box::new(Bcache {
            priority: options.switch(PRIORITY),
        }))
    },
};

const PRIORITY: &str = "priorityStats";

struct Bcache {
    priority: bool,
}

/// A file, its metric, what the metric is.
type Number = (&'static str, &'static str, Kind, &'static str);

#[rustfmt::skip]
const SET: &[Number] = &[
    ("average_key_size", "average_key_size_sectors", Kind::Gauge, "Average data per key in the btree (sectors)."),
    ("btree_cache_size", "btree_cache_size_bytes", Kind::Gauge, "Amount of memory currently used by the btree cache."),
    ("cache_available_percent", "cache_available_percent", Kind::Gauge, "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data)."),
    ("congested", "congested", Kind::Gauge, "Congestion."),
    ("root_usage_percent", "root_usage_percent", Kind::Gauge, "Percentage of the root btree node in use (tree depth increases if too high)."),
    ("tree_depth", "tree_depth", Kind::Gauge, "Depth of the btree."),
    ("internal/active_journal_entries", "active_journal_entries", Kind::Gauge, "Number of journal entries that are newer than the index."),
    ("internal/btree_nodes", "btree_nodes", Kind::Gauge, "Total nodes in the btree."),
    ("internal/cache_read_races", "cache_read_races_total", Kind::Counter, "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed."),
];

#[rustfmt::skip]
const BACKING: &[Number] = &[
    ("dirty_data", "dirty_data_bytes", Kind::Gauge, "Amount of dirty data for this backing device in the cache."),
    ("stats_total/bypassed", "bypassed_bytes_total", Kind::Counter, "Amount of IO (both reads and writes) that has bypassed the cache."),
    ("stats_total/cache_hits", "cache_hits_total", Kind::Counter, "Hits counted per individual IO as bcache sees them."),
    ("stats_total/cache_misses", "cache_misses_total", Kind::Counter, "Misses counted per individual IO as bcache sees them."),
    ("stats_total/cache_bypass_hits", "cache_bypass_hits_total", Kind::Counter, "Hits for IO intended to skip the cache."),
    ("stats_total/cache_bypass_misses", "cache_bypass_misses_total", Kind::Counter, "Misses for IO intended to skip the cache."),
    ("stats_total/cache_miss_collisions", "cache_miss_collisions_total", Kind::Counter, "Instances where data insertion from cache miss raced with write (data already present)."),
    ("stats_total/cache_readaheads", "cache_readaheads_total", Kind::Counter, "Count of times readahead occurred."),
];

#[rustfmt::skip]
const CACHE: &[Number] = &[
    ("io_errors", "io_errors", Kind::Gauge, "Number of errors that have occurred, decayed by io_error_halflife."),
    ("metadata_written", "metadata_written_bytes_total", Kind::Counter, "Sum of all non data writes (btree writes and all other metadata)."),
    ("written", "written_bytes_total", Kind::Counter, "Sum of all data that has been written to the cache."),
];

/// Lines of `writeback_rate_debug`.
#[rustfmt::skip]
const WRITEBACK: &[(&str, &str, &str)] = &[
    ("rate:", "writeback_rate", "Current writeback rate for this backing device in bytes."),
    ("target:", "dirty_target_bytes", "Current dirty data target threshold for this backing device in bytes."),
    ("proportional:", "writeback_rate_proportional_term", "Current result of proportional controller, part of writeback rate"),
    ("integral:", "writeback_rate_integral_term", "Current result of integral controller, part of writeback rate"),
    ("change:", "writeback_change", "Last writeback rate change step for this backing device."),
];

/// Lines of `priority_stats`.
#[rustfmt::skip]
const SHARES: &[(&str, &str, &str)] = &[
    ("Unused:", "priority_stats_unused_percent", "The percentage of the cache that doesn't contain any data."),
    ("Metadata:", "priority_stats_metadata_percent", "Bcache's metadata overhead."),
];

impl Collector for Bcache {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let sets = roots.sysfs.join("fs/bcache");
        whole(out, |out| {
            for uuid in names(&sets)? {
                if uuid.contains('-') {
                    self.set(&uuid, &sets.join(&uuid), out)?;
                }
            }
            Ok(())
        })
    }
}

impl Bcache {
    fn set(&self, uuid: &str, path: &Path, out: &mut Exposition) -> Result<(), CollectError> {
        let labels = [("uuid", uuid)];
        numbers(SET, path, &labels, out)?;
        let average = number(&path.join("internal/btree_read_average_duration_us"))?;
        out.gauge(
            "node_bcache_btree_read_average_duration_seconds",
            "Average btree read duration.",
        )
        .add(&labels, float(average) * 1e-9);
        for name in names(path)? {
            let path = path.join(&name);
            if is_numbered("bdev", &name) {
                let labels = [("backing_device", name.as_str()), ("uuid", uuid)];
                numbers(BACKING, &path, &labels, out)?;
                writeback(&path.join("writeback_rate_debug"), &labels, out)?;
            } else if is_numbered("cache", &name) {
                let labels = [("cache_device", name.as_str()), ("uuid", uuid)];
                numbers(CACHE, &path, &labels, out)?;
                if self.priority {
                    shares(&path.join("priority_stats"), &labels, out)?;
                }
            }
        }
        Ok(())
    }
}

fn is_numbered(word: &str, name: &str) -> bool {
    let rest = name.strip_prefix(word);
    rest.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

fn numbers(
    table: &[Number],
    path: &Path,
    labels: &[(&str, &str)],
    out: &mut Exposition,
) -> Result<(), CollectError> {
    for (file, metric, kind, help) in table {
        let value = number(&path.join(file))?;
        out.family(format!("node_bcache_{metric}"), *kind, *help)
            .add(labels, value);
    }
    Ok(())
}

/// A file that is a number for people; 0 where it is missing.
fn number(path: &Path) -> Result<u64, CollectError> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let word = text.trim_end();
    bytes(word).ok_or_else(|| malformed(path, word))
}

fn writeback(
    path: &Path,
    labels: &[(&str, &str)],
    out: &mut Exposition,
) -> Result<(), CollectError> {
    let text = read(path)?;
    for (word, metric, help) in WRITEBACK {
        let mut value = 0_i64;
        for line in text.lines().filter(|line| line.starts_with(word)) {
            let last = line.split_ascii_whitespace().next_back();
            let last = last.map(|last| last.strip_suffix("/sec").unwrap_or(last));
            let read = last.and_then(|last| match last.strip_prefix('-') {
                Some(rest) => bytes(rest)?.try_into().ok().map(|value: i64| -value),
                None => bytes(last)?.try_into().ok(),
            });
            value = read.ok_or_else(|| malformed(path, line))?;
        }
        out.gauge(format!("node_bcache_{metric}"), *help)
            .add(labels, value);
    }
    Ok(())
}

fn shares(path: &Path, labels: &[(&str, &str)], out: &mut Exposition) -> Result<(), CollectError> {
    let text = read(path)?;
    for (word, metric, help) in SHARES {
        let mut value = 0_u64;
        for line in text.lines().filter(|line| line.starts_with(word)) {
            let last = line.split_ascii_whitespace().next_back();
            let last = last.map(|last| last.strip_suffix('%').unwrap_or(last));
            let read = last.and_then(|last| last.parse().ok());
            value = read.ok_or_else(|| malformed(path, line))?;
        }
        out.gauge(format!("node_bcache_{metric}"), *help)
            .add(labels, value);
    }
    Ok(())
}

/// The kernel shortens numbers: `1.5k`. The digit behind the point comes of a division by 1024, and is a little less
/// than a tenth: dashboards have always seen it so.
fn bytes(word: &str) -> Option<u64> {
    let (digits, factor) = match word.bytes().last()? {
        letter if letter <= b'9' => return whole_number(word.parse().ok()?),
        b'k' => (word.strip_suffix('k')?, 10),
        b'M' => (word.strip_suffix('M')?, 20),
        b'G' => (word.strip_suffix('G')?, 30),
        b'T' => (word.strip_suffix('T')?, 40),
        b'P' => (word.strip_suffix('P')?, 50),
        b'E' => (word.strip_suffix('E')?, 60),
        b'Z' => (word.strip_suffix('Z')?, 70),
        b'Y' => (word.strip_suffix('Y')?, 80),
        _ => return None,
    };
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let integer: f64 = integer.parse().ok()?;
    let fraction: f64 = fraction.parse().ok()?;
    whole_number((integer + fraction / 10.24) * 2_f64.powi(factor))
}

fn whole_number(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "parts of a byte are cut off"
    )]
    value.is_finite().then_some(value as u64)
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn float(value: u64) -> f64 {
    value as f64
}

fn malformed(path: &Path, what: &str) -> CollectError {
    CollectError::malformed(path.display().to_string(), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    #[test]
    fn numbers_for_people_are_read_back() {
        assert_eq!(bytes("546"), Some(546));
        assert_eq!(bytes("2k"), Some(2048));
        assert_eq!(bytes("1.5M"), Some(1_560_576));
        assert_eq!(bytes("4.5"), Some(4));
        assert_eq!(bytes("1q"), None);
        assert_eq!(bytes(""), None);
        assert_eq!(bytes("k"), None);
        assert_eq!(bytes("1é"), None);
    }

    #[test]
    fn sets_devices_and_caches() {
        let debug = "rate:\t\t2.0M/sec\ndirty:\t\t1G\ntarget:\t\t3k\nproportional:\t-7k\nchange:\t\t0/sec\n";
        let mut files = vec![
            ("sys/fs/bcache/register", ""),
            ("sys/fs/bcache/a-b/tree_depth", "3\n"),
            (
                "sys/fs/bcache/a-b/internal/btree_read_average_duration_us",
                "1305\n",
            ),
            ("sys/fs/bcache/a-b/bdev0/dirty_data", "1k\n"),
            ("sys/fs/bcache/a-b/bdev0/writeback_rate_debug", debug),
            ("sys/fs/bcache/a-b/bdev0/stats_total/cache_hits", "546\n"),
            ("sys/fs/bcache/a-b/cache0/written", "512\n"),
            (
                "sys/fs/bcache/a-b/cache0/priority_stats",
                "Unused:\t\t99%\nMetadata:\t1%\nAverage: 10473\n",
            ),
        ];
        let machine = Machine::new(&files);
        let text = collected_with(&DEFINITION, &[(PRIORITY, "true")], &machine).unwrap();
        for line in [
            "node_bcache_tree_depth{uuid=\"a-b\"} 3",
            "node_bcache_congested{uuid=\"a-b\"} 0",
            "node_bcache_btree_read_average_duration_seconds{uuid=\"a-b\"} 1.305e-06",
            "node_bcache_dirty_data_bytes{backing_device=\"bdev0\",uuid=\"a-b\"} 1024",
            "node_bcache_cache_hits_total{backing_device=\"bdev0\",uuid=\"a-b\"} 546",
            "node_bcache_writeback_rate_proportional_term{backing_device=\"bdev0\",uuid=\"a-b\"} -7168",
            "node_bcache_dirty_target_bytes{backing_device=\"bdev0\",uuid=\"a-b\"} 3072",
            "node_bcache_written_bytes_total{cache_device=\"cache0\",uuid=\"a-b\"} 512",
            "node_bcache_priority_stats_unused_percent{cache_device=\"cache0\",uuid=\"a-b\"} 99",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(!text.contains("priority_stats"), "{text}");
        files[3].1 = "much\n";
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        files.remove(4);
        files[3].1 = "1k\n";
        let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
        assert!(matches!(error, CollectError::Read(_)));
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}
