//! The command line. Data goes to stdout, everything else to stderr.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use brine_model::inventory::{Cell, TABLES, Table};
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::config::Config;
use crate::doctor::{self, Check};
use crate::host::{ThisMachine, Transaction};
use crate::metrics::flags::Flags;
use crate::metrics::{Node, Own};
use crate::{VERSION, facts, memory, state};

/// Makes this machine match what its Brine server says it must be.
#[derive(Debug, Parser)]
#[command(name = "brine-agent", version = VERSION)]
pub struct Cli {
    /// Where the agent keeps its key, its jobs and its blobs
    #[arg(long, env = "BRINE_AGENT_STATE", default_value = state::DIRECTORY, global = true)]
    state: PathBuf,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent, until SIGTERM (what the unit does; the default)
    Run,
    /// Check what keeps this agent from its server or its work, and say what to do
    Doctor {
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Print what this machine is and has, as JSON: what the server is told
    #[command(after_help = FACTS)]
    Facts {
        /// Tables of the inventory instead of the static facts; `all` for all of them
        #[arg(value_name = "TABLE", value_parser = table_names())]
        tables: Vec<String>,
    },
    /// Print this machine's metrics, as the agent's endpoint tells them
    #[command(after_help = METRICS)]
    Metrics {
        /// Take the flags from this file instead, as the agent takes them from /etc/brine/metrics.conf
        #[arg(long, value_name = "FILE")]
        flags_file: Option<PathBuf>,
        /// Only say whether the flags make sense
        #[arg(long)]
        check: bool,
        /// Only these collectors, of those that run
        #[arg(long, value_name = "COLLECTOR")]
        collect: Vec<String>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Print the version
    Version,
    /// What the transient unit runs: the package transaction in this directory
    #[command(name = crate::host::TRANSACTION_VERB, hide = true)]
    Transaction { directory: PathBuf },
}

const FACTS: &str = "\
Examples:
  brine-agent facts              # static facts, with those of /etc/brine/facts.d
  brine-agent facts packages     # a table of the inventory
  brine-agent facts all";

const METRICS: &str = "\
Names, labels and values are those of node_exporter; so are the flags. The agent serves them at /metrics where
/etc/brine/metrics.conf has a line --web.listen-address=HOST:PORT; it reads that file again when it changes.

Examples:
  brine-agent metrics                                        # one scrape of this machine
  brine-agent metrics --collect filesystem --collect netdev
  brine-agent metrics --path.procfs=/host/proc --path.sysfs=/host/sys --path.rootfs=/host
  brine-agent metrics --check --flags-file /etc/brine/metrics.conf";

const ALL: &str = "all";

/// How long `metrics` may take.
const SCRAPE: Duration = Duration::from_secs(30);

fn scrape(flags: Flags, only: &[String], config: &Config) -> anyhow::Result<String> {
    let own = Own {
        root: config.root.clone(),
        state: config.state.clone(),
        link: None,
    };
    let mut node = Node::new(flags, own)?;
    Ok(runtime()?.block_on(node.text(only, SCRAPE))?)
}

/// The flags in a file.
fn flags_of(file: &Path) -> anyhow::Result<Flags> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Flags::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))
}

fn table_names() -> PossibleValuesParser {
    let names = TABLES.iter().map(|table| table.name);
    PossibleValuesParser::new(names.chain([ALL]))
}

/// Tables by name, each row by its columns; one that cannot be collected says why.
fn inventory(wanted: &[String], config: &Config) -> Value {
    let machine = ThisMachine::new(&config.root, &config.state);
    let is_wanted = |name: &str| wanted.iter().any(|one| one == name || one == ALL);
    let tables = TABLES.iter().filter(|table| is_wanted(table.name));
    let told = tables.map(|table| {
        let rows = match table.section(&machine) {
            Ok(section) => section.rows.iter().map(|row| named(table, row)).collect(),
            Err(error) => json!({ "error": error }),
        };
        (table.name.to_owned(), rows)
    });
    Value::Object(told.collect())
}

fn named(table: &Table, row: &[Cell]) -> Value {
    let cells = table
        .columns
        .iter()
        .zip(row)
        .map(|(column, cell)| (column.name.to_owned(), cell.into()));
    Value::Object(cells.collect())
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// # Errors
/// What was asked cannot be done; the words are for people.
pub fn main(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = Config::system(cli.state);
    match cli.verb.unwrap_or(Verb::Run) {
        Verb::Run => {
            memory::prepare();
            let runtime = runtime()?;
            let result = runtime.block_on(async {
                let shutdown = terminated().context("cannot wait for signals")?;
                crate::run(config, shutdown)
                    .await
                    .context("the agent cannot run")
            });
            // The agent has ended in order; what still reads a name or a probe is not waited for.
            runtime.shutdown_background();
            result.map(|()| ExitCode::SUCCESS)
        }
        Verb::Doctor { output } => {
            let checks = runtime()?.block_on(doctor::examine(&config));
            print(&match output {
                Output::Text => lines(&checks),
                Output::Json => serde_json::to_string_pretty(&checks)? + "\n",
            })?;
            let healthy = checks.iter().all(|check| check.ok);
            Ok(if healthy {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Verb::Facts { tables } => {
            let told = if tables.is_empty() {
                serde_json::to_value(facts::collect(&config.root))?
            } else {
                inventory(&tables, &config)
            };
            print(&(serde_json::to_string_pretty(&told)? + "\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Metrics {
            flags_file,
            check,
            collect,
            flags,
        } => {
            let flags = match flags_file {
                Some(file) if flags.are_given => anyhow::bail!(
                    "flags are given here and in {}: give all of them in one place",
                    file.display()
                ),
                Some(file) => flags_of(&file)?,
                None => *flags,
            };
            if !check {
                print(&scrape(flags, &collect, &config)?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Version => {
            print(&format!("{VERSION}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Transaction { directory } => {
            Transaction::execute(&directory)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// One thread for the network; what blocks gets threads of its own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// SIGTERM from systemd, SIGINT from a terminal.
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn lines(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let sign = if check.ok { '✓' } else { '✗' };
        text.push_str(&format!("{sign} {}: {}\n", check.name, check.found));
        if let Some(help) = &check.help {
            text.push_str(&format!("  → {help}\n"));
        }
    }
    text
}

/// A reader that went away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the output")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["brine-agent"]).unwrap().verb.is_none());
        assert!(Cli::try_parse_from(["brine-agent", "doctor", "--output", "json"]).is_ok());
        assert!(Cli::try_parse_from(["brine-agent", "facts", "users", "groups"]).is_ok());
        assert!(Cli::try_parse_from(["brine-agent", "facts", "usres"]).is_err());
    }

    #[test]
    fn tables_are_printed_by_their_columns() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/group"), "web:x:33:\n").unwrap();
        let config = Config {
            root: root.path().to_owned(),
            state: root.path().join("state"),
        };
        let told = inventory(&["groups".to_owned(), "services".to_owned()], &config);
        assert_eq!(told["groups"][0]["name"], "web");
        assert_eq!(told["groups"][0]["id"], 33);
        assert!(told["services"]["error"].is_string(), "{told}");
    }

    #[test]
    fn each_check_is_a_line_with_what_to_do() {
        let check = |ok, help: Option<&str>| Check {
            name: "a".to_owned(),
            ok,
            found: "b".to_owned(),
            help: help.map(str::to_owned),
        };
        let text = lines(&[check(true, None), check(false, Some("c"))]);
        assert_eq!(text, "✓ a: b\n✗ a: b\n  → c\n");
    }
}
