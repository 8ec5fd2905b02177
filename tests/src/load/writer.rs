//! Writes one row after another through the balancers, and records which were acknowledged: not
//! one of those may be missing afterwards, whatever happened in between.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config};

use super::now_ms;
use super::process::{LoadProcess, is_stopped};
use super::session::{self, Trust};
use crate::Lab;

/// Who writes, and where.
#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub database: String,
    /// None: without TLS.
    pub trust: Option<Trust>,
}

impl Login {
    /// As the application on this backend logs in. Its authority's certificate is copied to where a
    /// writer can read it.
    ///
    /// # Errors
    /// The backend is off, or has no database.
    pub fn of_application(lab: &Lab, backend: &str) -> Result<Self> {
        let read = |path: &str| {
            let output = lab.host(backend).run(&format!("cat {path}"));
            ensure!(output.code == 0, "{path} on {backend}: {output}");
            Ok(output.stdout)
        };
        let environment = read("/etc/webapp/environment")?;
        let variable = |name: &str| {
            let mut lines = environment.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            let value = value.with_context(|| format!("{backend} has no {name}"))?;
            anyhow::Ok(value.trim_matches('"').to_owned())
        };
        let authority = lab.folder().join("workload-ca.pem");
        std::fs::write(&authority, read(&variable("DATABASE_CA")?)?)
            .with_context(|| format!("cannot write {}", authority.display()))?;
        Ok(Self {
            user: variable("DATABASE_USER")?,
            password: read("/etc/webapp/database-password")?
                .lines()
                .next()
                .context("the application has no password")?
                .to_owned(),
            database: variable("DATABASE_NAME")?,
            trust: Some(Trust {
                authority,
                name: variable("DATABASE_SERVER")?,
            }),
        })
    }
}

#[derive(Debug, Clone)]
pub struct WriterOptions {
    pub balancers: Vec<String>,
    pub port: u16,
    pub login: Login,
    /// Between two rows.
    pub pace: Duration,
    /// One line per acknowledged row, written before the next is sent: its number and when.
    pub log: PathBuf,
    /// It ends when this file exists.
    pub stop: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriterReport {
    pub acked: usize,
    /// Acknowledged rows that are not there: lost.
    pub missing: Vec<u64>,
    /// Rows that are there although nobody was told so, which is allowed.
    pub unacked_present: usize,
    /// Connections and statements that failed.
    pub errors: usize,
    /// The longest time between two acknowledgements, and when it began (wall clock, ms).
    pub longest_gap_ms: u64,
    pub gap_started_at: u64,
    /// Every gap longer than half a second: when it began, and how long it was.
    pub gaps: Vec<(u64, u64)>,
    /// The first errors: when, and what.
    pub shown_errors: Vec<(u64, String)>,
}

/// Each is one attempt's limit, so that the writer never hangs and a gap is measured finely.
const CONNECT: Duration = Duration::from_millis(1000);
const STATEMENT: Duration = Duration::from_millis(2000);
/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(50);
/// How long the cluster may take until the rows can be read back.
const READ_BACK: Duration = Duration::from_secs(60);

const GAP: u64 = 500;
const SHOWN: usize = 50;

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS lab_rows (run text, id bigint, PRIMARY KEY (run, id))";

struct Session {
    options: WriterOptions,
    attempts: usize,
    client: Option<Client>,
    errors: Vec<(u64, String)>,
}

/// Writes until it is told to stop, then reads the rows back and compares.
///
/// # Errors
/// The log cannot be written, or the rows cannot be read back.
pub async fn write(options: &WriterOptions) -> Result<WriterReport> {
    let mut log = File::create(&options.log)
        .with_context(|| format!("cannot write {}", options.log.display()))?;
    let run = now_ms().to_string();
    let mut session = Session {
        options: options.clone(),
        attempts: 0,
        client: None,
        errors: Vec::new(),
    };
    let mut id = 0_u64;
    let mut acknowledged = Vec::new();
    while !is_stopped(&options.stop) {
        id += 1;
        if let Err(error) = session.insert(&run, id).await {
            session.failed(&error);
            sleep(RETRY).await;
            continue;
        }
        let at = now_ms();
        writeln!(log, "{id} {at}")
            .and_then(|()| log.flush())
            .context("cannot write the writer's log")?;
        acknowledged.push((id, at));
        sleep(options.pace).await;
    }
    let stopped = now_ms();
    let rows = session.read_back(&run).await?;
    Ok(compare(&acknowledged, &rows, stopped, session.errors))
}

impl Session {
    fn failed(&mut self, error: &anyhow::Error) {
        self.client = None;
        self.errors.push((now_ms(), format!("{error:#}")));
    }

    /// A connection through the next balancer, if there is none.
    async fn client(&mut self) -> Result<&Client> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            let options = &self.options;
            let balancer = &options.balancers[self.attempts % options.balancers.len()];
            self.attempts += 1;
            let mut config = Config::new();
            config
                .user(&options.login.user)
                .password(&options.login.password)
                .dbname(&options.login.database)
                .application_name("lab-writer");
            let trust = options.login.trust.as_ref();
            let connecting = session::connect(balancer, options.port, &config, trust);
            let client = timeout(CONNECT, connecting)
                .await
                .with_context(|| format!("{balancer}: no connection in time"))?
                .with_context(|| format!("{balancer}: cannot connect"))?;
            timeout(STATEMENT, client.batch_execute(CREATE))
                .await
                .with_context(|| format!("{balancer}: no table in time"))?
                .with_context(|| format!("{balancer}: no table"))?;
            self.client = Some(client);
        }
        self.client.as_ref().context("no connection")
    }

    async fn insert(&mut self, run: &str, id: u64) -> Result<()> {
        let client = self.client().await?;
        let id = i64::try_from(id).context("too many rows")?;
        let values: [&(dyn ToSql + Sync); 2] = [&run, &id];
        let insert = client.execute("INSERT INTO lab_rows VALUES ($1, $2)", &values);
        let rows = timeout(STATEMENT, insert)
            .await
            .context("no acknowledgement in time")?
            .context("insert")?;
        ensure!(rows == 1, "{rows} rows were inserted");
        Ok(())
    }

    async fn read_back(&mut self, run: &str) -> Result<BTreeSet<u64>> {
        let deadline = now_ms() + u64::try_from(READ_BACK.as_millis()).unwrap_or(u64::MAX);
        loop {
            let read = async {
                let client = self.client().await?;
                let values: [&(dyn ToSql + Sync); 1] = [&run];
                let query = client.query("SELECT id FROM lab_rows WHERE run = $1", &values);
                let rows = timeout(10 * STATEMENT, query)
                    .await
                    .context("no rows in time")?
                    .context("select")?;
                anyhow::Ok(rows)
            };
            match read.await {
                Ok(rows) => {
                    let ids = rows.iter().map(|row| row.get::<_, i64>(0).cast_unsigned());
                    return Ok(ids.collect());
                }
                Err(error) if now_ms() > deadline => {
                    bail!("cannot read the rows back: {error:#}")
                }
                Err(error) => {
                    self.failed(&error);
                    sleep(RETRY).await;
                }
            }
        }
    }
}

fn compare(
    acknowledged: &[(u64, u64)],
    rows: &BTreeSet<u64>,
    stopped: u64,
    errors: Vec<(u64, String)>,
) -> WriterReport {
    let missing = acknowledged.iter().map(|(id, _)| *id);
    let missing: Vec<u64> = missing.filter(|id| !rows.contains(id)).collect();
    let times = acknowledged.iter().map(|(_, at)| *at);
    let ends = times.clone().skip(1).chain([stopped]);
    let gaps: Vec<(u64, u64)> = times
        .zip(ends)
        .map(|(from, to)| (from, to.saturating_sub(from)))
        .collect();
    let longest = gaps.iter().max_by_key(|(_, gap)| *gap).copied();
    let (gap_started_at, longest_gap_ms) = longest.unwrap_or_default();
    WriterReport {
        acked: acknowledged.len(),
        unacked_present: (rows.len() + missing.len()).saturating_sub(acknowledged.len()),
        missing,
        errors: errors.len(),
        longest_gap_ms,
        gap_started_at,
        gaps: gaps.into_iter().filter(|(_, gap)| *gap > GAP).collect(),
        shown_errors: errors.into_iter().take(SHOWN).collect(),
    }
}

/// A writer under way in a lab.
#[derive(Debug)]
pub struct Writer {
    process: LoadProcess,
    log: PathBuf,
}

impl Writer {
    /// Starts writing through both balancers' port 5432.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(lab: &Lab, balancers: &[&str], login: &Login) -> Result<Self> {
        let name = format!("writer-{}", now_ms());
        let log = lab.folder().join(format!("{name}.log"));
        let (hosts, path) = (balancers.join(","), log.to_string_lossy());
        let mut arguments = vec![
            "write",
            "--hosts",
            &hosts,
            "--user",
            &login.user,
            "--database",
            &login.database,
            "--log",
            &path,
        ];
        let authority = login
            .trust
            .as_ref()
            .map(|trust| trust.authority.to_string_lossy());
        if let (Some(authority), Some(trust)) = (&authority, &login.trust) {
            arguments.extend(["--authority", authority, "--server-name", &trust.name]);
        }
        let environment = [("PGPASSWORD", login.password.as_str())];
        Ok(Self {
            process: LoadProcess::start(lab, &name, &arguments, &environment)?,
            log,
        })
    }

    /// How many rows were acknowledged so far.
    #[must_use]
    pub fn acked(&self) -> usize {
        std::fs::read_to_string(&self.log).map_or(0, |text| text.lines().count())
    }

    /// Ends it, reads the rows back and says what came of it.
    ///
    /// # Errors
    /// It ended with an error, or the rows cannot be read.
    pub fn stop(self) -> Result<WriterReport> {
        self.process.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_rows_and_gaps_are_found() {
        let acknowledged = [(1, 1000), (2, 1020), (4, 4000), (5, 4020)];
        let rows = BTreeSet::from([1, 3, 4, 5]);
        let report = compare(&acknowledged, &rows, 5000, Vec::new());
        assert_eq!(report.acked, 4);
        assert_eq!(report.missing, [2]);
        assert_eq!(report.unacked_present, 1);
        assert_eq!((report.longest_gap_ms, report.gap_started_at), (2980, 1020));
        assert_eq!(report.gaps, [(1020, 2980), (4020, 980)]);
    }
}
