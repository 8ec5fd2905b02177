//! Who holds dpkg's and apt's locks.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use brine_model::host::{HostError, HostResult};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// In the order in which apt takes them.
const LOCKS: &[&str] = &[
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/lock",
    "var/lib/apt/lists/lock",
    "var/cache/apt/archives/lock",
];

const TICK: Duration = Duration::from_millis(500);

/// The process that holds one of the locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) lock: String,
    pub(crate) pid: i32,
    /// Its command's name; empty where it has just ended.
    pub(crate) name: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lock, pid, name } = self;
        write!(f, "{lock} is held by process {pid} ({name})")
    }
}

/// Waits until nobody holds them, at most so long. Somebody may still be faster than who asks:
/// apt and dpkg take them themselves, this is for telling people whom we wait for.
pub(super) fn wait(root: &Path, limit: Duration) -> HostResult<()> {
    let start = Instant::now();
    let mut told = None;
    while let Some(holder) = holder(root)? {
        if start.elapsed() >= limit {
            let operation = format!("get the package locks within {} s", limit.as_secs());
            return Err(HostError::failed(operation, holder));
        }
        if told.as_ref() != Some(&holder) {
            tracing::info!(%holder, "waiting for a lock");
        }
        told = Some(holder);
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// The first holder found; none where all are free.
pub(crate) fn holder(root: &Path) -> HostResult<Option<Holder>> {
    for lock in LOCKS {
        let path = root.join(lock);
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(HostError::failed(format!("open {}", path.display()), error));
            }
        };
        if let Some(pid) = locked_by(&file).map_err(|error| {
            HostError::failed(format!("ask who holds {}", path.display()), error)
        })? {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let lock = path.display().to_string();
            return Ok(Some(Holder {
                lock,
                pid,
                name: name.trim().to_owned(),
            }));
        }
    }
    Ok(None)
}

fn locked_by(file: &File) -> nix::Result<Option<i32>> {
    let mut lock = libc::flock {
        l_type: kind(libc::F_WRLCK),
        l_whence: kind(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((lock.l_type != kind(libc::F_UNLCK)).then_some(lock.l_pid))
}

/// The constants are as wide as the arguments of other calls.
fn kind(constant: i32) -> i16 {
    i16::try_from(constant).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(holder(root.path()), Ok(None));
        std::fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
        std::fs::write(root.path().join("var/lib/dpkg/lock"), "").unwrap();
        assert_eq!(holder(root.path()), Ok(None));
    }

    /// The kernel never tells a process of its own locks: another one has to hold it.
    #[test]
    fn the_holder_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
        let lock = root.path().join("var/lib/dpkg/lock");
        std::fs::write(&lock, "").unwrap();
        let script = "import fcntl,sys,time\nf=open(sys.argv[1],'r+')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(60)";
        let Ok(mut child) = std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&lock)
            .stdout(std::process::Stdio::piped())
            .spawn()
        else {
            return;
        };
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let found = holder(root.path()).unwrap().unwrap();
        assert_eq!(found.pid, i32::try_from(child.id()).unwrap());
        assert!(found.name.starts_with("python"), "{found}");
        let error = wait(root.path(), Duration::ZERO).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(error.to_string().contains("is held by process"), "{error}");
        assert_eq!(wait(root.path(), Duration::from_secs(5)), Ok(()));
    }
}
