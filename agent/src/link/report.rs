//! What the agent reports of its machine: static facts and the tables of the inventory.
//!
//! The server is told what each table is by now, and asks for those that it does not have: what has
//! not changed is not sent, also after either side was away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use brine_model::digest::Digest;
use brine_model::facts::Facts;
use brine_model::inventory::{Section, TABLES, Table};
use brine_model::time::Timestamp;
use brine_transport::connection::Connection;
use brine_wire::agent::{AgentReply, AgentRequest};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::session::ask;
use crate::backoff::fraction;
use crate::config::Config;
use crate::drift::{Drift, Pace};
use crate::host::ThisMachine;
use crate::{facts, memory};

/// Between two reports that nobody asked for; a fleet does not look all at once.
const EVERY: Duration = Duration::from_secs(300);

/// After a job that may have changed something: a run that goes on sends the next one sooner.
const AFTER_JOB: Duration = Duration::from_secs(3);

/// For a single table. What hangs longer (a home directory on a dead server, say) is left out.
const DEADLINE: Duration = Duration::from_secs(10);

/// Tables that are told at once.
const DRIFT: &[&str] = &["drift", "healed"];

/// For the static facts.
const FACTS: Duration = Duration::from_secs(30);

pub(super) struct Reporter {
    root: PathBuf,
    state: PathBuf,
    drift: Drift,
    /// The facts that this connection has sent. Held while a report is made: one at a time.
    sent: Mutex<Option<Facts>>,
    /// The tables of drift that this connection was told last. Held from the look to the answer: a newer
    /// one is never followed by an older.
    told: Mutex<BTreeMap<&'static str, Digest>>,
    /// Tables whose collectors have not come back: no second one is sent after them.
    stuck: Mutex<BTreeMap<&'static str, tokio::task::JoinHandle<()>>>,
}

impl Reporter {
    pub(super) fn new(config: &Config, drift: Drift) -> Self {
        Self {
            root: config.root.clone(),
            state: config.state.clone(),
            drift,
            sent: Mutex::default(),
            told: Mutex::default(),
            stuck: Mutex::default(),
        }
    }

    /// Without anybody who watches for drift.
    #[cfg(test)]
    fn alone(config: &Config) -> (Self, crate::drift::Watch) {
        let (_, nobody) = tokio::sync::watch::channel(None);
        let (_, nameless) = tokio::sync::watch::channel(None);
        let place = crate::jobs::Place {
            root: config.root.clone(),
            state: config.state.clone(),
            node: nameless,
            link: nobody,
            turn: crate::jobs::Turn::new(),
        };
        let (drift, watch) = crate::drift::new(place);
        (Self::new(config, drift), watch)
    }

    /// Until the connection ends.
    pub(super) async fn run(&self, connection: &Connection) {
        let mut jobs = self.drift.jobs();
        loop {
            self.report(connection).await;
            if connection.close_reason().is_some() {
                return;
            }
            tokio::select! {
                () = sleep(EVERY.mul_f64(0.5 + fraction())) => {}
                // What it has brought is told at once.
                () = self.drift.job_is_over(&mut jobs, AFTER_JOB) => {}
            }
        }
    }

    /// Looks at everything, and tells what is new. What cannot be told now is told the next time.
    pub(super) async fn report(&self, connection: &Connection) {
        let mut sent = self.sent.lock().await;
        let root = self.root.clone();
        let collected = tokio::task::spawn_blocking(move || facts::collect(&root));
        if let Ok(Ok(facts)) = timeout(FACTS, collected).await
            && sent.as_ref() != Some(&facts)
            && tell(connection, &AgentRequest::Facts(Box::new(facts.clone()))).await
        {
            *sent = Some(facts);
        }
        let sections = self.sections(TABLES, DEADLINE).await;
        let digests = sections
            .iter()
            .map(|section| (section.table.clone(), section.digest()))
            .collect();
        let wanted = match ask(connection, &AgentRequest::Inventory(digests)).await {
            Ok(AgentReply::Wanted(wanted)) => wanted,
            Ok(AgentReply::Refused(why)) => return tracing::warn!(why, "inventory refused"),
            Ok(_) => return,
            Err(error) => return tracing::debug!(%error, "the inventory was not delivered"),
        };
        for section in sections {
            if wanted.contains(&section.table) && !DRIFT.contains(&section.table.as_str()) {
                tell(connection, &AgentRequest::Section(section)).await;
            }
        }
        for table in wanted.iter().filter_map(|name| Table::find(name)) {
            if DRIFT.contains(&table.name) {
                self.told.lock().await.remove(table.name);
                self.tell_table(connection, table).await;
            }
        }
        memory::trim();
    }

    /// Has everything compared with the catalog as well, and reports then.
    pub(super) async fn look_and_report(&self, connection: &Connection) {
        self.drift.look().await;
        self.report(connection).await;
    }

    /// Keeps healing away until then.
    pub(super) async fn pause(&self, until: Option<Timestamp>) {
        self.drift.pause(until).await;
    }

    /// Tells what differs as soon as that is known, until the connection ends. The whole report tells
    /// it, too.
    pub(super) async fn tell_drift(&self, connection: &Connection) {
        let mut changed = self.drift.changed();
        changed.mark_unchanged();
        let (mut pace, began) = (Pace::new(), Instant::now());
        while changed.changed().await.is_ok() {
            sleep_until(began + pace.due(began.elapsed())).await;
            pace.looked(began.elapsed());
            changed.mark_unchanged();
            for table in TABLES.iter().filter(|table| DRIFT.contains(&table.name)) {
                self.tell_table(connection, table).await;
            }
            if connection.close_reason().is_some() {
                return;
            }
        }
    }

    /// As it is now, unless it was told so.
    async fn tell_table(&self, connection: &Connection, table: &'static Table) {
        let mut told = self.told.lock().await;
        match self.section(table, DEADLINE).await {
            Ok(Ok(section)) => {
                let digest = section.digest();
                if told.get(table.name) != Some(&digest)
                    && tell(connection, &AgentRequest::Section(section)).await
                {
                    told.insert(table.name, digest);
                }
            }
            Ok(Err(error)) => tracing::warn!(table = table.name, error, "not collected"),
            Err(_) => tracing::warn!(table = table.name, "not collected in time"),
        }
    }

    async fn sections(&self, tables: &[&'static Table], deadline: Duration) -> Vec<Section> {
        let mut stuck = self.stuck.lock().await;
        stuck.retain(|_, task| !task.is_finished());
        let mut sections = Vec::new();
        for &table in tables {
            if stuck.contains_key(table.name) {
                tracing::warn!(table = table.name, "still not collected");
                continue;
            }
            match self.section(table, deadline).await {
                Ok(Ok(section)) => sections.push(section),
                Ok(Err(error)) => tracing::warn!(table = table.name, error, "not collected"),
                Err(task) => {
                    tracing::warn!(table = table.name, "not collected in time");
                    stuck.insert(table.name, task);
                }
            }
        }
        sections
    }

    /// `Err` is the task, where it did not end in time.
    async fn section(
        &self,
        table: &'static Table,
        deadline: Duration,
    ) -> Result<Result<Section, String>, tokio::task::JoinHandle<()>> {
        let (root, state) = (self.root.clone(), self.state.clone());
        let (answer, answered) = tokio::sync::oneshot::channel();
        let task = tokio::task::spawn_blocking(move || {
            let _ = answer.send(table.section(&ThisMachine::new(&root, &state)));
        });
        match timeout(deadline, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Ok(Err(
                "the collector failed: this is a bug in Brine".to_owned()
            )),
            Err(_) => Err(task),
        }
    }
}

/// Whether it was taken.
async fn tell(connection: &Connection, request: &AgentRequest) -> bool {
    match ask(connection, request).await {
        Ok(AgentReply::Acknowledged) => true,
        Ok(AgentReply::Refused(why)) => {
            tracing::warn!(why, "a report was refused");
            false
        }
        Ok(_) => false,
        Err(error) => {
            tracing::debug!(%error, "a report was not delivered");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use brine_model::inventory::{Column, Machine, Row};

    use super::*;

    /// Set once the table may stop to hang.
    static GOES_ON: AtomicBool = AtomicBool::new(false);

    static HANGING: Table = Table {
        name: "hanging",
        doc: "",
        columns: &[Column { name: "a", doc: "" }],
        key: 1,
        asked: &[],
        times: &[],
        fleeting: &[],
        collect: |_: &dyn Machine| -> Result<Vec<Row>, String> {
            while !GOES_ON.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            Ok(Vec::new())
        },
    };

    /// As a mount would whose server is gone.
    #[tokio::test]
    async fn a_table_that_hangs_costs_itself_and_no_second_thread() {
        let root = tempfile::tempdir().unwrap();
        let config = Config {
            root: root.path().to_owned(),
            state: root.path().to_owned(),
        };
        let (reporter, _watch) = Reporter::alone(&config);
        let healed = Table::find("healed").unwrap();
        let tables: [&'static Table; 2] = [&HANGING, healed];
        let names = async |deadline: Duration| -> Vec<String> {
            let sections = reporter.sections(&tables, deadline).await;
            sections.into_iter().map(|section| section.table).collect()
        };
        assert_eq!(names(Duration::from_millis(50)).await, ["healed"]);
        assert_eq!(reporter.stuck.lock().await.len(), 1);
        // It is not even asked again.
        let began = Instant::now();
        assert_eq!(names(Duration::from_secs(60)).await, ["healed"]);
        assert!(began.elapsed() < Duration::from_secs(30));
        GOES_ON.store(true, Ordering::Relaxed);
        let task = reporter.stuck.lock().await.remove("hanging").unwrap();
        task.await.unwrap();
        assert_eq!(names(Duration::from_secs(60)).await, ["hanging", "healed"]);
    }
}
