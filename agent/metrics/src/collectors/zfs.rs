//! ZFS: its caches and logs, and what its pools and data sets have read and written.

use std::collections::HashSet;
use std::path::Path;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::{Directory, Roots, names, read, subdirectories};

pub(super) const DEFINITION: Definition = Definition {
    name: "zfs",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// Files and metrics' beginnings. Not every release has all of them.
const KINDS: &[(&str, &str)] = &[
    ("abdstats", "node_zfs_abd_"),
    ("arcstats", "node_zfs_arc_"),
    ("dbuf_stats", "node_zfs_dbuf_"),
    ("dmu_tx", "node_zfs_dmu_tx_"),
    ("dnodestats", "node_zfs_dnode_"),
    ("fm", "node_zfs_fm_"),
    ("vdev_cache_stats", "node_zfs_vdev_cache_"),
    ("vdev_mirror_stats", "node_zfs_vdev_mirror_"),
    ("xuio_stats", "node_zfs_xuio_"),
    ("zfetchstats", "node_zfs_zfetch_"),
    ("zil", "node_zfs_zil_"),
];

const STATES: &[&str] = &[
    "online", "degraded", "faulted", "offline", "removed", "unavail",
];

/// The type of a number without a sign, which is nearly all there is.
const UNSIGNED: &str = "4";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let base = roots.procfs.join("spl/kstat/zfs");
    if Directory::open(&base).is_err() {
        return Err(CollectError::NoData);
    }
    for (file, begin) in KINDS {
        if let Ok(text) = read(&base.join(file)) {
            for row in rows(file, &text)? {
                let (name, value) = row.counted(file)?;
                out.untyped(
                    format!("{begin}{}", last_part(name)),
                    format!("kstat.zfs.misc.{file}.{name}"),
                )
                .add(&[], value);
            }
        }
    }
    let pools = subdirectories(&base)?;
    let mut files = Vec::with_capacity(pools.len());
    for pool in &pools {
        files.push((pool.as_str(), base.join(pool), names(&base.join(pool))?));
    }
    for (pool, path, names) in &files {
        if names.iter().any(|name| name == "io") {
            input_output(pool, path, out)?;
        }
    }
    let mut told = HashSet::new();
    for (pool, path, names) in &files {
        for name in names.iter().filter(|name| name.starts_with("objset-")) {
            data_set(pool, &path.join(name), &mut told, out)?;
        }
    }
    for (pool, path, names) in &files {
        if names.iter().any(|name| name == "state") {
            let text = read(&path.join("state"))?;
            let state = text.lines().next().unwrap_or("").to_lowercase();
            for known in STATES {
                out.gauge("node_zfs_zpool_state", "kstat.zfs.misc.state")
                    .add(&[("state", known), ("zpool", pool)], state == *known);
            }
        }
    }
    Ok(())
}

/// A line of three columns: name, type and data.
struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    data: &'a str,
}

impl<'a> Row<'a> {
    fn counted(&self, file: &str) -> Result<(&'a str, u64), CollectError> {
        match self.data.parse() {
            Ok(value) => Ok((self.name, value)),
            Err(_) => Err(CollectError::malformed(file, self.data)),
        }
    }
}

/// The table of a file, which has a line before it: only what is counted, and names of data sets.
fn rows<'a>(
    file: &str,
    text: &'a str,
) -> Result<impl Iterator<Item = Row<'a>> + use<'a>, CollectError> {
    let mut lines = text.lines();
    let is_head = |line: &str| line.split_whitespace().eq(["name", "type", "data"]);
    if !lines.any(is_head) {
        return Err(CollectError::malformed(file, "there is no table"));
    }
    Ok(lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let row = Row {
            name: words.next()?,
            kind: words.next()?,
            data: words.next()?,
        };
        (row.kind == UNSIGNED || row.name == DATA_SET).then_some(row)
    }))
}

const DATA_SET: &str = "dataset_name";

/// A metric's name has no dots and dashes.
fn last_part(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.replace('-', "_")
}

/// Older releases have this: a line of names, and one of numbers.
fn input_output(pool: &str, path: &Path, out: &mut Exposition) -> Result<(), CollectError> {
    let path = path.join("io");
    let text = read(&path)?;
    let mut lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let Some(fields) = lines.find(|line| line.len() >= 12 && line[0] == "nread") else {
        return Ok(());
    };
    // More than one line of numbers would be the same series twice.
    let Some(numbers) = lines.next() else {
        return Ok(());
    };
    for (place, field) in fields.iter().enumerate() {
        let value: Option<u64> = numbers.get(place).and_then(|word| word.parse().ok());
        let Some(value) = value else {
            return Err(CollectError::malformed(path.display().to_string(), *field));
        };
        out.untyped(
            format!("node_zfs_zpool_{}", last_part(field)),
            format!("kstat.zfs.misc.io.{field}"),
        )
        .add(&[("zpool", pool)], value);
    }
    Ok(())
}

fn data_set(
    pool: &str,
    path: &Path,
    told: &mut HashSet<(String, String)>,
    out: &mut Exposition,
) -> Result<(), CollectError> {
    let text = read(path)?;
    let file = path.display().to_string();
    let mut labels = [("dataset", ""), ("zpool", "")];
    for row in rows(&file, &text)? {
        if row.name == DATA_SET {
            labels = [("dataset", row.data), ("zpool", pool)];
            // Names end at a space: two may look the same.
            if !told.insert((pool.to_owned(), row.data.to_owned())) {
                return Ok(());
            }
            continue;
        }
        let (name, value) = row.counted(&file)?;
        out.untyped(
            format!("node_zfs_zpool_dataset_{}", last_part(name)),
            format!("kstat.zfs.misc.objset.{name}"),
        )
        .add(&labels, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const IO: &str = "12 3 0x00 1 80 79 39\nnread nwritten reads writes wtime wlentime wupdate rtime rlentime rupdate wcnt rcnt\n1 2 3 4 5 6 7 8 9 10 11 12\n";

    #[test]
    fn caches_pools_and_data_sets() {
        let set = "23 1 0x01 7 2160 22 66\nname type data\ndataset_name 7 tank/home dirs\nwrites 4 17\nnread 3 1\n";
        let mut files = vec![
            (
                "proc/spl/kstat/zfs/arcstats",
                "6 1 0x01\nname type data\nhits 4 8772612\nmore 3 1\n\n",
            ),
            (
                "proc/spl/kstat/zfs/fm",
                "0 1\nname type data\nerpt-dropped 4 18\n",
            ),
            ("proc/spl/kstat/zfs/other", "x\n"),
            ("proc/spl/kstat/zfs/tank/io", IO),
            ("proc/spl/kstat/zfs/tank/objset-0x1", set),
            ("proc/spl/kstat/zfs/tank/objset-0x2", set),
            ("proc/spl/kstat/zfs/tank/state", "DEGRADED\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "# HELP node_zfs_fm_erpt_dropped kstat.zfs.misc.fm.erpt-dropped",
            "# TYPE node_zfs_arc_hits untyped",
            "node_zfs_arc_hits 8.772612e+06",
            "node_zfs_fm_erpt_dropped 18",
            "node_zfs_zpool_rcnt{zpool=\"tank\"} 12",
            "node_zfs_zpool_dataset_writes{dataset=\"tank/home\",zpool=\"tank\"} 17",
            "node_zfs_zpool_state{state=\"degraded\",zpool=\"tank\"} 1",
            "node_zfs_zpool_state{state=\"online\",zpool=\"tank\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert_eq!(text.matches("\nnode_zfs_zpool_dataset_writes{").count(), 1);
        assert!(!text.contains("_more") && !text.contains("dataset_nread"));
        for (place, odd) in [
            (0, "nothing\n"),
            (0, "name type data\nhits 4 many\n"),
            (3, "nread 2 3 4 5 6 7 8 9 10 11 12\n1\n"),
            (4, ""),
        ] {
            let before = std::mem::replace(&mut files[place].1, odd);
            let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
            assert!(matches!(error, CollectError::Malformed { .. }), "{error}");
            files[place].1 = before;
        }
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}
