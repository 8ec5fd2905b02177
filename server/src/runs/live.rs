//! Runs under way: how to reach them, and news of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use brine_model::name::NodeName;
use brine_model::time::Timestamp;
use brine_wire::job::{JobId, JobResult, Progress, RunId};
use brine_wire::run::{Event, Happening};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{Mailbox, Word};

/// Signs of life that a slow watcher may lag behind before it loses some.
const PROGRESS: usize = 64;

/// The map is only touched between awaits, for as long as a lookup takes.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<BTreeMap<RunId, Run>>);

#[derive(Debug)]
struct Run {
    mailbox: mpsc::UnboundedSender<Word>,
    /// Rises with every event in the store.
    news: watch::Sender<u64>,
    progress: broadcast::Sender<Event>,
    awaited: BTreeMap<(NodeName, JobId), oneshot::Sender<JobResult>>,
}

/// News of one run.
#[derive(Debug)]
pub(crate) struct Watching {
    /// Changes when there are new events in the store; closed when the run is over.
    pub news: watch::Receiver<u64>,
    pub progress: broadcast::Receiver<Event>,
}

impl Live {
    pub(super) fn begin(&self, run: RunId) -> Mailbox {
        let (mailbox, words) = mpsc::unbounded_channel();
        let run_entry = Run {
            mailbox,
            news: watch::Sender::new(0),
            progress: broadcast::Sender::new(PROGRESS),
            awaited: BTreeMap::new(),
        };
        self.runs().insert(run, run_entry);
        words
    }

    /// Dropping the senders tells those who watch.
    pub(super) fn end(&self, run: RunId) {
        self.runs().remove(&run);
    }

    pub(super) fn say(&self, run: RunId, word: Word) -> bool {
        self.runs()
            .get(&run)
            .is_some_and(|run| run.mailbox.send(word).is_ok())
    }

    pub(super) fn watch(&self, run: RunId) -> Option<Watching> {
        let runs = self.runs();
        let run = runs.get(&run)?;
        Some(Watching {
            news: run.news.subscribe(),
            progress: run.progress.subscribe(),
        })
    }

    /// There are new events in the store.
    pub(super) fn tell(&self, run: RunId) {
        if let Some(run) = self.runs().get(&run) {
            run.news.send_modify(|version| *version += 1);
        }
    }

    /// Where the result of a job will arrive.
    pub(super) fn expect(&self, node: &NodeName, job: JobId) -> oneshot::Receiver<JobResult> {
        let (sender, receiver) = oneshot::channel();
        if let Some(run) = self.runs().get_mut(&job.run) {
            run.awaited.insert((node.clone(), job), sender);
        }
        receiver
    }

    pub(super) fn deliver(&self, node: &NodeName, job: JobId, result: JobResult) {
        let sender = self
            .runs()
            .get_mut(&job.run)
            .and_then(|run| run.awaited.remove(&(node.clone(), job)));
        if let Some(sender) = sender {
            let _ = sender.send(result);
        }
    }

    /// Whoever waits for this node gets an answer now.
    pub(super) fn removed(&self, node: &NodeName) {
        for run in self.runs().values_mut() {
            let waiting = std::mem::take(&mut run.awaited);
            for ((name, job), sender) in waiting {
                if name == *node {
                    let _ = sender.send(JobResult::Failed("the node was removed".to_owned()));
                } else {
                    run.awaited.insert((name, job), sender);
                }
            }
        }
    }

    /// Only a node that the run waits for is heard.
    pub(super) fn progress(&self, node: &NodeName, progress: Progress, at: Timestamp) {
        let runs = self.runs();
        let Some(run) = runs.get(&progress.job.run) else {
            return;
        };
        if run.awaited.contains_key(&(node.clone(), progress.job)) {
            let what = Happening::Progress {
                node: node.clone(),
                progress,
            };
            let _ = run.progress.send(Event {
                sequence: 0,
                at,
                what,
            });
        }
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
