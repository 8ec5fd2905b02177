//! Giving memory back to the kernel. Beside `timex` of the metrics, the one module with `unsafe`.

use std::ops::Range;
use std::time::Duration;

use tokio::sync::Notify;

/// To be called before there is a second thread.
///
/// glibc gives each thread an arena of its own, and never gives back what is free at the end of one; and once a large
/// buffer was freed, it takes buffers of that size from there too. An agent that had read one file of 5 MB on three
/// threads kept 15 MB. One arena will do for a few threads, and with a threshold that does not move (which is what
/// setting it means: mallopt(3)) large buffers are mappings of their own.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt is a C function; nothing safe wraps it")]
pub(crate) fn prepare() {
    use nix::libc::{M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, mallopt};

    // SAFETY: numbers for the allocator's own settings, under its own lock; values that it does not take it refuses.
    unsafe {
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_MMAP_THRESHOLD, LARGE);
        mallopt(M_TRIM_THRESHOLD, LARGE);
    }
}

#[cfg(not(target_env = "gnu"))]
pub(crate) fn prepare() {}

/// Bytes: glibc's own first threshold.
#[cfg(target_env = "gnu")]
const LARGE: nix::libc::c_int = 128 << 10;

/// How long nobody has worked when the code that was needed for it is let go.
const QUIET: Duration = Duration::from_secs(10);

static WORKED: Notify = Notify::const_new();

/// To be called when something is done: a plan of a large catalog leaves megabytes of free chunks in the allocator,
/// and an agent lies idle for most of its life.
pub(crate) fn trim() {
    heap();
    WORKED.notify_one();
}

/// Lets go of code that is not needed any more, whenever there was work and then none. Never ends.
pub(crate) async fn let_go() {
    loop {
        WORKED.notified().await;
        while tokio::time::timeout(QUIET, WORKED.notified()).await.is_ok() {}
        heap();
        code();
    }
}

#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "malloc_trim is a C function; nothing safe wraps it"
)]
fn heap() {
    // SAFETY: it takes a number and touches nothing but the allocator's own free lists, under the
    // allocator's own locks (malloc_trim(3): MT-Safe).
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
fn heap() {}

/// Most of the agent's memory is pages of its own binary. The kernel keeps those that are mapped for longer than
/// those that are merely in its cache. What is used again is mapped again by a fault, which reads the disk only where
/// the kernel has needed the memory meanwhile.
#[expect(
    unsafe_code,
    reason = "madvise can take away what was written; nothing safe wraps it"
)]
fn code() {
    use nix::sys::mman::{MmapAdvise, madvise};

    // A kernel without /proc keeps them mapped: nothing depends on this.
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for range in never_written(&maps, code as fn() as usize) {
        let Some(start) = std::ptr::NonNull::new(std::ptr::without_provenance_mut(range.start))
        else {
            continue;
        };
        // SAFETY: the range is a private mapping of a file that nobody could ever write to (`never_written`),
        // so what a fault brings back is what was there (madvise(2), MADV_DONTNEED).
        let _ = unsafe { madvise(start, range.len(), MmapAdvise::MADV_DONTNEED) };
    }
}

/// Of /proc/self/maps the parts of the binary up to its code, which is where `address` is. What lies behind the
/// code may be read-only now, but the loader has written there.
fn never_written(maps: &str, address: usize) -> Vec<Range<usize>> {
    let mappings: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
    let Some(code) = mappings
        .iter()
        .position(|mapping| mapping.range.contains(&address))
    else {
        return Vec::new();
    };
    let file = mappings[code].file;
    mappings[..=code]
        .iter()
        .rev()
        .take_while(|mapping| mapping.file == file)
        .filter(|mapping| mapping.protection.starts_with('r') && mapping.protection.ends_with('p'))
        .filter(|mapping| !mapping.protection.contains('w'))
        .map(|mapping| mapping.range.clone())
        .collect()
}

/// A line of maps: `from-to protection offset device inode path`.
struct Mapping<'a> {
    range: Range<usize>,
    protection: &'a str,
    /// Device and inode: a path may have been replaced.
    file: (&'a str, &'a str),
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (protection, _offset) = (words.next()?, words.next()?);
        let file = (words.next()?, words.next()?);
        let number = |text| usize::from_str_radix(text, 16).ok();
        (file.1 != "0").then_some(Self {
            range: number(start)?..number(end)?,
            protection,
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0267000 r--p 00000000 fe:00 1234                       /usr/bin/brine-agent (deleted)
55d0c0267000-55d0c0a3a000 r-xp 00266000 fe:00 1234                       /usr/bin/brine-agent (deleted)
55d0c0a3a000-55d0c0a81000 r--p 00a38000 fe:00 1234                       /usr/bin/brine-agent (deleted)
55d0c0a81000-55d0c0a84000 rw-p 00a7e000 fe:00 1234                       /usr/bin/brine-agent (deleted)
55d0c1000000-55d0c1200000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000100000 r-xp 00000000 fe:00 77                         /usr/lib/x86_64-linux-gnu/libc.so.6
";

    #[test]
    fn what_the_loader_wrote_to_is_left_alone() {
        let found = never_written(MAPS, 0x55d0_c030_0000);
        assert_eq!(
            found,
            [
                0x55d0_c026_7000..0x55d0_c0a3_a000,
                0x55d0_c000_0000..0x55d0_c026_7000
            ]
        );
        assert_eq!(never_written(MAPS, 0x7f00_0000_0010).len(), 1);
        assert!(never_written(MAPS, 0x55d0_c100_0010).is_empty());
        assert!(never_written("", 1).is_empty());
    }

    /// Whoever runs while it happens goes on, and so does what comes after it.
    #[test]
    fn nobody_notices() {
        let others: Vec<_> = (0..2)
            .map(|_| std::thread::spawn(|| (0..200).map(|n| format!("{n}").len()).sum::<usize>()))
            .collect();
        for _ in 0..50 {
            heap();
            code();
        }
        for other in others {
            assert_eq!(other.join().expect("it ends"), 490);
        }
        let maps = std::fs::read_to_string("/proc/self/maps").expect("linux");
        assert!(!never_written(&maps, code as fn() as usize).is_empty());
    }
}
