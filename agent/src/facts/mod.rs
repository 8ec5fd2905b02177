//! What this machine is: static facts, one file per family, in a stable order.
//!
//! What cannot be found out stays empty: a fact is an answer, never a reason to fail.

mod cpu;
mod custom;
mod disks;
mod kernel;
mod machine;
mod memory;
mod network;
mod os;
mod time_zone;

use std::path::Path;

pub(crate) use self::network::hostname;
use brine_model::facts::{Agent, Facts};

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// Looks at everything; takes some milliseconds, and forks nothing but the machine's own programs for
/// facts. What could not be found out is in the log.
#[must_use]
pub fn collect(root: &Path) -> Facts {
    let what = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(what).ok();
    let (custom, problems) = custom::collect(root);
    for problem in problems {
        tracing::warn!(
            problem = problem.escape_debug().to_string(),
            "no facts of its own"
        );
    }
    Facts {
        os: os::collect(root),
        kernel: kernel::collect(),
        cpu: cpu::collect(system.as_ref()),
        memory: memory::collect(system.as_ref()),
        network: network::collect(),
        disks: disks::collect(root),
        machine: machine::collect(root),
        time_zone: time_zone::collect(root),
        agent: Agent {
            version: crate::VERSION.to_owned(),
        },
        custom,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_something_and_stays_so() {
        let facts = collect(Path::new("/"));
        assert!(!facts.kernel.release.is_empty() && !facts.kernel.architecture.is_empty());
        assert!(facts.cpu.count > 0 && facts.memory.total > 0);
        assert!(!facts.network.hostname.is_empty());
        assert_eq!(collect(Path::new("/")), facts);
    }
}
