//! This process, as Prometheus' own libraries tell of theirs.

use std::io::Read;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

use crate::Exposition;

/// Bytes: fifty numbers and a name, which come in one read.
const STAT: usize = 2048;

/// Adds what the kernel says; what it does not say is left out.
pub fn tell(out: &mut Exposition) {
    let page = number(sysconf(SysconfVar::PAGE_SIZE));
    let ticks = number(sysconf(SysconfVar::CLK_TCK));
    if let Some(open) = open_descriptors() {
        out.gauge("process_open_fds", "Number of open file descriptors.")
            .add(&[], open);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        out.gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
        )
        .add(&[], soft);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_AS) {
        out.gauge(
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
        )
        .add(&[], soft);
    }
    let mut buffer = [0; STAT];
    let stat = std::fs::File::open("/proc/self/stat").and_then(|mut file| file.read(&mut buffer));
    let Ok(stat) = stat.map(|count| String::from_utf8_lossy(&buffer[..count])) else {
        return;
    };
    // The name in brackets may have anything in it, so counting begins behind it.
    let Some((_, behind)) = stat.rsplit_once(')') else {
        return;
    };
    let fields: Vec<u64> = behind
        .split_ascii_whitespace()
        .map(|word| word.parse().unwrap_or(0))
        .collect();
    let field = |place: usize| fields.get(place).copied().unwrap_or(0);
    out.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
    )
    .add(&[], seconds(field(11) + field(12), ticks));
    out.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
    )
    .add(&[], field(20));
    out.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
    )
    .add(&[], field(21) * page);
    if let Some(boot) = boot() {
        out.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
        )
        .add(&[], boot + seconds(field(19), ticks));
    }
}

/// Linux tells their number as the directory's size since 6.2; before, that is 0, and they are counted.
fn open_descriptors() -> Option<u64> {
    const DIRECTORY: &str = "/proc/self/fd";
    match std::fs::metadata(DIRECTORY).ok()?.len() {
        // The directory itself is one of them while it is listed.
        0 => Some((std::fs::read_dir(DIRECTORY).ok()?.count() as u64).saturating_sub(1)),
        size => Some(size),
    }
}

/// Asked once: the kernel counts a lot to answer.
fn boot() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(read_boot)
}

fn read_boot() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn seconds(ticks: u64, each: u64) -> f64 {
    ticks as f64 / each.max(1) as f64
}

fn number(asked: nix::Result<Option<i64>>) -> u64 {
    let told = asked.ok().flatten();
    told.and_then(|told| u64::try_from(told).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_files_and_a_past() {
        let mut out = Exposition::new();
        tell(&mut out);
        let text = out.text();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")));
            let line = line.unwrap_or_else(|| panic!("{name}: {text}"));
            line[name.len() + 1..].parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0);
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs_f64();
        let started = value("process_start_time_seconds");
        assert!(
            started <= now + 1.0 && started > now - 86_400.0,
            "{started}"
        );
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
