//! Attributes of devices that are read at every scrape: opened once, and read from their beginning each time, which is
//! one call instead of three. The kernel makes their content anew for each read that begins there.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::stat::stat;
use nix::sys::statfs::{SYSFS_MAGIC, statfs};
use nix::sys::uio::pread;

use crate::roots::Directory;

/// Open at a time, of a thousand that a process may have; what comes beyond is opened for each reading.
const FILES: usize = 256;

/// Attributes of sysfs are a page at most.
const ATTRIBUTE: usize = 4096;

/// The devices of a class, by name.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    devices: BTreeMap<String, Opened>,
    /// Where attributes are read to.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Opened {
    /// Of the device's directory: another device may have got the name.
    inode: u64,
    directory: Directory,
    /// In the order in which they are asked for.
    files: Vec<(&'static str, OwnedFd)>,
}

/// The devices, while one scrape reads them.
pub(crate) struct Devices<'a> {
    class: &'a Path,
    /// Files elsewhere may be replaced without their descriptors noticing.
    keeps: bool,
    state: MutexGuard<'a, State>,
}

/// One device.
pub(crate) struct Device<'a> {
    opened: Held<'a>,
    /// So many more files may be kept.
    room: usize,
    /// Where the next attribute is expected: they are asked for in the same order each time.
    next: usize,
    buffer: &'a mut Vec<u8>,
}

enum Held<'a> {
    Kept(&'a mut Opened),
    /// Closed again when it has been read.
    Once(Opened),
}

impl Kept {
    /// The devices of a class of which these are there.
    pub(crate) fn devices<'a>(&'a self, class: &'a Path, names: &[String]) -> Devices<'a> {
        let keeps = statfs(class).is_ok_and(|told| told.filesystem_type() == SYSFS_MAGIC);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .devices
            .retain(|name, _| keeps && names.contains(name));
        state.buffer.resize(ATTRIBUTE, 0);
        Devices {
            class,
            keeps,
            state,
        }
    }
}

impl Devices<'_> {
    /// None for what is no directory, or gone.
    pub(crate) fn get(&mut self, name: &str) -> Option<Device<'_>> {
        let path = self.class.join(name);
        let inode = stat(&path).ok()?.st_ino;
        let State { devices, buffer } = &mut *self.state;
        let open = devices.values().map(|opened| opened.files.len() + 1);
        let room = FILES.saturating_sub(open.sum());
        let is_known = devices.get(name).is_some_and(|known| known.inode == inode);
        if !is_known {
            let opened = Opened {
                inode,
                directory: Directory::open(&path).ok()?,
                files: Vec::new(),
            };
            if !self.keeps || room == 0 {
                return Some(Device {
                    opened: Held::Once(opened),
                    room: 0,
                    next: 0,
                    buffer,
                });
            }
            devices.insert(name.to_owned(), opened);
        }
        Some(Device {
            opened: Held::Kept(devices.get_mut(name)?),
            room,
            next: 0,
            buffer,
        })
    }
}

impl Device<'_> {
    /// An attribute without the white space around it; none where it is missing or the device has no answer.
    pub(crate) fn attribute(&mut self, name: &'static str) -> Option<String> {
        let opened = match &mut self.opened {
            Held::Once(opened) => return opened.directory.attribute(name),
            Held::Kept(opened) => opened,
        };
        let files = &mut opened.files;
        let is_next = files
            .get(self.next)
            .is_some_and(|(known, _)| *known == name);
        let place = if is_next {
            self.next
        } else if let Some(place) = files.iter().position(|(known, _)| *known == name) {
            place
        } else if self.room == 0 {
            return opened.directory.attribute(name);
        } else {
            files.push((name, opened.directory.file(name).ok()?));
            self.room -= 1;
            files.len() - 1
        };
        self.next = place + 1;
        let count = pread(files[place].1.as_fd(), self.buffer, 0).ok()?;
        let text = String::from_utf8_lossy(&self.buffer[..count]);
        Some(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_tells_what_is_so_now() {
        let class = Path::new("/sys/class/net");
        let names = vec!["lo".to_owned()];
        let kept = Kept::default();
        let direct = Directory::open(&class.join("lo")).unwrap();
        for _ in 0..3 {
            let mut devices = kept.devices(class, &names);
            let mut device = devices.get("lo").unwrap();
            for attribute in [
                "mtu",
                "operstate",
                "flags",
                "address",
                "type",
                "none",
                "speed",
            ] {
                assert_eq!(
                    device.attribute(attribute),
                    direct.attribute(attribute),
                    "{attribute}"
                );
            }
            assert!(devices.get("none").is_none());
        }
        assert!(kept.0.lock().unwrap().devices["lo"].files.len() >= 5);
        // Who is gone is forgotten.
        drop(kept.devices(class, &[]));
        assert!(kept.0.lock().unwrap().devices.is_empty());
    }

    #[test]
    fn other_files_are_opened_anew() {
        let class = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            let _ = std::fs::remove_dir_all(class.path().join("eth0"));
            std::fs::create_dir(class.path().join("eth0")).unwrap();
            std::fs::write(class.path().join("eth0/mtu"), text).unwrap();
        };
        let kept = Kept::default();
        let names = vec!["eth0".to_owned()];
        for text in ["1500\n", "9000\n"] {
            write(text);
            let mut devices = kept.devices(class.path(), &names);
            let mut device = devices.get("eth0").unwrap();
            assert_eq!(device.attribute("mtu").unwrap(), text.trim());
        }
    }
}
