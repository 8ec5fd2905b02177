//! Where a path really lies: its directory as an open descriptor, and the last component.
//!
//! Every change of a file goes through here. Directories are walked one by one, and a symbolic
//! link on the way is followed only if root (or who runs this, for tests) made it: so `/bin` and
//! `/var/run` work, and a link that a user planted in his own directory leads nowhere. What is
//! opened stays open, so nothing can be swapped between the look and the change.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use brine_model::host::{HostError, HostResult};
use brine_model::path::AbsolutePath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::geteuid;

/// More than that is a loop.
const LINKS: usize = 40;

/// A name in an open directory.
pub(super) struct Place {
    directory: OwnedFd,
    name: OsString,
}

/// Why there is no [`Place`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// A directory on the way is not there (or is none).
    Missing(PathBuf),
    Failed(String),
}

impl Place {
    /// Walks to the directory of `path`, under `root`.
    pub(super) fn find(root: &Path, path: &AbsolutePath) -> Result<Self, NoPlace> {
        let directory = match path.parent() {
            Some(parent) => walk(root, &parent)?,
            None => open_root(root)?,
        };
        let name = match path.file_name() {
            "" => OsString::from("."),
            name => OsString::from(name),
        };
        // A descriptor that can be synced and listed; the walk's cannot.
        let readable = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = openat(&directory, ".", readable, Mode::empty())
            .map_err(|errno| NoPlace::Failed(errno.desc().to_owned()))?;
        Ok(Self { directory, name })
    }

    /// For a change: the directory has to be there.
    pub(super) fn to_change(root: &Path, path: &AbsolutePath, doing: &str) -> HostResult<Self> {
        Self::find(root, path).map_err(|error| {
            let cause = match error {
                NoPlace::Missing(missing) => format!("there is no directory {}", missing.display()),
                NoPlace::Failed(cause) => cause,
            };
            HostError::failed(format!("{doing} {path}"), cause)
        })
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// What lies there, itself; none where nothing does.
    pub(super) fn stat(&self) -> Result<Option<FileStat>, Errno> {
        match fstatat(
            &self.directory,
            self.name.as_os_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens what lies there, never through a symbolic link, never blocking on a pipe.
    pub(super) fn open(&self, flags: OFlag) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        openat(&self.directory, self.name.as_os_str(), flags, Mode::empty())
    }

    /// Whether somebody else than root may put things into the directory.
    pub(super) fn is_foreign(&self) -> Result<bool, Errno> {
        Ok(!is_trusted(&fstat(&self.directory)?))
    }

    /// A path to `name` in the directory that cannot be led elsewhere, for what takes only paths.
    pub(super) fn pinned(&self, name: &OsStr) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd())).join(name)
    }

    /// The directory's path as the kernel knows it now.
    pub(super) fn real_directory(&self) -> std::io::Result<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.directory.as_raw_fd()))
    }
}

fn is_trusted(stat: &FileStat) -> bool {
    stat.st_uid == 0 || stat.st_uid == geteuid().as_raw()
}

fn open_root(root: &Path) -> Result<OwnedFd, NoPlace> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(root, flags, Mode::empty())
        .map_err(|errno| NoPlace::Failed(format!("{}: {}", root.display(), errno.desc())))
}

fn walk(root: &Path, path: &AbsolutePath) -> Result<OwnedFd, NoPlace> {
    let parts = |text: &OsStr| -> Vec<OsString> {
        let split = text
            .as_bytes()
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty());
        split
            .map(|part| OsStr::from_bytes(part).to_owned())
            .collect()
    };
    let mut todo: VecDeque<OsString> = parts(path.as_str().as_ref()).into();
    // The directories from the root to where the walk is; `..` in a link goes back.
    let mut open: Vec<(OwnedFd, PathBuf)> = Vec::new();
    let top = open_root(root)?;
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        let (here, so_far) = match open.last() {
            Some((here, so_far)) => (here.as_fd(), so_far.clone()),
            None => (top.as_fd(), PathBuf::from("/")),
        };
        if part == "." {
            continue;
        }
        if part == ".." {
            open.pop();
            continue;
        }
        let full = so_far.join(&part);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = openat(here, part.as_os_str(), flags, Mode::empty()).map_err(|errno| {
            if errno == Errno::ENOENT {
                NoPlace::Missing(full.clone())
            } else {
                NoPlace::Failed(format!("{}: {}", full.display(), errno.desc()))
            }
        })?;
        let stat = fstat(&found)
            .map_err(|errno| NoPlace::Failed(format!("{}: {}", full.display(), errno.desc())))?;
        if kind(&stat) == SFlag::S_IFDIR {
            open.push((found, full));
            continue;
        }
        if kind(&stat) != SFlag::S_IFLNK {
            return Err(NoPlace::Missing(full));
        }
        links += 1;
        if links > LINKS {
            return Err(NoPlace::Failed(format!(
                "{}: too many symbolic links",
                full.display()
            )));
        }
        if !is_trusted(&stat) {
            return Err(NoPlace::Failed(format!(
                "{} is a symbolic link of user {}: not followed",
                full.display(),
                stat.st_uid
            )));
        }
        let target = readlinkat(&found, "")
            .map_err(|errno| NoPlace::Failed(format!("{}: {}", full.display(), errno.desc())))?;
        if target.as_bytes().starts_with(b"/") {
            open.clear();
        }
        for part in parts(&target).into_iter().rev() {
            todo.push_front(part);
        }
    }
    Ok(open.pop().map_or(top, |(directory, _)| directory))
}

pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}
