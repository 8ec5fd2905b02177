//! What can be said to `brine-server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use brine_model::name::OperatorName;
use clap::{Parser, Subcommand};

use crate::config::{CTL_VARIABLE, DATA_VARIABLE, DEFAULT_CONFIG, DEFAULT_CTL, DEFAULT_DATA};

/// Holds the states of a fleet and makes its nodes match them.
#[derive(Debug, Parser)]
#[command(name = "brine-server", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Where keys, database and secrets are kept.
    #[arg(long, global = true, value_name = "DIR", env = DATA_VARIABLE, default_value = DEFAULT_DATA)]
    pub data: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  brine-server init --states /srv/brine/states --address 10.0.0.1:4640
  systemctl enable --now brine-server
  brine-server operator add oncall > oncall.json

Environment:
  BRINE_LOG   what to log: error, warn, info (default), debug; or by module, as in `brine_server=debug`";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a server: keys, database, configuration and the first operator.
    ///
    /// What is there already is kept: doing it twice is safe, and a certificate authority is never
    /// replaced. The first operator's connection settings are written where `ctl` on this machine
    /// looks for them.
    #[command(
        after_help = "Example:\n  brine-server init --states /srv/brine/states \
                            --address 10.0.0.1:4640 --address brine.example.org:4640"
    )]
    Init {
        /// The state tree [default: /srv/brine/states].
        #[arg(long, value_name = "DIR")]
        states: Option<PathBuf>,
        /// UDP address to listen on [default: port 4640 of all addresses].
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Option<SocketAddr>,
        /// Where nodes reach the server; may be given several times, they try one after the other
        /// [default: this machine's address].
        #[arg(long = "address", value_name = "HOST:PORT")]
        addresses: Vec<String>,
        /// TCP address for metrics and service discovery over HTTPS [default: none].
        #[arg(long, value_name = "ADDR:PORT")]
        http: Option<SocketAddr>,
        /// Where to write the first operator's connection settings.
        #[arg(long, value_name = "FILE", env = CTL_VARIABLE, default_value = DEFAULT_CTL, hide = true)]
        ctl_config: PathBuf,
    },
    /// Serve until SIGTERM.
    Run,
    /// What operators did, newest first: time, operator, from where, what, outcome.
    Audit {
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Who may use `ctl`.
    #[command(subcommand)]
    Operator(OperatorCommand),
}

#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Make an operator and print the connection settings for his `~/.config/brine/ctl.json`.
    ///
    /// They hold his private key, which is kept nowhere else.
    #[command(after_help = "Example:\n  brine-server operator add oncall > oncall.json")]
    Add { name: OperatorName },
    /// Take an operator's rights away, at once.
    Remove { name: OperatorName },
    /// List operators with the fingerprints of their keys.
    List,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
