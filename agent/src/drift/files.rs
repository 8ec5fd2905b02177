//! Changes of files, as the kernel tells of them.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::index::{Ids, Index};

/// What is done to a file is told when it is done: not each write of a long one.
const MASK: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Whom a name in a directory concerns.
type Names = BTreeMap<String, Ids>;

/// Which directory a watch is of, by what it is of interest for.
pub(super) type Watches = BTreeMap<WatchDescriptor, Names>;

/// The kernel's end; to be shared with the thread that looks.
#[derive(Debug, Clone)]
pub(super) struct Kernel(Arc<Inotify>);

pub(super) struct Files {
    kernel: AsyncFd<Kernel>,
    watches: Watches,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Some(Ids),
    /// More than could be told.
    Anything,
}

impl AsRawFd for Kernel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Kernel {
    /// Watches every directory of the index; of one that is missing, the nearest that is there.
    /// Watching one again changes nothing. May wait for a file system: not for the main thread.
    pub(super) fn watch(&self, root: &Path, index: &Index) -> Watches {
        let mut watches = Watches::new();
        for (directory, names) in &index.files {
            let mut names = names.clone();
            let mut directory = directory.as_str();
            loop {
                let path = root.join(directory.trim_start_matches('/'));
                match self.0.add_watch(&path, MASK) {
                    Ok(descriptor) => {
                        let known = watches.entry(descriptor).or_default();
                        for (name, ids) in names {
                            known.entry(name).or_default().extend(ids);
                        }
                        break;
                    }
                    Err(Errno::ENOENT | Errno::ENOTDIR) => {
                        let Some((above, name)) = directory.rsplit_once('/') else {
                            break;
                        };
                        let all: Ids = names.into_values().flatten().collect();
                        names = BTreeMap::from([(name.to_owned(), all)]);
                        directory = if above.is_empty() { "/" } else { above };
                        if name.is_empty() {
                            break;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(directory, %error, "cannot be watched: changes are seen late");
                        break;
                    }
                }
            }
        }
        watches
    }
}

impl Files {
    #[expect(
        deprecated,
        reason = "its successor is unsafe: the caller promises that the descriptor stays, as an `Arc` does"
    )]
    pub(super) fn new() -> std::io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Self {
            kernel: AsyncFd::new(Kernel(Arc::new(inotify)))?,
            watches: Watches::new(),
        })
    }

    /// Whether there are watches in it that are not known yet.
    pub(super) fn is_new(&self, watches: &Watches) -> bool {
        watches.keys().any(|one| !self.watches.contains_key(one))
    }

    /// Takes these, and ends those that nobody needs any more.
    pub(super) fn replace(&mut self, watches: Watches) {
        let old = std::mem::replace(&mut self.watches, watches);
        for descriptor in old.into_keys() {
            if !self.watches.contains_key(&descriptor) {
                // Gone with its directory, mostly.
                let _ = self.kernel.get_ref().0.rm_watch(descriptor);
            }
        }
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.kernel.get_ref().clone()
    }

    /// Waits until something has. May be dropped and asked again.
    pub(super) async fn changed(&self) -> Changed {
        loop {
            let Ok(mut ready) = self.kernel.readable().await else {
                return std::future::pending().await;
            };
            match self.kernel.get_ref().0.read_events() {
                Ok(events) => {
                    let changed = concerned(&self.watches, &events);
                    if changed != Changed::Some(Ids::new()) {
                        return changed;
                    }
                }
                Err(_) => ready.clear_ready(),
            }
        }
    }
}

fn concerned(watches: &Watches, events: &[InotifyEvent]) -> Changed {
    let mut ids = Ids::new();
    for event in events {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Changed::Anything;
        }
        let Some(names) = watches.get(&event.wd) else {
            continue;
        };
        match &event.name {
            Some(name) => ids.extend(
                name.to_str()
                    .and_then(|name| names.get(name))
                    .into_iter()
                    .flatten()
                    .cloned(),
            ),
            // The directory itself: gone, moved, mounted over, or its mode.
            None => ids.extend(names.values().flatten().cloned()),
        }
    }
    Changed::Some(ids)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn index(path: &str, id: &str) -> Index {
        let (directory, name) = path.rsplit_once('/').unwrap();
        let ids: Ids = [id.parse().unwrap()].into();
        let names = BTreeMap::from([(name.to_owned(), ids)]);
        Index {
            files: BTreeMap::from([(directory.to_owned(), names)]),
            units: BTreeMap::new(),
        }
    }

    async fn told(files: &Files) -> Changed {
        let within = Duration::from_secs(10);
        tokio::time::timeout(within, files.changed()).await.unwrap()
    }

    #[tokio::test]
    async fn a_file_below_a_directory_that_is_made_later() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let index = index("/etc/app/a.conf", "file:/etc/app/a.conf");
        let ids = || Changed::Some(index.files["/etc/app"]["a.conf"].clone());
        let mut files = Files::new().unwrap();
        files.replace(files.kernel().watch(root, &index));
        fs::create_dir(root.join("other")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        assert_eq!(told(&files).await, ids());
        fs::create_dir(root.join("etc/app")).unwrap();
        let watches = files.kernel().watch(root, &index);
        assert!(files.is_new(&watches));
        files.replace(watches);
        fs::write(root.join("etc/app/b.conf"), "").unwrap();
        fs::write(root.join("etc/app/a.conf"), "").unwrap();
        assert_eq!(told(&files).await, ids());
        fs::remove_dir_all(root.join("etc/app")).unwrap();
        assert_eq!(told(&files).await, ids());
    }
}
