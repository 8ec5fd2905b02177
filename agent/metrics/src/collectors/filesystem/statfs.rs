//! Asks file systems how full they are. Those whose server may be gone are asked on threads of their own: the call
//! cannot be taken back, so a thread that hangs is left to it, and that place is not asked again until it returns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::mounts::Mount;

/// So many are asked at a time.
const THREADS: usize = 4;

/// Kinds whose answer comes out of this machine's own memory.
const LOCAL: [&str; 14] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "exfat", "tmpfs", "ramfs",
    "proc", "sysfs", "devtmpfs",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    /// Bytes.
    pub(super) block: u64,
    pub(super) blocks: u64,
    pub(super) free: u64,
    pub(super) available: u64,
    pub(super) files: u64,
    pub(super) files_free: u64,
}

#[derive(Debug, Default)]
pub(super) struct Asker {
    /// Places from which an answer is awaited.
    out: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// Those that are asked on threads.
#[derive(Debug)]
struct Round {
    out: Arc<Mutex<BTreeSet<PathBuf>>>,
    paths: Vec<PathBuf>,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Debug)]
struct State {
    next: usize,
    missing: usize,
    answers: Vec<Option<Space>>,
}

impl Asker {
    /// An answer for each, in their order; none where there is an error, or nothing within `timeout`. `all` has also
    /// those that are not asked: the way may lead through them.
    pub(super) fn ask(
        &self,
        mounts: &[&Mount],
        all: &[Mount],
        root: &Path,
        timeout: Duration,
    ) -> Vec<Option<Space>> {
        let paths = mounts.iter().map(|mount| {
            let below = mount.point.trim_start_matches('/');
            root.join(below)
        });
        let paths: Vec<PathBuf> = paths.collect();
        let mut answers = vec![None; mounts.len()];
        let mut distant = Vec::new();
        for (place, mount) in mounts.iter().enumerate() {
            if is_local(mount, all) {
                answers[place] = statfs(&paths[place]);
            } else if !lock(&self.out).contains(&paths[place]) {
                distant.push(place);
            }
        }
        if !distant.is_empty() {
            let wanted = distant.iter().map(|place| paths[*place].clone());
            let told = self.on_threads(wanted.collect(), timeout);
            for (place, answer) in distant.into_iter().zip(told) {
                answers[place] = answer;
            }
        }
        answers
    }

    fn on_threads(&self, paths: Vec<PathBuf>, timeout: Duration) -> Vec<Option<Space>> {
        let end = Instant::now() + timeout;
        let count = paths.len();
        let round = Arc::new(Round {
            out: Arc::clone(&self.out),
            paths,
            state: Mutex::new(State {
                next: 0,
                missing: count,
                answers: vec![None; count],
            }),
            answered: Condvar::new(),
        });
        for _ in 0..count.min(THREADS) {
            let round = Arc::clone(&round);
            let thread = std::thread::Builder::new()
                .name("statfs".to_owned())
                .stack_size(64 * 1024);
            if let Err(error) = thread.spawn(move || round.work()) {
                tracing::warn!(%error, "no thread to ask a file system");
                break;
            }
        }
        let mut state = lock(&round.state);
        while state.missing > 0 {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = round.answered.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Nobody begins with another one.
        state.next = count;
        state.answers.clone()
    }
}

impl Round {
    fn work(&self) {
        loop {
            let place = {
                let mut state = lock(&self.state);
                if state.next >= self.paths.len() {
                    return;
                }
                state.next += 1;
                state.next - 1
            };
            let path = &self.paths[place];
            lock(&self.out).insert(path.clone());
            let answer = statfs(path);
            lock(&self.out).remove(path);
            let mut state = lock(&self.state);
            state.answers[place] = answer;
            state.missing -= 1;
            self.answered.notify_all();
        }
    }
}

/// The way there must not lead through another machine either.
fn is_local(mount: &Mount, mounts: &[Mount]) -> bool {
    let is_kind = |mount: &Mount| LOCAL.contains(&mount.kind.as_str());
    is_kind(mount)
        && !mounts.iter().any(|other| {
            !is_kind(other)
                && other.point != "/"
                && Path::new(&mount.point).starts_with(&other.point)
        })
}

fn statfs(path: &Path) -> Option<Space> {
    let told = nix::sys::statfs::statfs(path).ok()?;
    Some(Space {
        block: u64::try_from(told.block_size()).unwrap_or(0),
        blocks: told.blocks(),
        free: told.blocks_free(),
        available: told.blocks_available(),
        files: told.files(),
        files_free: told.files_free(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, kind: &str) -> Mount {
        Mount {
            device: "d".to_owned(),
            point: point.to_owned(),
            kind: kind.to_owned(),
            read_only: false,
        }
    }

    #[test]
    fn local_is_what_no_other_machine_stands_in_the_way_of() {
        let mounts = [
            mount("/", "ext4"),
            mount("/srv", "fuse.glusterfs"),
            mount("/srv/scratch", "tmpfs"),
            mount("/srvother", "xfs"),
        ];
        let local = mounts.iter().map(|one| is_local(one, &mounts));
        assert_eq!(local.collect::<Vec<_>>(), [true, false, false, true]);
    }

    #[test]
    fn a_place_that_has_not_answered_is_left_alone() {
        let asker = Asker::default();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::create_dir(root.path().join("b")).unwrap();
        let mounts = [mount("/a", "nfs4"), mount("/b", "nfs4")];
        let minute = Duration::from_secs(60);
        let wanted: Vec<&Mount> = mounts.iter().collect();
        let answers = asker.ask(&wanted, &mounts, root.path(), minute);
        assert!(answers[0].is_some() && answers[1].is_some());
        lock(&asker.out).insert(root.path().join("a"));
        let answers = asker.ask(&wanted, &mounts, root.path(), minute);
        assert!(answers[0].is_none() && answers[1].is_some());
    }
}
