//! The command line of `brine-server`.

mod arguments;

use std::io::Write;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, DataPaths, Limits, Settings};
use crate::init::{self, InitOptions};
pub use arguments::{Arguments, Command, OperatorCommand};

/// Parses the command line and does what it says.
///
/// # Errors
/// For people: what, where and why.
pub fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the runtime")?
        .block_on(execute(arguments))
}

async fn execute(arguments: Arguments) -> anyhow::Result<()> {
    let data = DataPaths::new(arguments.data);
    match arguments.command {
        Command::Init {
            states,
            listen,
            addresses,
            http,
            ctl_config,
        } => {
            let config = arguments.config;
            let options = InitOptions {
                config,
                ctl: ctl_config,
                states,
                listen,
                addresses,
                http,
            };
            let done = init::init(&data, &options).await?;
            say(&initialized(&data, &options, &done))
        }
        Command::Run => {
            log();
            let settings = Settings::load(&arguments.config)?;
            let config = Config {
                limits: Limits::from(settings.timeouts),
                settings,
                data,
            };
            let mut terminate =
                signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
            let shutdown = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            };
            Ok(crate::run(config, shutdown).await?)
        }
        Command::Audit { limit } => say(&init::audit(&data, limit).await?),
        Command::Operator(OperatorCommand::Add { name }) => {
            let settings = Settings::load(&arguments.config)?;
            let connection = init::add_operator(&data, &settings, name).await?;
            say(&connection.to_json()?)
        }
        Command::Operator(OperatorCommand::Remove { name }) => {
            Ok(init::remove_operator(&data, name).await?)
        }
        Command::Operator(OperatorCommand::List) => {
            let known = init::operators(&data).await?;
            let lines = known
                .iter()
                .map(|(name, fingerprint)| format!("{name}\t{fingerprint}\n"));
            say(&lines.collect::<String>())
        }
    }
}

fn initialized(data: &DataPaths, options: &InitOptions, done: &init::Initialized) -> String {
    let made = |new: bool| if new { "made" } else { "kept" };
    format!(
        "authority and keys  {}  ({})\noperator {}      {}  ({})\nconfiguration       {}\n\
         states              {}\njoin tokens name    {}\n\nNext: systemctl enable --now brine-server\n",
        data.root().display(),
        made(done.new_authority),
        init::FIRST_OPERATOR,
        options.ctl.display(),
        made(done.new_operator),
        options.config.display(),
        done.settings.states.display(),
        done.settings.addresses.join(", "),
    )
}

/// Data goes to stdout, everything else to stderr.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write the output")
}

fn log() {
    let filter = std::env::var("BRINE_LOG")
        .ok()
        .and_then(|filter| filter.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // The journal has its own clock.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(std::io::stderr);
    if journal {
        let log = builder.with_ansi(false).without_time().finish();
        log.with(filter).init();
    } else {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        builder.with_ansi(terminal).finish().with(filter).init();
    }
}
