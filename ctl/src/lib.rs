//! The command line: asks the server, and draws what it answers.
//!
//! - `commands/` holds one file per verb: what is asked, and what the exit code will be.
//! - `show/` turns wire types into text for people, `json/` into documents for programs. Both are
//!   pure functions, so that every screen is a snapshot test without a server.
//! - `output` alone writes to a terminal, `client` alone speaks with the server.
//!
//! There is deliberately no logic about machines here: what a plan means was decided on the node,
//! who goes first on the server.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;

pub mod action;
pub mod audits;
pub mod cli;
pub mod client;
pub mod commands;
pub mod csv;
pub mod env;
pub mod error;
pub mod escape;
pub mod exit;
pub mod files;
pub mod json;
pub mod output;
pub mod parse;
pub mod saved;
pub mod settings;
pub mod show;
#[cfg(test)]
mod testing;
pub mod tree;

/// The whole program: parses, runs one verb, and turns what came of it into an exit code.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = cli::command()
        .try_get_matches_from(arguments)
        .and_then(|matches| cli::Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let output = output::Output::new(cli.global.output, cli.global.color);
    let exit = match commands::run(cli, &output) {
        Ok(exit) => exit,
        Err(error) => {
            output.error(&error);
            error.exit()
        }
    };
    exit.into()
}
