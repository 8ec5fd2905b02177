//! `brine-agent`: see the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use brine_agent::cli::{self, Cli};
use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    match cli::main(cli) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The journal has timestamps of its own.
fn log_to_stderr() {
    let filter = std::env::var("BRINE_LOG")
        .ok()
        .and_then(|filter| filter.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(LevelFilter::TRACE);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().finish().with(filter).init();
    } else {
        log.finish().with(filter).init();
    }
}
