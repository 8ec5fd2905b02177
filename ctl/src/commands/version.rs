//! `ctl version`: which ctl this is.

use clap::Args;
use serde_json::json;

use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  ctl version

The server's version stands in `ctl status`, an agent's in `ctl nodes list`.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct VersionArgs {}

/// # Errors
/// Standard output is full or gone.
pub fn run(_: &VersionArgs, output: &Output) -> Result<Exit, CtlError> {
    let version = env!("CARGO_PKG_VERSION");
    let protocol = String::from_utf8_lossy(brine_wire::alpn::CTL);
    output.show(
        |_| format!("ctl {version} ({protocol})\n"),
        || json!({ "version": version, "protocol": protocol }),
    )?;
    Ok(Exit::Ok)
}
