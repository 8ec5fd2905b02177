//! Removing files and directory trees.

use std::path::Path;

use brine_model::host::{HostError, HostResult};
use brine_model::path::AbsolutePath;
use nix::errno::Errno;
use nix::sys::stat::SFlag;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::place::{NoPlace, Place, kind};

/// What holds the system together: removing one of these is a mistake in a state file, always.
const NEVER: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/var",
    "/var/lib",
    "/var/lib/dpkg",
    "/var/log",
];

pub(super) fn remove(root: &Path, path: &AbsolutePath, recursive: bool) -> HostResult<()> {
    let failed = |cause: &str| HostError::failed(format!("remove {path}"), cause);
    if NEVER.contains(&path.as_str()) {
        return Err(failed("the system cannot do without it"));
    }
    let place = match Place::find(root, path) {
        Ok(place) => place,
        Err(NoPlace::Missing(_)) => return Ok(()),
        Err(NoPlace::Failed(cause)) => return Err(failed(&cause)),
    };
    let Some(stat) = place.stat().map_err(|errno| failed(errno.desc()))? else {
        return Ok(());
    };
    if kind(&stat) != SFlag::S_IFDIR {
        unlink(&place, UnlinkatFlags::NoRemoveDir).map_err(|errno| failed(errno.desc()))?;
    } else if recursive {
        refuse_mounts(&place).map_err(|cause| failed(&cause))?;
        // Since 1.58 the standard library does not follow links that are swapped in meanwhile.
        std::fs::remove_dir_all(place.pinned(place.name()))
            .map_err(|error| failed(&error.to_string()))?;
    } else {
        unlink(&place, UnlinkatFlags::RemoveDir).map_err(|errno| failed(errno.desc()))?;
    }
    fsync(place.directory()).map_err(|errno| failed(errno.desc()))
}

fn unlink(place: &Place, flag: UnlinkatFlags) -> Result<(), Errno> {
    match unlinkat(place.directory(), place.name(), flag) {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}

/// What is mounted below is another machine's data, or another file system's.
fn refuse_mounts(place: &Place) -> Result<(), String> {
    let directory = place.real_directory().map_err(|error| error.to_string())?;
    let path = directory.join(place.name());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    // The kernel escapes blanks; a path with one is then compared as not mounted on, which the
    // kernel itself refuses to remove (EBUSY).
    let below = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|mount| Path::new(&mount.replace("\\040", " ")).starts_with(&path));
    match below {
        Some(mount) => Err(format!("{mount} is mounted there: unmount it first")),
        None => Ok(()),
    }
}
