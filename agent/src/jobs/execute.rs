//! Running an operator's program.

use brine_model::host::{Host, Program};
use brine_wire::job::JobResult;

use super::observer::Reporter;
use super::task::Refusal;

pub(super) fn run(
    program: &Program,
    host: &mut dyn Host,
    reporter: Reporter,
) -> Result<JobResult, Refusal> {
    let name = program.argv.first().map_or("", String::as_str);
    reporter.tell(0, 1, format!("running {name}"));
    let output = host.execute(program).map_err(Refusal::failed)?;
    Ok(JobResult::Executed {
        code: output.code,
        stdout: output.stdout,
        stderr: output.stderr,
    })
}
