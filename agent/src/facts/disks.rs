//! Mounted file systems on real devices.
//!
//! Only these are asked for their size: `statvfs` on a network file system whose server is gone
//! would hang, and with it the agent.

use std::collections::BTreeMap;
use std::path::Path;

use brine_model::facts::Disk;
use nix::sys::statvfs::statvfs;

pub(super) fn collect(root: &Path) -> Vec<Disk> {
    let text = std::fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
    let mut disks = parse(&text);
    for disk in disks.values_mut() {
        if let Ok(size) = statvfs(Path::new(&disk.mount)) {
            disk.total = size.blocks().saturating_mul(size.fragment_size());
        }
    }
    disks.into_values().filter(|disk| disk.total > 0).collect()
}

/// By mount point; the last one mounted there is the one that is seen.
fn parse(text: &str) -> BTreeMap<String, Disk> {
    let mut disks = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(' ').map(unescape);
        let (Some(device), Some(mount), Some(file_system)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        disks.remove(&mount);
        if device.starts_with("/dev/") && !device.starts_with("/dev/fuse") {
            let disk = Disk {
                mount: mount.clone(),
                device,
                file_system,
                total: 0,
            };
            disks.insert(mount, disk);
        }
    }
    disks
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(field: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    escapes
        .iter()
        .fold(field.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_devices_by_mount_point() {
        let disks = parse(
            "proc /proc proc rw 0 0\n/dev/vdb /data ext4 rw 0 0\n/dev/vda1 / ext4 rw 0 0\n\
             10.0.0.1:/gfs /srv fuse.glusterfs rw 0 0\n/dev/vdc /a\\040b xfs ro 0 0\n\
             tmpfs /data tmpfs rw 0 0\n",
        );
        let mounts: Vec<&str> = disks.keys().map(String::as_str).collect();
        assert_eq!(mounts, ["/", "/a b"]);
    }
}
