//! `ctl check`: is this state tree right? Asks no server.

use std::path::{Path, PathBuf};

use brine_model::diagnostic::Diagnostic;
use clap::Args;
use serde_json::json;

use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::Output;
use crate::{json, show, tree};

const EXAMPLES: &str = "\
Examples:
  ctl check                  # ./states, or this folder
  ctl check path/to/states
  ctl check --output json    # for an editor or CI

Finds every error at once: unknown keys, wrong types, dangling references, templates that name
what no node can have. Needs no server and no node.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// The state tree [default: ./states, or this folder]
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// # Errors
/// The tree cannot be read.
pub fn run(args: CheckArgs, output: &Output) -> Result<Exit, CtlError> {
    let folder = tree::folder(args.folder, Path::new("."));
    let tree = tree::load(&folder)?;
    let found = brine_lang::check(&tree);
    report(&found, tree.files.len(), &folder, output)
}

/// Shows what was found.
///
/// # Errors
/// Standard output is full or gone.
pub fn report(
    found: &[Diagnostic],
    files: usize,
    folder: &Path,
    output: &Output,
) -> Result<Exit, CtlError> {
    let errors = show::diagnostics::has_errors(found);
    output.show(
        |style| show::diagnostics::list(found, style),
        || json!({ "ok": !errors, "files": files, "diagnostics": json::diagnostics(found) }),
    )?;
    output.note(|style| show::diagnostics::verdict(found, files, &folder.to_string_lossy(), style));
    Ok(if errors { Exit::Failed } else { Exit::Ok })
}
