//! `lab-load`: what scenarios run in the operator's seat. See [`lab::load`].

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use lab::load::Trust;
use lab::load::prober::{self, ProberOptions};
use lab::load::receiver::{self, ReceiverOptions};
use lab::load::writer::{self, Login, WriterOptions};

/// Load through the balancers; ends when the stop file exists and then prints a JSON report.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
struct Common {
    /// The balancers.
    #[arg(long, value_delimiter = ',', default_value = "balancer01,balancer02")]
    hosts: Vec<String>,
    /// It ends when this file exists.
    #[arg(long)]
    stop: PathBuf,
}

#[derive(Subcommand)]
enum Verb {
    /// Writes rows; the password is in PGPASSWORD.
    Write {
        #[command(flatten)]
        common: Common,
        #[arg(long, default_value_t = 5432)]
        port: u16,
        #[arg(long)]
        user: String,
        #[arg(long)]
        database: String,
        /// The authority of the server's certificate; without it, no TLS.
        #[arg(long, requires = "server_name")]
        authority: Option<PathBuf>,
        /// A name in the server's certificate.
        #[arg(long, requires = "authority")]
        server_name: Option<String>,
        /// Milliseconds between two rows.
        #[arg(long, default_value_t = 10)]
        pace_ms: u64,
        /// One line per acknowledged row.
        #[arg(long)]
        log: PathBuf,
    },
    /// Takes messages over HTTP.
    Receive {
        /// It ends when this file exists.
        #[arg(long)]
        stop: PathBuf,
        #[arg(long)]
        port: u16,
        /// What each is answered with.
        #[arg(long)]
        answer: String,
        /// One line of JSON for each.
        #[arg(long)]
        log: PathBuf,
    },
    /// Makes HTTP requests.
    Probe {
        #[command(flatten)]
        common: Common,
        #[arg(long, default_value = "/")]
        path: String,
        /// Milliseconds between two requests to one balancer.
        #[arg(long, default_value_t = 100)]
        pace_ms: u64,
        /// Milliseconds that a client waits.
        #[arg(long, default_value_t = 3000)]
        patience_ms: u64,
    },
}

#[expect(clippy::print_stderr, reason = "the error of a command-line program")]
fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report of a command-line program")]
fn run(verb: Verb) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = match verb {
        Verb::Write {
            common,
            port,
            user,
            database,
            authority,
            server_name,
            pace_ms,
            log,
        } => {
            let login = Login {
                user,
                password: std::env::var("PGPASSWORD").context("PGPASSWORD is not set")?,
                database,
                trust: authority
                    .zip(server_name)
                    .map(|(authority, name)| Trust { authority, name }),
            };
            let options = WriterOptions {
                balancers: common.hosts,
                port,
                login,
                pace: Duration::from_millis(pace_ms),
                log,
                stop: common.stop,
            };
            serde_json::to_string(&runtime.block_on(writer::write(&options))?)
        }
        Verb::Receive {
            stop,
            port,
            answer,
            log,
        } => {
            let options = ReceiverOptions {
                port,
                log,
                answer,
                stop,
            };
            serde_json::to_string(&runtime.block_on(receiver::receive(&options))?)
        }
        Verb::Probe {
            common,
            path,
            pace_ms,
            patience_ms,
        } => {
            let options = ProberOptions {
                balancers: common.hosts,
                path,
                pace: Duration::from_millis(pace_ms),
                patience: Duration::from_millis(patience_ms),
                stop: common.stop,
            };
            serde_json::to_string(&runtime.block_on(prober::probe(&options)))
        }
    };
    println!("{}", report.context("cannot write the report")?);
    Ok(())
}
