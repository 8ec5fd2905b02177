//! Looking at files: state, content, digest. Never through a symbolic link at the path itself.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use brine_model::digest::Digest;
use brine_model::host::{FileKind, FileState, HostError, HostResult};
use brine_model::path::AbsolutePath;
use brine_model::time::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat};

use super::accounts::Accounts;
use super::place::{NoPlace, Place, kind};

/// How often, and after what pause, a file is read that another machine replaces: two seconds.
const ATTEMPTS: u32 = 20;
const AGAIN: Duration = Duration::from_millis(100);

/// The largest file that is read whole, in bytes.
const LARGEST: u64 = 64 << 20;

pub(super) fn stat(
    root: &Path,
    path: &AbsolutePath,
    accounts: &Accounts,
) -> HostResult<Option<FileState>> {
    let failed = |cause: String| HostError::failed(format!("look at {path}"), cause);
    let Some(place) = find(root, path, "look at")? else {
        return Ok(None);
    };
    let Some(stat) = place
        .stat()
        .map_err(|errno| failed(errno.desc().to_owned()))?
    else {
        return Ok(None);
    };
    let kind = match kind(&stat) {
        SFlag::S_IFREG => FileKind::File,
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => {
            let target = readlinkat(place.directory(), place.name())
                .map_err(|errno| failed(errno.desc().to_owned()))?;
            FileKind::Symlink {
                target: String::from_utf8_lossy(target.as_bytes()).into_owned(),
            }
        }
        _ => FileKind::Other,
    };
    Ok(Some(FileState {
        kind,
        mode: stat.st_mode & 0o7777,
        owner: accounts.user_name(stat.st_uid)?,
        group: accounts.group_name(stat.st_gid)?,
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        changed_at: changed_at(&stat),
    }))
}

pub(super) fn read(root: &Path, path: &AbsolutePath) -> HostResult<Option<Vec<u8>>> {
    through(root, path, |file, size| {
        let too_large = || std::io::Error::other(format!("it has more than {LARGEST} bytes"));
        if size > LARGEST {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        // It may grow while it is read.
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(too_large());
        }
        Ok(bytes)
    })
}

pub(super) fn digest(root: &Path, path: &AbsolutePath) -> HostResult<Option<Digest>> {
    through(root, path, |file, _| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    })
}

/// Reads a file from its beginning, which is begun anew where it vanishes under the reader's hands: on
/// a volume that several machines share, another one may be replacing it (GlusterFS opens at the
/// first read, and knows the old file for a second more).
fn through<T>(
    root: &Path,
    path: &AbsolutePath,
    read: impl Fn(File, u64) -> std::io::Result<T>,
) -> HostResult<Option<T>> {
    let failed = |error: std::io::Error| HostError::failed(format!("read {path}"), error);
    let mut attempts = 0;
    loop {
        let Some(opened) = open(root, path, "read")? else {
            return Ok(None);
        };
        match opened.and_then(|(file, size)| read(file, size)) {
            Ok(found) => return Ok(Some(found)),
            Err(error) if is_gone(&error) && attempts < ATTEMPTS => {
                attempts += 1;
                std::thread::sleep(AGAIN);
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
        || error.kind() == std::io::ErrorKind::StaleNetworkFileHandle
}

fn find(root: &Path, path: &AbsolutePath, doing: &str) -> HostResult<Option<Place>> {
    match Place::find(root, path) {
        Ok(place) => Ok(Some(place)),
        Err(NoPlace::Missing(_)) => Ok(None),
        Err(NoPlace::Failed(cause)) => Err(HostError::failed(format!("{doing} {path}"), cause)),
    }
}

/// A regular file and its size, or what the system says about it; none where nothing is there.
fn open(
    root: &Path,
    path: &AbsolutePath,
    doing: &str,
) -> HostResult<Option<std::io::Result<(File, u64)>>> {
    let failed = |cause: &str| HostError::failed(format!("{doing} {path}"), cause);
    let Some(place) = find(root, path, doing)? else {
        return Ok(None);
    };
    let descriptor = match place.open(OFlag::O_RDONLY) {
        Ok(descriptor) => descriptor,
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => return Err(failed("it is a symbolic link")),
        Err(errno) => return Ok(Some(Err(errno.into()))),
    };
    let stat = match fstat(&descriptor) {
        Ok(stat) => stat,
        Err(errno) => return Ok(Some(Err(errno.into()))),
    };
    if kind(&stat) != SFlag::S_IFREG {
        return Err(failed("it is not a regular file"));
    }
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    Ok(Some(Ok((File::from(descriptor), size))))
}

fn changed_at(stat: &FileStat) -> Timestamp {
    Timestamp(
        stat.st_ctime
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.st_ctime_nsec),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_file_that_is_replaced_meanwhile_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "new").unwrap();
        let path: AbsolutePath = "/a".parse().unwrap();
        let calls = Cell::new(0);
        let stale = |kinds: &[ErrorKind]| {
            calls.set(0);
            through(folder.path(), &path, |_, size| {
                let call = calls.get();
                calls.set(call + 1);
                kinds
                    .get(call)
                    .map_or(Ok(size), |kind| Err(Error::from(*kind)))
            })
        };
        let gone = [ErrorKind::NotFound, ErrorKind::StaleNetworkFileHandle];
        assert_eq!(stale(&gone), Ok(Some(3)));
        assert!(stale(&[ErrorKind::PermissionDenied]).is_err());
        assert_eq!(calls.get(), 1);
        assert!(stale(&[ErrorKind::NotFound; 100]).is_err());
        assert_eq!(read(folder.path(), &path), Ok(Some(b"new".to_vec())));
        assert_eq!(read(folder.path(), &"/b".parse().unwrap()), Ok(None));
    }
}
