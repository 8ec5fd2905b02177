//! Processes and threads by state: two or more files of each process, so that nobody gets it unasked.

use std::collections::BTreeMap;

use brine_exposition::Exposition;
use nix::errno::Errno;

use crate::collector::{CollectError, Definition};
use crate::roots::{ReadError, Roots, names};
use crate::words::{number, proc_number};

pub(super) const DEFINITION: Definition = Definition {
    name: "processes",
    enabled: false,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

#[derive(Default)]
struct Counts {
    processes: u64,
    threads: u64,
    processes_by_state: BTreeMap<String, u64>,
    threads_by_state: BTreeMap<String, u64>,
}

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let counts = Counts::of(roots)?;
    out.gauge("node_processes_threads", "Allocated threads in system")
        .add(&[], counts.threads);
    let limit = proc_number(roots, "sys/kernel/threads-max")?;
    out.gauge(
        "node_processes_max_threads",
        "Limit of threads in the system",
    )
    .add(&[], limit);
    let mut family = out.gauge("node_processes_state", "Number of processes in each state.");
    for (state, count) in &counts.processes_by_state {
        family.add(&[("state", state)], *count);
    }
    let mut family = out.gauge(
        "node_processes_threads_state",
        "Number of threads in each state.",
    );
    for (state, count) in &counts.threads_by_state {
        family.add(&[("thread_state", state)], *count);
    }
    let limit = proc_number(roots, "sys/kernel/pid_max")?;
    out.gauge("node_processes_pids", "Number of PIDs")
        .add(&[], counts.processes);
    out.gauge("node_processes_max_processes", "Number of max PIDs limit")
        .add(&[], limit);
    Ok(())
}

impl Counts {
    fn of(roots: &Roots) -> Result<Self, CollectError> {
        let mut counts = Self::default();
        for process in numbers(names(&roots.procfs)?) {
            let Some((state, threads)) = status(roots, &process)? else {
                continue;
            };
            counts.processes += 1;
            counts.threads = counts.threads.saturating_add(threads);
            let tasks = format!("{process}/task");
            let Some(names) = unless_gone(names(&roots.procfs.join(&tasks)))? else {
                continue;
            };
            for thread in numbers(names) {
                let state = if thread == process {
                    state.clone()
                } else {
                    match status(roots, &format!("{tasks}/{thread}"))? {
                        Some((state, _)) => state,
                        None => continue,
                    }
                };
                *counts.threads_by_state.entry(state).or_default() += 1;
            }
            *counts.processes_by_state.entry(state).or_default() += 1;
        }
        Ok(counts)
    }
}

fn numbers(names: Vec<String>) -> impl Iterator<Item = String> {
    names.into_iter().filter(|name| name.parse::<u32>().is_ok())
}

/// State and number of threads; none where the process is gone.
fn status(roots: &Roots, process: &str) -> Result<Option<(String, u64)>, CollectError> {
    let file = format!("{process}/stat");
    let Some(text) = unless_gone(roots.proc(&file))? else {
        return Ok(None);
    };
    // The program's name is in parentheses, and may have some of its own.
    let Some((_, rest)) = text.rsplit_once(')') else {
        return Err(CollectError::malformed(file, text.trim()));
    };
    let mut words = rest.split_ascii_whitespace();
    let Some(state) = words.next() else {
        return Err(CollectError::malformed(file, text.trim()));
    };
    let threads = number(&file, words.nth(16))?;
    Ok(Some((state.to_owned(), threads)))
}

/// A process may end at any time between its being listed and its being read.
fn unless_gone<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_missing() || error.is(Errno::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const LIMITS: [(&str, &str); 2] = [
        ("proc/sys/kernel/threads-max", "7801\n"),
        ("proc/sys/kernel/pid_max", "4194304\n"),
    ];

    fn stat(state: &str, threads: u64) -> String {
        format!("7 (a (b) c) {state} 1 1 1 0 -1 4 5 0 6 0 7 8 9 10 20 0 {threads} 0 30 40\n")
    }

    #[test]
    fn processes_and_threads_by_state() {
        let (one, many, waiting) = (stat("S", 1), stat("S", 2), stat("D", 2));
        let machine = Machine::new(&[
            LIMITS[0],
            LIMITS[1],
            ("proc/1/stat", &one),
            ("proc/1/task/1/stat", &one),
            ("proc/20/stat", &many),
            ("proc/20/task/20/stat", &many),
            ("proc/20/task/21/stat", &waiting),
            // Gone in the middle.
            ("proc/30/status", ""),
            ("proc/uptime", "1 1"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_processes_threads 3\n"), "{text}");
        assert!(text.contains("\nnode_processes_pids 2\n"), "{text}");
        assert!(
            text.contains("\nnode_processes_state{state=\"S\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "\nnode_processes_threads_state{thread_state=\"D\"} 1\nnode_processes_threads_state{thread_state=\"S\"} 2\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\nnode_processes_max_processes 4.194304e+06\n"),
            "{text}"
        );
    }

    #[test]
    fn odd_files_are_failures() {
        for odd in ["7 a", "7 (a)", "7 (a) S 1 2 3"] {
            let machine = Machine::new(&[LIMITS[0], LIMITS[1], ("proc/1/stat", odd)]);
            assert!(collected(&DEFINITION, &machine).is_err(), "{odd}");
        }
        assert!(collected(&DEFINITION, &Machine::new(&[LIMITS[0]])).is_err());
    }
}
