//! The command line as a whole: verbs by what they are for, and what all of them share.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory, Parser, Subcommand};

use crate::commands::act::DoArgs;
use crate::commands::apply::ApplyArgs;
use crate::commands::audit::AuditArgs;
use crate::commands::check::CheckArgs;
use crate::commands::drift::DriftArgs;
use crate::commands::facts::FactsArgs;
use crate::commands::nodes::NodesArgs;
use crate::commands::plan::PlanArgs;
use crate::commands::query::QueryArgs;
use crate::commands::render::RenderArgs;
use crate::commands::runs::RunsArgs;
use crate::commands::schema::SchemaArgs;
use crate::commands::status::StatusArgs;
use crate::commands::tokens::TokensArgs;
use crate::commands::version::VersionArgs;
use crate::env;
use crate::exit::Exit;
use crate::output::{Color, Format};
use crate::parse;

/// Plans and applies what machines must be.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "ctl",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Verb,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// text, or json: one document, or one line per event
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub output: Format,
    /// The connection settings [default: /etc/brine/ctl.json, ~/.config/brine/ctl.json]
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG, hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Another server than the settings name
    #[arg(long, global = true, value_name = "HOST:PORT", value_parser = parse::server)]
    pub server: Option<String>,
    /// auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: Color,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Check a state tree, without a server
    Check(CheckArgs),
    /// Print JSON Schemas of state files, for an editor
    Schema(SchemaArgs),
    /// Show what a file would hold on a node
    Render(RenderArgs),
    /// Show what would change, with diffs
    Plan(PlanArgs),
    /// Plan, ask, then change
    Apply(ApplyArgs),
    /// Restart, reboot, or run a program, one node after the other
    Do(DoArgs),
    /// List, show, watch, approve and cancel runs
    Runs(RunsArgs),
    /// Show how the fleet is
    Status(StatusArgs),
    /// List, show, add, accept, set, pause, replace and remove nodes
    Nodes(NodesArgs),
    /// Show what others have changed since the last apply
    Drift(DriftArgs),
    /// Show what nodes are, and what has become different
    Facts(FactsArgs),
    /// Ask in SQL: packages, services, ports, users, …
    Query(QueryArgs),
    /// Ask what comes up again and again, by name
    Audit(AuditArgs),
    /// Make, list and revoke join tokens
    Tokens(TokensArgs),
    /// Show which ctl this is
    Version(VersionArgs),
}

/// The verbs by what they are for; clap knows no groups of them. A test finds who is missing.
const GROUPS: &[(&str, &[&str])] = &[
    ("State tree", &["check", "schema", "render"]),
    ("Change", &["plan", "apply", "do", "runs"]),
    (
        "Fleet",
        &[
            "status", "nodes", "drift", "facts", "query", "audit", "tokens",
        ],
    ),
    ("Other", &["version"]),
];

const EXAMPLES: &str = "\
Examples:
  ctl check                  # is ./states right?
  ctl plan role=balancer     # what would change
  ctl apply role=balancer    # plan, ask, change
  ctl do node=db02 reboot    # restart, reboot, run a program
  ctl status                 # who is silent, who is behind

Targets: `all`, `role=db`, `node=db03`, `env=prod`, or an expression in quotes:
  'role=db and not node=db03', 'os.version<12', 'package.libssl3<3.0.17'";

/// What clap parses with, and what its help shows.
#[must_use]
pub fn command() -> Command {
    let command = Cli::command();
    let verbs = verbs(&command);
    command.after_help(format!("{EXAMPLES}\n\n{}", Exit::help())).help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{verbs}Global options:\n{{options}}{{after-help}}"
    ))
}

fn verbs(command: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(text, "{heading}:");
        for verb in names
            .iter()
            .filter_map(|name| command.find_subcommand(name))
        {
            let about = verb
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(text, "  {:<9}{about}", verb.get_name());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_a_group() {
        let command = Cli::command();
        let verbs: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        let grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        assert_eq!(verbs, grouped);
        Cli::command().debug_assert();
    }

    #[test]
    fn help() {
        let mut text = String::new();
        dump("ctl", command().term_width(100), &mut text);
        insta::assert_snapshot!(text);
    }

    fn dump(path: &str, mut command: Command, text: &mut String) {
        let help = command.render_help().to_string();
        // Short enough for a screen, and never without an example.
        assert!(help.contains("Examples:\n  ctl "), "{path}: {help}");
        let _ = writeln!(text, "──── {path} --help\n{}\n", help.trim_end());
        command.build();
        for verb in command
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help")
        {
            dump(
                &format!("{path} {}", verb.get_name()),
                verb.clone().term_width(100),
                text,
            );
        }
    }
}
