//! The jobs' journal: what was accepted, what runs, and results until they are acknowledged.
//!
//! A job is on disk before it starts, and its result before anybody hears of it. So after a crash
//! the agent knows what it had begun, says so, and runs nothing twice. What a job was to do is
//! deliberately not kept: it may hold secrets, and nothing is ever rerun.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brine_model::time::Timestamp;
use brine_wire::job::{JobId, JobResult, JobState, RunId};
use serde::{Deserialize, Serialize};

use super::atomic;
use super::error::StateError;

/// Where one job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    Accepted,
    Running,
    Finished(JobResult),
    /// The server has the result. Remembered until the deadline, so that it is not run again.
    Acknowledged,
    /// The machine is being rebooted; `from` is the boot that ends by it.
    Rebooting {
        from: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    deadline: Timestamp,
    stage: Stage,
}

/// Owned by the one task that runs jobs.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    entries: BTreeMap<JobId, Entry>,
}

impl Journal {
    /// Reads what an earlier life has left. What was under way then has failed, and is told so.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open(state: &Path, now: Timestamp, boot: &str) -> Result<Self, StateError> {
        let directory = state.join("jobs");
        atomic::directory(&directory).map_err(StateError::io("make", &directory))?;
        let mut journal = Self {
            directory,
            entries: BTreeMap::new(),
        };
        journal.load()?;
        let ids: Vec<JobId> = journal.entries.keys().copied().collect();
        for id in ids {
            match &journal.entries[&id].stage {
                Stage::Accepted => journal.finish(id, stopped_before())?,
                Stage::Running => journal.finish(id, stopped_while())?,
                Stage::Rebooting { from } if from == boot => journal.finish(id, not_rebooted())?,
                Stage::Rebooting { .. } => journal.finish(id, rebooted())?,
                Stage::Finished(_) | Stage::Acknowledged => {}
            }
        }
        journal.forget_expired(now)?;
        Ok(journal)
    }

    /// What the server is told when it asks.
    #[must_use]
    pub fn state(&self, id: JobId) -> JobState {
        match self.entries.get(&id).map(|entry| &entry.stage) {
            Some(Stage::Accepted) => JobState::Accepted,
            Some(Stage::Running | Stage::Rebooting { .. }) => JobState::Running,
            Some(Stage::Finished(result)) => JobState::Finished(result.clone()),
            Some(Stage::Acknowledged) | None => JobState::Unknown,
        }
    }

    /// Whether it was ever accepted, as far as that matters.
    #[must_use]
    pub fn knows(&self, id: JobId) -> bool {
        self.entries.contains_key(&id)
    }

    /// # Errors
    /// It cannot be written; then it is not accepted.
    pub fn accept(&mut self, id: JobId, deadline: Timestamp) -> Result<(), StateError> {
        self.put(
            id,
            Entry {
                deadline,
                stage: Stage::Accepted,
            },
        )
    }

    /// To be called, and to succeed, before anything is done.
    ///
    /// # Errors
    /// It cannot be written; then the job must not start.
    pub fn begin(&mut self, id: JobId) -> Result<(), StateError> {
        self.set(id, Stage::Running)
    }

    /// As [`Journal::begin`], for a job that ends with the machine: the next life of the agent
    /// finishes it, if that is in another boot than `from`.
    ///
    /// # Errors
    /// It cannot be written; then the job must not start.
    pub fn begin_reboot(&mut self, id: JobId, from: &str) -> Result<(), StateError> {
        let from = from.to_owned();
        self.set(id, Stage::Rebooting { from })
    }

    /// # Errors
    /// It cannot be written; in memory it is kept all the same.
    pub fn finish(&mut self, id: JobId, result: JobResult) -> Result<(), StateError> {
        self.set(id, Stage::Finished(result))
    }

    /// # Errors
    /// It cannot be written; then the result is sent once more after a restart.
    pub fn acknowledge(&mut self, id: JobId, now: Timestamp) -> Result<(), StateError> {
        if self.entries.contains_key(&id) {
            self.set(id, Stage::Acknowledged)?;
        }
        self.forget_expired(now)
    }

    /// Results that nobody has acknowledged yet.
    #[must_use]
    pub fn kept(&self) -> Vec<(JobId, JobResult)> {
        let results = self
            .entries
            .iter()
            .filter_map(|(id, entry)| match &entry.stage {
                Stage::Finished(result) => Some((*id, result.clone())),
                _ => None,
            });
        results.collect()
    }

    /// Jobs that the server has not the result of.
    #[must_use]
    pub fn open_jobs(&self) -> Vec<JobId> {
        let open = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.stage != Stage::Acknowledged);
        open.map(|(id, _)| *id).collect()
    }

    /// After its deadline, a job is refused for that.
    fn forget_expired(&mut self, now: Timestamp) -> Result<(), StateError> {
        let expired = |entry: &Entry| entry.stage == Stage::Acknowledged && entry.deadline < now;
        let ids: Vec<JobId> = self
            .entries
            .iter()
            .filter(|(_, entry)| expired(entry))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let path = self.path(id);
            atomic::remove(&path).map_err(StateError::io("remove", &path))?;
            self.entries.remove(&id);
        }
        Ok(())
    }

    fn set(&mut self, id: JobId, stage: Stage) -> Result<(), StateError> {
        let deadline = self
            .entries
            .get(&id)
            .map_or_else(Timestamp::default, |entry| entry.deadline);
        self.put(id, Entry { deadline, stage })
    }

    fn put(&mut self, id: JobId, entry: Entry) -> Result<(), StateError> {
        let path = self.path(id);
        let bytes =
            serde_json::to_vec(&entry).map_err(|error| StateError::damaged(&path, error))?;
        // A result is remembered even where the disk is full: the server still gets it.
        if matches!(entry.stage, Stage::Finished(_)) {
            self.entries.insert(id, entry.clone());
        }
        atomic::write(&path, &bytes).map_err(StateError::io("write", &path))?;
        self.entries.insert(id, entry);
        Ok(())
    }

    fn load(&mut self) -> Result<(), StateError> {
        let directory = &self.directory;
        let files = std::fs::read_dir(directory).map_err(StateError::io("list", directory))?;
        for file in files {
            let file = file.map_err(StateError::io("list", directory))?;
            let path = file.path();
            let Some(id) = file.file_name().to_str().and_then(parse_name) else {
                // A write that a crash cut short.
                atomic::remove(&path).map_err(StateError::io("remove", &path))?;
                continue;
            };
            let bytes = atomic::read(&path).map_err(StateError::io("read", &path))?;
            let entry = match serde_json::from_slice(&bytes.unwrap_or_default()) {
                Ok(entry) => entry,
                // Another version's, or a damaged disk: that it was there is all that is known.
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "cannot read a job's record");
                    Entry {
                        deadline: Timestamp::default(),
                        stage: Stage::Running,
                    }
                }
            };
            self.entries.insert(id, entry);
        }
        Ok(())
    }

    fn path(&self, id: JobId) -> PathBuf {
        self.directory.join(format!("{}-{}", id.run, id.step))
    }
}

fn parse_name(name: &str) -> Option<JobId> {
    let (run, step) = name.split_once('-')?;
    Some(JobId {
        run: RunId(run.parse().ok()?),
        step: step.parse().ok()?,
    })
}

fn stopped_before() -> JobResult {
    JobResult::Failed("the agent was stopped before it began: nothing was done".to_owned())
}

fn stopped_while() -> JobResult {
    JobResult::Failed(
        "the agent was stopped while it ran: what was done stays, and the next apply goes on"
            .to_owned(),
    )
}

fn rebooted() -> JobResult {
    JobResult::Acted("rebooted".to_owned())
}

fn not_rebooted() -> JobResult {
    JobResult::Failed(
        "the agent was stopped before the machine went down, and came back without a reboot"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(100);

    fn id(run: u64) -> JobId {
        JobId {
            run: RunId(run),
            step: 0,
        }
    }

    fn done() -> JobResult {
        JobResult::Health {
            failing: Vec::new(),
        }
    }

    /// Does `steps`, dies, comes back, and must then say `expected` of job 1.
    fn check(steps: impl FnOnce(&mut Journal), expected: &JobState) {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(state.path(), NOW, "b1").unwrap();
        steps(&mut journal);
        drop(journal);
        // A write that the crash cut short.
        std::fs::write(state.path().join("jobs/.1-0~"), "{\"dead").unwrap();
        for _ in 0..2 {
            assert_eq!(
                Journal::open(state.path(), NOW, "b1").unwrap().state(id(1)),
                *expected
            );
        }
    }

    #[test]
    fn every_crash_point() {
        let later = Timestamp(200);
        check(|_| {}, &JobState::Unknown);
        check(
            |j| j.accept(id(1), later).unwrap(),
            &JobState::Finished(stopped_before()),
        );
        let running = |j: &mut Journal| {
            j.accept(id(1), later).unwrap();
            j.begin(id(1)).unwrap();
        };
        check(running, &JobState::Finished(stopped_while()));
        let finished = |j: &mut Journal| {
            running(j);
            j.finish(id(1), done()).unwrap();
        };
        check(finished, &JobState::Finished(done()));
        check(
            |j| {
                finished(j);
                j.acknowledge(id(1), NOW).unwrap();
            },
            &JobState::Unknown,
        );
    }

    #[test]
    fn what_was_acknowledged_is_not_run_again_before_its_deadline() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(state.path(), NOW, "b1").unwrap();
        journal.accept(id(1), Timestamp(200)).unwrap();
        journal.finish(id(1), done()).unwrap();
        assert_eq!(journal.kept(), [(id(1), done())]);
        journal.acknowledge(id(1), NOW).unwrap();
        assert!(journal.kept().is_empty() && journal.open_jobs().is_empty());
        let journal = Journal::open(state.path(), NOW, "b1").unwrap();
        assert!(journal.knows(id(1)));
        let journal = Journal::open(state.path(), Timestamp(201), "b1").unwrap();
        assert!(!journal.knows(id(1)));
        assert_eq!(
            std::fs::read_dir(state.path().join("jobs"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn a_reboot_is_done_in_another_boot() {
        for (boot, expected) in [("b1", not_rebooted()), ("b2", rebooted())] {
            let state = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(state.path(), NOW, "b1").unwrap();
            journal.accept(id(1), Timestamp(200)).unwrap();
            journal.begin_reboot(id(1), "b1").unwrap();
            assert_eq!(journal.state(id(1)), JobState::Running);
            assert_eq!(journal.open_jobs(), [id(1)]);
            drop(journal);
            let journal = Journal::open(state.path(), NOW, boot).unwrap();
            assert_eq!(journal.kept(), [(id(1), expected)]);
        }
    }

    #[test]
    fn a_damaged_record_is_told_not_rerun() {
        let state = tempfile::tempdir().unwrap();
        drop(Journal::open(state.path(), NOW, "b1").unwrap());
        std::fs::write(state.path().join("jobs/7-2"), "garbage").unwrap();
        let journal = Journal::open(state.path(), NOW, "b1").unwrap();
        let seven = JobId {
            run: RunId(7),
            step: 2,
        };
        assert_eq!(journal.state(seven), JobState::Finished(stopped_while()));
    }
}
