//! `brine-server`: see [`brine_server::commands`].

use std::process::ExitCode;

fn main() -> ExitCode {
    match brine_server::commands::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
