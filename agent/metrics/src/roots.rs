//! Where the kernel's files are, and how they are read: with as few calls as they need, since a scrape is little else.

use std::cell::RefCell;
use std::fs::{DirEntry, File};
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
    /// For what is no file, but is asked and answers as one.
    pub(crate) fn new(what: &str, source: io::Error) -> Self {
        Self {
            path: what.into(),
            source,
        }
    }

    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether it is this that the kernel said.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.source.raw_os_error() == Some(errno as i32)
    }

    /// It is there for others to read.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// It is missing, or the device has no answer to give: nothing is wrong.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        let code = self.source.raw_os_error().map(Errno::from_raw);
        self.is_missing() || matches!(code, Some(Errno::EINVAL | Errno::EOPNOTSUPP))
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

    /// A whole file under procfs that the kernel makes of lines, each of `longest` bytes at most.
    ///
    /// One read gives as many lines as fit into a page: when there was room for another one, there is none, and to be
    /// told so by a second read would cost as much as the first.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub(crate) fn proc_lines(&self, file: &str, longest: usize) -> Result<String, ReadError> {
        whole(&self.procfs.join(file), PAGE.saturating_sub(longest))
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
pub(crate) fn read(path: &Path) -> Result<String, ReadError> {
    whole(path, 0)
}

fn whole(path: &Path, short: usize) -> Result<String, ReadError> {
    let failed = |source| ReadError {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    rest(&mut file, short).map_err(failed)
}

/// The smallest page that any kernel has.
const PAGE: usize = 4096;

/// The kernel makes many of these files anew for each read that begins: large reads are cheaper than `fstat` first.
const CHUNK: usize = 16 * 1024;

thread_local! {
    /// Where files are read to: a buffer for each of a hundred would cost more than what most of them say.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Reads on until there is nothing more, or less than `short` bytes came.
fn rest(file: &mut File, short: usize) -> io::Result<String> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut bytes = Vec::new();
        loop {
            match file.read(buffer) {
                Ok(0) => break,
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    if count < short {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(text(bytes))
    })
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Names in a directory, sorted; none where there is no such directory.
///
/// # Errors
/// It is there and cannot be listed.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, ReadError> {
    match entries(path) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        entries => entries,
    }
}

/// Names in a directory that has to be there, sorted.
///
/// # Errors
/// It is missing, or cannot be listed.
pub(crate) fn entries(path: &Path) -> Result<Vec<String>, ReadError> {
    listed(path, |_| true)
}

/// Names of the directories in a directory that has to be there, sorted; links to directories do not count.
///
/// # Errors
/// It is missing, or cannot be listed.
pub(crate) fn subdirectories(path: &Path) -> Result<Vec<String>, ReadError> {
    // The kind comes with the name: this costs no call.
    listed(path, |entry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
    })
}

fn listed(path: &Path, takes: impl Fn(&DirEntry) -> bool) -> Result<Vec<String>, ReadError> {
    let failed = |source| ReadError {
        path: path.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if takes(&entry) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A number as the kernel writes it: decimal, or hexadecimal behind `0x`, or octal behind `0`.
#[must_use]
pub(crate) fn unsigned(word: &str) -> Option<u64> {
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        u64::from_str_radix(digits, 16).ok()
    } else if word.len() > 1 && word.starts_with('0') {
        u64::from_str_radix(word, 8).ok()
    } else {
        word.parse().ok()
    }
}

/// As [`unsigned`], with a sign before it.
#[must_use]
pub(crate) fn signed(word: &str) -> Option<i64> {
    match word.strip_prefix('-') {
        Some(digits) => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        None => i64::try_from(unsigned(word)?).ok(),
    }
}

/// What follows the prefix in the names that have it before a digit, as in `cpu0`; none where there is no such directory.
#[must_use]
pub(crate) fn numbered(path: &Path, prefix: &str) -> Vec<String> {
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
pub(crate) struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
}

/// Attributes of sysfs are a page at most, and come in one read.
const ATTRIBUTE: usize = 4096;

/// So much of an attribute makes it into a label.
const VALUE: usize = 128;

impl Directory {
    /// # Errors
    /// It is missing, or not a directory.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match nix::fcntl::open(path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self {
                descriptor,
                path: path.to_owned(),
            }),
            Err(errno) => Err(ReadError {
                path: path.to_owned(),
                source: errno.into(),
            }),
        }
    }

    /// A directory within.
    ///
    /// # Errors
    /// It is missing, or not a directory.
    pub(crate) fn within(&self, name: &str) -> Result<Self, ReadError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match openat(self.descriptor.as_fd(), name, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self {
                descriptor,
                path: self.path.join(name),
            }),
            Err(errno) => Err(self.failed(name, errno)),
        }
    }

    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An attribute where it matters why there is none: without the white space around it, its first 128 bytes, each
    /// run of bytes that are not UTF-8 replaced by one mark.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub(crate) fn value(&self, name: &str) -> Result<String, ReadError> {
        let file = self.file(name)?;
        let mut buffer = [0_u8; VALUE];
        let count =
            nix::unistd::read(&file, &mut buffer).map_err(|errno| self.failed(name, errno))?;
        let mut value = String::with_capacity(count);
        let mut replaced = false;
        for chunk in buffer[..count].utf8_chunks() {
            replaced &= chunk.valid().is_empty();
            value.push_str(chunk.valid());
            if !chunk.invalid().is_empty() && !replaced {
                value.push(char::REPLACEMENT_CHARACTER);
                replaced = true;
            }
        }
        Ok(value.trim().to_owned())
    }

    /// A file within, opened.
    ///
    /// # Errors
    /// It is missing, or not for us.
    pub(crate) fn file(&self, name: &str) -> Result<OwnedFd, ReadError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        openat(self.descriptor.as_fd(), name, flags, Mode::empty())
            .map_err(|errno| self.failed(name, errno))
    }

    fn failed(&self, name: &str, errno: Errno) -> ReadError {
        ReadError {
            path: self.path.join(name),
            source: errno.into(),
        }
    }

    /// An attribute without the white space around it; none where it is missing or the device has no answer.
    #[must_use]
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let text = self.read(name).ok()?;
        Some(text.trim().to_owned())
    }

    /// An attribute as it is, where it matters why there is none.
    ///
    /// # Errors
    /// It is missing, or the device has no answer.
    pub(crate) fn read(&self, name: &str) -> Result<String, ReadError> {
        let file = self.file(name)?;
        let mut buffer = [0_u8; ATTRIBUTE];
        let count =
            nix::unistd::read(&file, &mut buffer).map_err(|errno| self.failed(name, errno))?;
        Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    /// An attribute that is a number, decimal or `0x` and hexadecimal.
    #[must_use]
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
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
        let roots = Roots {
            procfs: root.path().to_owned(),
            ..Roots::default()
        };
        assert_eq!(roots.proc_lines("long", 256).unwrap(), long);
        assert_eq!(roots.proc_lines("mtu", 256).unwrap(), "1500\n");
        let error = read(&root.path().join("none")).unwrap_err();
        assert!(error.is_missing() && error.is(Errno::ENOENT) && !error.is(Errno::ESRCH));
        let directory = Directory::open(root.path()).unwrap();
        assert_eq!(directory.attribute("mtu").unwrap(), "1500");
        assert_eq!(directory.number("mtu"), Some(1500));
        assert_eq!(directory.number("flags"), Some(0x1003));
        assert_eq!(directory.number("none"), None);
        assert_eq!(directory.read("mtu").unwrap(), "1500\n");
        let error = directory.read("none").unwrap_err();
        assert!(error.is_missing() && !error.is_forbidden() && !error.has_no_data());
        assert_eq!(names(root.path()).unwrap(), ["flags", "long", "mtu", "odd"]);
        assert!(names(&root.path().join("none")).unwrap().is_empty());
        for name in ["cpu0", "cpu10", "cpufreq"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(numbered(root.path(), "cpu"), ["0", "10"]);
        assert!(numbered(&root.path().join("none"), "cpu").is_empty());
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("stats")).unwrap();
        std::fs::write(root.path().join("stats/odd"), b" a\xff\xfe\xffb\xff \n").unwrap();
        std::fs::write(root.path().join("stats/long"), "x".repeat(200)).unwrap();
        assert_eq!(subdirectories(root.path()).unwrap(), ["stats"]);
        assert!(
            subdirectories(&root.path().join("stats"))
                .unwrap()
                .is_empty()
        );
        assert!(entries(&root.path().join("none")).unwrap_err().is_missing());
        let directory = Directory::open(root.path()).unwrap();
        assert!(directory.within("none").unwrap_err().is_unanswered());
        let stats = directory.within("stats").unwrap();
        assert_eq!(stats.path(), root.path().join("stats"));
        assert_eq!(stats.value("odd").unwrap(), "a\u{fffd}b\u{fffd}");
        assert_eq!(stats.value("long").unwrap().len(), 128);
        let error = stats.value("none").unwrap_err();
        assert!(error.is_unanswered() && !error.is_forbidden());
        let error = directory.value("stats").unwrap_err();
        assert!(!error.is_unanswered(), "{error}");
    }

    #[test]
    fn numbers_have_bases() {
        assert_eq!(unsigned("0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(unsigned("0"), Some(0));
        assert_eq!(unsigned("010"), Some(8));
        assert_eq!(unsigned("-1"), None);
        assert_eq!(unsigned(""), None);
        assert_eq!(signed("-10"), Some(-10));
        assert_eq!(signed("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed("9223372036854775808"), None);
    }
}
