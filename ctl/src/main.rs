//! `ctl`: the command line of Brine.

use std::process::ExitCode;

fn main() -> ExitCode {
    brine_ctl::run(std::env::args_os())
}
