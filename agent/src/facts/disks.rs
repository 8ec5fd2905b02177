//! Mounted file systems on real devices.
//!
//! Only these are asked for their size: `statvfs` on a network file system whose server is gone
//! would hang, and with it the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use brine_model::facts::Disk;
use nix::sys::statvfs::statvfs;

/// For all disks together; they are asked side by side.
const ANSWER: Duration = Duration::from_secs(5);

/// Mount points that have not answered yet.
static ASKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub(super) fn collect(root: &Path) -> Vec<Disk> {
    let text = std::fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
    let mut disks = parse(&text);
    let sizes = sizes(disks.keys().cloned().collect());
    for (mount, disk) in &mut disks {
        disk.total = sizes.get(mount).copied().unwrap_or_default();
    }
    disks.into_values().filter(|disk| disk.total > 0).collect()
}

/// Bytes by mount point. A device that does not answer costs itself, and is not asked again while it
/// does not.
fn sizes(mounts: Vec<String>) -> BTreeMap<String, u64> {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let (answer, answers) = mpsc::channel();
    let mut waiting = 0;
    for mount in mounts {
        if !asked.insert(mount.clone()) {
            tracing::warn!(mount, "does not answer since it was last asked");
            continue;
        }
        let answer = answer.clone();
        waiting += 1;
        std::thread::spawn(move || {
            let size = statvfs(Path::new(&mount));
            let size = size.map(|size| size.blocks().saturating_mul(size.fragment_size()));
            let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
            asked.remove(&mount);
            let _ = answer.send((mount, size.unwrap_or_default()));
        });
    }
    drop(asked);
    let deadline = Instant::now() + ANSWER;
    let mut sizes = BTreeMap::new();
    while sizes.len() < waiting {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((mount, size)) = answers.recv_timeout(left) else {
            tracing::warn!("a disk does not answer: its size is not told");
            break;
        };
        sizes.insert(mount, size);
    }
    sizes
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
