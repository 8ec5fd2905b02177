//! Temporary files in the directory of what they replace.
//!
//! A crash may leave one behind. Its name tells whose it is, and the next write into that
//! directory removes it. A machine has only one writer, for jobs run one at a time; but a directory on
//! a shared volume has one on each machine, so names tell of which they are.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use brine_model::digest::Digest;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, symlinkat, unlinkat};

use super::place::Place;

const PREFIX: &str = ".brine-";
const SUFFIX: &str = "~";
/// Of the machine, and as many of the file.
const DIGITS: usize = 8;

/// Removed when dropped, unless it took its place.
pub(super) struct Temporary<'a> {
    place: &'a Place,
    name: OsString,
    placed: bool,
}

impl<'a> Temporary<'a> {
    /// A new file, 0600 before the first byte, with the leftovers of crashes removed.
    pub(super) fn file(place: &'a Place) -> Result<(Self, File), Errno> {
        sweep(place);
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let name = fresh_name();
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let descriptor = openat(place.directory(), name.as_os_str(), flags, mode)?;
        Ok((
            Self {
                place,
                name,
                placed: false,
            },
            File::from(descriptor),
        ))
    }

    pub(super) fn symlink(place: &'a Place, target: &str) -> Result<Self, Errno> {
        sweep(place);
        let name = fresh_name();
        symlinkat(target, place.directory(), name.as_os_str())?;
        Ok(Self {
            place,
            name,
            placed: false,
        })
    }

    /// A path to it, for the program that checks it.
    pub(super) fn path(&self) -> std::io::Result<PathBuf> {
        Ok(self.place.real_directory()?.join(&self.name))
    }

    /// Renames it over what it replaces and makes that durable.
    pub(super) fn take_place(mut self) -> Result<(), Errno> {
        let directory = self.place.directory();
        renameat(
            directory,
            self.name.as_os_str(),
            directory,
            self.place.name(),
        )?;
        self.placed = true;
        fsync(directory)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.placed {
            let directory = self.place.directory();
            let _ = unlinkat(directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Writes all and makes the content durable.
pub(super) fn fill(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Keyed by the system's randomness at process start, and by a counter of the standard library.
fn fresh_name() -> OsString {
    let random = RandomState::new().build_hasher().finish() as u32;
    let machine = machine();
    OsString::from(format!("{PREFIX}{machine}{random:0DIGITS$x}{SUFFIX}"))
}

/// Tells this machine from others: a few digits of a digest, for the id itself is confidential
/// (machine-id(5)).
pub(super) fn machine() -> &'static str {
    static MACHINE: LazyLock<String> = LazyLock::new(|| {
        let id = std::fs::read("/etc/machine-id").unwrap_or_default();
        let parts = [b"brine temporary file".as_slice(), &id];
        let mut digits = Digest::of_parts(parts).to_string();
        digits.truncate(DIGITS);
        digits
    });
    &MACHINE
}

fn is_ours(name: &OsStr) -> bool {
    let digits = name
        .as_bytes()
        .strip_prefix(PREFIX.as_bytes())
        .and_then(|rest| rest.strip_prefix(machine().as_bytes()))
        .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

/// What cannot be removed stays: it harms nobody, and the write itself will say what is wrong.
fn sweep(place: &Place) {
    let Ok(entries) = std::fs::read_dir(place.pinned(OsStr::new("."))) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_ours(&name) {
            let _ = unlinkat(
                place.directory(),
                name.as_os_str(),
                UnlinkatFlags::NoRemoveDir,
            );
        }
    }
}
