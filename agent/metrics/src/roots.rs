//! Where the kernel's files are, and how they are read: with as few calls as they need, since a scrape is little else.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// `--path.procfs`, `--path.sysfs`, `--path.rootfs`, `--path.udev.data`.
#[derive(Debug, Clone)]
pub struct Roots {
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
    pub udev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev: "/run/udev/data".into(),
        }
    }
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct ReadError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl ReadError {
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Only others may read it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// The file is there, and the device behind it says nothing now.
    #[must_use]
    pub fn has_no_data(&self) -> bool {
        self.source.raw_os_error() == Some(Errno::ENODATA as i32)
    }
}

impl Roots {
    /// A whole file under procfs.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub fn proc(&self, file: &str) -> Result<String, ReadError> {
        read(&self.procfs.join(file))
    }

    /// A whole file under sysfs.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub fn sys(&self, file: &str) -> Result<String, ReadError> {
        read(&self.sysfs.join(file))
    }

    /// A path of this machine as it is under `--path.rootfs`.
    #[must_use]
    pub fn root(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }
}

/// A whole file; bytes that are not UTF-8 are replaced.
///
/// # Errors
/// It is missing, or cannot be read.
pub fn read(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    rest(&mut file).map_err(failed)
}

/// The kernel makes many of these files anew for each read that begins: large reads are cheaper than `fstat` first.
const CHUNK: usize = 16 * 1024;

fn rest(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut filled = 0;
    loop {
        bytes.resize(filled + CHUNK, 0);
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(text(bytes))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Names in a directory, sorted; none where there is no such directory.
///
/// # Errors
/// It is there and cannot be listed.
pub fn names(path: &Path) -> Result<Vec<String>, ReadError> {
    let failed = |source| ReadError {
        path: path.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// What follows the prefix in the names that have it before a digit, as in `cpu0`; none where there is no such directory.
#[must_use]
pub fn numbered(path: &Path, prefix: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    for name in names(path).unwrap_or_default() {
        if let Some(number) = name.strip_prefix(prefix)
            && number.starts_with(|letter: char| letter.is_ascii_digit())
        {
            numbers.push(number.to_owned());
        }
    }
    numbers
}

/// A directory whose small files are read one after the other: its path is walked once.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// Attributes of sysfs are a page at most, and come in one read.
const ATTRIBUTE: usize = 4096;

impl Directory {
    /// # Errors
    /// It is missing, or not a directory.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = nix::fcntl::open(path, flags, Mode::empty());
        opened.map(Self).map_err(|errno| ReadError {
            path: path.to_owned(),
            source: errno.into(),
        })
    }

    /// An attribute without the white space around it; none where it is missing or the device has no answer.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        let text = self.read(name).ok()?;
        Some(text.trim().to_owned())
    }

    /// An attribute as it is, where it matters why there is none.
    ///
    /// # Errors
    /// It is missing, or the device has no answer.
    pub fn read(&self, name: &str) -> Result<String, ReadError> {
        let failed = |errno: Errno| ReadError {
            path: name.into(),
            source: errno.into(),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = openat(self.0.as_fd(), name, flags, Mode::empty()).map_err(failed)?;
        let mut buffer = [0_u8; ATTRIBUTE];
        let count = nix::unistd::read(&file, &mut buffer).map_err(failed)?;
        Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    /// An attribute that is a number, decimal or `0x` and hexadecimal.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        let word = self.attribute(name)?;
        match word.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_whole_and_attributes_without_white_space() {
        let root = tempfile::tempdir().unwrap();
        let long = "word ".repeat(10_000);
        std::fs::write(root.path().join("long"), &long).unwrap();
        std::fs::write(root.path().join("mtu"), "1500\n").unwrap();
        std::fs::write(root.path().join("flags"), "0x1003\n").unwrap();
        std::fs::write(root.path().join("odd"), b"a\xffb").unwrap();
        assert_eq!(read(&root.path().join("long")).unwrap(), long);
        assert_eq!(read(&root.path().join("odd")).unwrap(), "a\u{fffd}b");
        assert!(read(&root.path().join("none")).unwrap_err().is_missing());
        let directory = Directory::open(root.path()).unwrap();
        assert_eq!(directory.attribute("mtu").unwrap(), "1500");
        assert_eq!(directory.number("mtu"), Some(1500));
        assert_eq!(directory.number("flags"), Some(0x1003));
        assert_eq!(directory.number("none"), None);
        assert_eq!(directory.read("mtu").unwrap(), "1500\n");
        let error = directory.read("none").unwrap_err();
        assert!(error.is_missing() && !error.is_denied() && !error.has_no_data());
        assert_eq!(names(root.path()).unwrap(), ["flags", "long", "mtu", "odd"]);
        assert!(names(&root.path().join("none")).unwrap().is_empty());
        for name in ["cpu0", "cpu10", "cpufreq"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(numbered(root.path(), "cpu"), ["0", "10"]);
        assert!(numbered(&root.path().join("none"), "cpu").is_empty());
    }
}
