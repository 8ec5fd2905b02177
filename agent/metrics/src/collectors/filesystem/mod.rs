//! Mounted file systems: how large, how full, and whether they answer.

mod mounts;
mod statfs;

use std::collections::BTreeSet;
use std::time::Duration;

use brine_exposition::Exposition;

use self::mounts::Mount;
use self::statfs::Asker;
use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::pattern::Filter;
use crate::roots::Roots;

pub(super) const DEFINITION: Definition = Definition {
    name: "filesystem",
    enabled: true,
    options: &[
        Opt {
            name: MOUNT_POINTS,
            help: "Regexp of mount points to exclude for filesystem collector.",
            default: Value::Text(
                "^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            ),
        },
        Opt {
            name: TYPES,
            help: "Regexp of filesystem types to exclude for filesystem collector.",
            default: Value::Text(
                "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$",
            ),
        },
        Opt {
            name: TIMEOUT,
            help: "How long to wait for a mount to respond before it is reported as an error; 4s at most.",
            default: Value::Text("2s"),
        },
    ],
    new: |options| {
        Ok(Box::new(FileSystems {
            points: Filter::excluding(options, MOUNT_POINTS)?,
            types: Filter::excluding(options, TYPES)?,
            timeout: options.duration(TIMEOUT)?.min(LONGEST),
            asker: Asker::default(),
        }))
    },
};

const MOUNT_POINTS: &str = "mount-points-exclude";
const TYPES: &str = "fs-types-exclude";
const TIMEOUT: &str = "mount-timeout";

/// One mount that hangs must not take the others with it: a collector has five seconds.
const LONGEST: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct FileSystems {
    points: Filter,
    types: Filter,
    timeout: Duration,
    asker: Asker,
}

impl FileSystems {
    fn is_wanted(&self, mount: &Mount) -> bool {
        self.points.takes(&mount.point) && self.types.takes(&mount.kind)
    }
}

impl Collector for FileSystems {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let all = mounts::read(roots)?;
        let mut seen = BTreeSet::new();
        let wanted = all.iter().filter(|mount| self.is_wanted(mount));
        // The last mount of a place hides those before; it is told once.
        let mounts: Vec<&Mount> = wanted
            .filter(|mount| seen.insert((&mount.device, &mount.point, &mount.kind)))
            .collect();
        let answers = self.asker.ask(&mounts, &all, &roots.rootfs, self.timeout);
        for (mount, answer) in mounts.iter().zip(answers) {
            let labels = [
                ("device", mount.device.as_str()),
                ("mountpoint", mount.point.as_str()),
                ("fstype", mount.kind.as_str()),
            ];
            out.gauge(
                "node_filesystem_device_error",
                "Whether an error occurred while getting statistics for the given device.",
            )
            .add(&labels, answer.is_none());
            let Some(space) = answer else { continue };
            #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
            let bytes = |blocks: u64| blocks as f64 * space.block as f64;
            out.gauge("node_filesystem_size_bytes", "Filesystem size in bytes.")
                .add(&labels, bytes(space.blocks));
            out.gauge(
                "node_filesystem_free_bytes",
                "Filesystem free space in bytes.",
            )
            .add(&labels, bytes(space.free));
            out.gauge(
                "node_filesystem_avail_bytes",
                "Filesystem space available to non-root users in bytes.",
            )
            .add(&labels, bytes(space.available));
            out.gauge("node_filesystem_files", "Filesystem total file nodes.")
                .add(&labels, space.files);
            out.gauge(
                "node_filesystem_files_free",
                "Filesystem total free file nodes.",
            )
            .add(&labels, space.files_free);
            out.gauge("node_filesystem_readonly", "Filesystem read-only status.")
                .add(&labels, mount.read_only);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    const MOUNTS: &str = "\
/dev/vda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
/dev/vdb /data\\040disk xfs ro,noatime 0 0
/dev/vdb /data\\040disk xfs ro,noatime 0 0
host:/volume /gone fuse.glusterfs rw 0 0
";

    #[test]
    fn what_answers_is_told_and_what_does_not_is_an_error() {
        let machine = Machine::new(&[("proc/1/mounts", MOUNTS), ("root/data disk/file", "")]);
        let text = collected(&DEFINITION, &machine).unwrap();
        let line = "node_filesystem_readonly{device=\"/dev/vdb\",mountpoint=\"/data disk\",fstype=\"xfs\"} 1\n";
        assert_eq!(text.matches(line).count(), 1, "{text}");
        assert!(text.contains(
            "\nnode_filesystem_readonly{device=\"/dev/vda1\",mountpoint=\"/\",fstype=\"ext4\"} 0\n"
        ));
        assert!(text.contains("node_filesystem_device_error{device=\"host:/volume\",mountpoint=\"/gone\",fstype=\"fuse.glusterfs\"} 1\n"));
        assert!(!text.contains("_bytes{device=\"host:") && !text.contains("/proc"));
        assert_eq!(text.matches("node_filesystem_size_bytes{").count(), 2);
    }

    #[test]
    fn the_filters_are_options() {
        let machine = Machine::new(&[("proc/1/mounts", MOUNTS), ("root/x", "")]);
        let given = [(MOUNT_POINTS, "^/$"), (TYPES, "^(xfs|fuse.*)$")];
        let text = collected_with(&DEFINITION, &given, &machine).unwrap();
        assert!(
            text.contains("mountpoint=\"/proc\"") && !text.contains("vda1"),
            "{text}"
        );
        let mut options = crate::options::Options::of(&DEFINITION);
        options.set(TIMEOUT, "soon");
        assert!((DEFINITION.new)(&options).is_err());
    }
}
