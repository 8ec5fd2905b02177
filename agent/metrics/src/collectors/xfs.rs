//! XFS: what each file system has done, as the kernel counts it.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition, whole};
use crate::roots::{Roots, names, read};

pub(super) const DEFINITION: Definition = Definition {
    name: "xfs",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// A line of `stats`.
struct Line {
    word: &'static str,
    /// Metrics and their help, in the order of the line's numbers.
    metrics: &'static [(&'static str, &'static str)],
    /// How many numbers may follow those.
    more: usize,
}

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let systems = roots.sysfs.join("fs/xfs");
    whole(out, |out| {
        for device in names(&systems)? {
            if device == "stats" {
                // What all file systems have done together.
                continue;
            }
            match read(&systems.join(&device).join("stats/stats")) {
                Ok(text) => tell(&device, &text, out)?,
                // Next to the file systems is how the module is set up.
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
}

fn tell(device: &str, text: &str, out: &mut Exposition) -> Result<(), CollectError> {
    let labels = [("device", device)];
    let mut missing: Vec<&Line> = LINES.iter().collect();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else {
            continue;
        };
        let Some(place) = missing.iter().position(|known| known.word == first) else {
            continue;
        };
        let known = missing.remove(place);
        let numbers: Option<Vec<u32>> = words.map(|word| word.parse().ok()).collect();
        let count = known.metrics.len();
        let numbers = numbers.filter(|all| (count..=count + known.more).contains(&all.len()));
        let Some(numbers) = numbers else {
            return Err(CollectError::malformed(format!("stats of {device}"), line));
        };
        for ((metric, help), number) in known.metrics.iter().zip(numbers) {
            out.counter(*metric, *help).add(&labels, number);
        }
    }
    for (metric, help) in missing.iter().flat_map(|line| line.metrics) {
        out.counter(*metric, *help).add(&labels, 0_u64);
    }
    Ok(())
}

const LINES: &[Line] = &[
    Line {
        word: "extent_alloc",
        metrics: &[
            (
                "node_xfs_extent_allocation_extents_allocated_total",
                "Number of extents allocated for a filesystem.",
            ),
            (
                "node_xfs_extent_allocation_blocks_allocated_total",
                "Number of blocks allocated for a filesystem.",
            ),
            (
                "node_xfs_extent_allocation_extents_freed_total",
                "Number of extents freed for a filesystem.",
            ),
            (
                "node_xfs_extent_allocation_blocks_freed_total",
                "Number of blocks freed for a filesystem.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "abt",
        metrics: &[
            (
                "node_xfs_allocation_btree_lookups_total",
                "Number of allocation B-tree lookups for a filesystem.",
            ),
            (
                "node_xfs_allocation_btree_compares_total",
                "Number of allocation B-tree compares for a filesystem.",
            ),
            (
                "node_xfs_allocation_btree_records_inserted_total",
                "Number of allocation B-tree records inserted for a filesystem.",
            ),
            (
                "node_xfs_allocation_btree_records_deleted_total",
                "Number of allocation B-tree records deleted for a filesystem.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "blk_map",
        metrics: &[
            (
                "node_xfs_block_mapping_reads_total",
                "Number of block map for read operations for a filesystem.",
            ),
            (
                "node_xfs_block_mapping_writes_total",
                "Number of block map for write operations for a filesystem.",
            ),
            (
                "node_xfs_block_mapping_unmaps_total",
                "Number of block unmaps (deletes) for a filesystem.",
            ),
            (
                "node_xfs_block_mapping_extent_list_insertions_total",
                "Number of extent list insertions for a filesystem.",
            ),
            (
                "node_xfs_block_mapping_extent_list_deletions_total",
                "Number of extent list deletions for a filesystem.",
            ),
            (
                "node_xfs_block_mapping_extent_list_lookups_total",
                "Number of extent list lookups for a filesystem.",
            ),
            (
                "node_xfs_block_mapping_extent_list_compares_total",
                "Number of extent list compares for a filesystem.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "bmbt",
        metrics: &[
            (
                "node_xfs_block_map_btree_lookups_total",
                "Number of block map B-tree lookups for a filesystem.",
            ),
            (
                "node_xfs_block_map_btree_compares_total",
                "Number of block map B-tree compares for a filesystem.",
            ),
            (
                "node_xfs_block_map_btree_records_inserted_total",
                "Number of block map B-tree records inserted for a filesystem.",
            ),
            (
                "node_xfs_block_map_btree_records_deleted_total",
                "Number of block map B-tree records deleted for a filesystem.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "dir",
        metrics: &[
            (
                "node_xfs_directory_operation_lookup_total",
                "Number of file name directory lookups which miss the operating systems directory name lookup cache.",
            ),
            (
                "node_xfs_directory_operation_create_total",
                "Number of times a new directory entry was created for a filesystem.",
            ),
            (
                "node_xfs_directory_operation_remove_total",
                "Number of times an existing directory entry was created for a filesystem.",
            ),
            (
                "node_xfs_directory_operation_getdents_total",
                "Number of times the directory getdents operation was performed for a filesystem.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "ig",
        metrics: &[
            (
                "node_xfs_inode_operation_attempts_total",
                "Number of times the OS looked for an XFS inode in the inode cache.",
            ),
            (
                "node_xfs_inode_operation_found_total",
                "Number of times the OS looked for and found an XFS inode in the inode cache.",
            ),
            (
                "node_xfs_inode_operation_recycled_total",
                "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.",
            ),
            (
                "node_xfs_inode_operation_missed_total",
                "Number of times the OS looked for an XFS inode in the cache, but did not find it.",
            ),
            (
                "node_xfs_inode_operation_duplicates_total",
                "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process.",
            ),
            (
                "node_xfs_inode_operation_reclaims_total",
                "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.",
            ),
            (
                "node_xfs_inode_operation_attribute_changes_total",
                "Number of times the OS explicitly changed the attributes of an XFS inode.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "rw",
        metrics: &[
            (
                "node_xfs_write_calls_total",
                "Number of write(2) system calls made to files in a filesystem.",
            ),
            (
                "node_xfs_read_calls_total",
                "Number of read(2) system calls made to files in a filesystem.",
            ),
        ],
        more: 0,
    },
    Line {
        word: "vnodes",
        metrics: &[
            (
                "node_xfs_vnode_active_total",
                "Number of vnodes not on free lists for a filesystem.",
            ),
            (
                "node_xfs_vnode_allocate_total",
                "Number of times vn_alloc called for a filesystem.",
            ),
            (
                "node_xfs_vnode_get_total",
                "Number of times vn_get called for a filesystem.",
            ),
            (
                "node_xfs_vnode_hold_total",
                "Number of times vn_hold called for a filesystem.",
            ),
            (
                "node_xfs_vnode_release_total",
                "Number of times vn_rele called for a filesystem.",
            ),
            (
                "node_xfs_vnode_reclaim_total",
                "Number of times vn_reclaim called for a filesystem.",
            ),
            (
                "node_xfs_vnode_remove_total",
                "Number of times vn_remove called for a filesystem.",
            ),
        ],
        more: 1,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn what_a_line_says_and_what_no_line_says() {
        let stats = "extent_alloc 1 2 3 4\nvnodes 9 0 0 0 0 0 5 7\nrw 28 100\nqm 0 0\nempty\n";
        let machine = Machine::new(&[
            ("sys/fs/xfs/sdz9/stats/stats", stats),
            ("sys/fs/xfs/stats/stats", "rw 1 1\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_xfs_extent_allocation_blocks_freed_total{device=\"sdz9\"} 4",
            "node_xfs_write_calls_total{device=\"sdz9\"} 28",
            "node_xfs_read_calls_total{device=\"sdz9\"} 100",
            "node_xfs_vnode_remove_total{device=\"sdz9\"} 5",
            "node_xfs_inode_operation_found_total{device=\"sdz9\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        assert!(!text.contains("\"stats\""), "{text}");
        for odd in ["rw 28\n", "rw 1 2 3\n", "rw 1 -2\n"] {
            let machine = Machine::new(&[("sys/fs/xfs/sdz9/stats/stats", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}
