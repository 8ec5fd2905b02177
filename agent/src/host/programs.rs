//! Child processes: argv, own process group, clean environment, a timeout, bounded output.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use brine_model::host::{HostError, HostResult, Program, ProgramOutput};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::accounts::Accounts;
use super::tail::Tail;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of each of stdout and stderr is kept: the end, where the reason is.
const KEPT: usize = 64 << 10;

/// Between asking to end and ending.
const GRACE: Duration = Duration::from_secs(5);

/// How often a child that says nothing is looked after.
const TICK: Duration = Duration::from_millis(50);

/// Runs to the end. A program that cannot be started or takes too long is an error; one that says
/// no is not.
pub(super) fn run(program: &Program, accounts: &Accounts) -> HostResult<ProgramOutput> {
    let operation = || format!("run {}", name(program));
    let argv = argv(program, accounts)?;
    let Some((first, rest)) = argv.split_first() else {
        return Err(HostError::failed("run a program", "it has no name"));
    };
    let mut command = Command::new(first);
    command
        .args(rest)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .envs(identity(program, accounts)?)
        .envs(&program.environment)
        .current_dir(
            program
                .directory
                .as_ref()
                .map_or("/", |directory| directory.as_str()),
        )
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command
        .spawn()
        .map_err(|error| HostError::failed(operation(), error))?;
    Running::new(child)
        .wait(program.timeout)
        .map_err(|error| match error {
            Ended::Io(error) => HostError::failed(operation(), error),
            Ended::TooSlow(output) => HostError::Program {
                operation: operation(),
                status: format!("not done within {} s", program.timeout.as_secs()),
                output,
            },
        })
}

/// What a program without arguments says, the last 64 KiB of it.
///
/// # Errors
/// It cannot be run, takes too long, or fails; in words for people.
pub(crate) fn run_once(root: &Path, path: &Path, timeout: Duration) -> Result<String, String> {
    let program = program(&[&path.to_string_lossy()], timeout);
    let output = run(&program, &Accounts::new(root)).map_err(|error| error.to_string())?;
    match output.code {
        0 => Ok(output.stdout),
        code => Err(format!("exit code {code}: {}", words(&output))),
    }
}

/// For messages: the program without its arguments, which may be long.
pub(super) fn name(program: &Program) -> &str {
    program.argv.first().map_or("", String::as_str)
}

/// What a program said: stderr, or stdout where it said nothing there.
pub(super) fn words(output: &ProgramOutput) -> String {
    let said = if output.stderr.trim().is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    said.trim().to_owned()
}

/// A program of the system with these arguments.
pub(super) fn program(argv: &[&str], timeout: Duration) -> Program {
    Program {
        argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
        environment: std::collections::BTreeMap::new(),
        directory: None,
        user: None,
        timeout,
    }
}

/// Runs, and takes anything but 0 for an error in the program's own words.
pub(super) fn demand(program: &Program, accounts: &Accounts) -> HostResult<ProgramOutput> {
    let output = run(program, accounts)?;
    if output.code == 0 {
        return Ok(output);
    }
    Err(HostError::Program {
        operation: format!("run {}", name(program)),
        status: format!("exit code {}", output.code),
        output: words(&output),
    })
}

/// `setpriv` gives the user all his groups, which the standard library cannot.
fn argv(program: &Program, accounts: &Accounts) -> HostResult<Vec<String>> {
    let mut argv = Vec::new();
    if let Some(user) = &program.user {
        let missing = || HostError::failed(format!("run as `{user}`"), "there is no such user");
        let found = accounts.find_user(user)?.ok_or_else(missing)?;
        argv.push("setpriv".to_owned());
        argv.push(format!("--reuid={}", found.uid));
        argv.push(format!("--regid={}", found.gid));
        argv.push("--init-groups".to_owned());
        argv.push("--".to_owned());
    }
    argv.extend(program.argv.iter().cloned());
    Ok(argv)
}

fn identity(program: &Program, accounts: &Accounts) -> HostResult<Vec<(&'static str, String)>> {
    let user = program.user.as_deref().unwrap_or("root");
    let home = accounts
        .find_user(user)?
        .map_or_else(|| "/".to_owned(), |user| user.home);
    Ok(vec![
        ("HOME", home),
        ("USER", user.to_owned()),
        ("LOGNAME", user.to_owned()),
    ])
}

enum Ended {
    Io(std::io::Error),
    TooSlow(String),
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

struct Running {
    child: Child,
    stdout: Tail,
    stderr: Tail,
}

impl Running {
    fn new(child: Child) -> Self {
        Self {
            child,
            stdout: Tail::new(KEPT),
            stderr: Tail::new(KEPT),
        }
    }

    fn wait(mut self, timeout: Duration) -> Result<ProgramOutput, Ended> {
        let result = self.attend(timeout);
        if !matches!(result, Ok(Some(_))) {
            self.kill();
        }
        match result? {
            Some(status) => Ok(ProgramOutput {
                code: code(status),
                stdout: self.stdout.into_text(),
                stderr: self.stderr.into_text(),
            }),
            None if self.stderr.is_empty() => Err(Ended::TooSlow(self.stdout.into_text())),
            None => Err(Ended::TooSlow(self.stderr.into_text())),
        }
    }

    /// Reads until the child has ended; none when time is up. What it leaves running in the
    /// background may keep the pipes open: that is not waited for.
    fn attend(&mut self, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
        let mut stdout = self.child.stdout.take();
        let mut stderr = self.child.stderr.take();
        if let Some(pipe) = &stdout {
            set_nonblocking(pipe)?;
        }
        if let Some(pipe) = &stderr {
            set_nonblocking(pipe)?;
        }
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let ended = self.child.try_wait()?;
            drain(&mut stdout, &mut self.stdout)?;
            drain(&mut stderr, &mut self.stderr)?;
            if ended.is_some() {
                return Ok(ended);
            }
            if start.elapsed() >= timeout {
                return Ok(None);
            }
            // The pipes' end is nearly always the child's, too: it is seen at once.
            wait_for_output(
                &[
                    stdout.as_ref().map(AsFd::as_fd),
                    stderr.as_ref().map(AsFd::as_fd),
                ],
                pause,
            );
            pause = (pause * 2).min(TICK);
        }
    }

    /// Ends the whole process group, first politely.
    fn kill(&mut self) {
        let Ok(group) = i32::try_from(self.child.id()) else {
            return;
        };
        let group = Pid::from_raw(group);
        let _ = killpg(group, Signal::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(TICK);
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn set_nonblocking(pipe: &impl AsFd) -> std::io::Result<()> {
    let flags = fcntl(pipe.as_fd(), FcntlArg::F_GETFL)?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Reads what is there; at the end of the pipe, closes it.
fn drain<P: Read>(pipe: &mut Option<P>, tail: &mut Tail) -> std::io::Result<()> {
    let mut chunk = [0; 8 << 10];
    while let Some(open) = pipe {
        match open.read(&mut chunk) {
            Ok(0) => *pipe = None,
            Ok(length) => tail.push(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_output(pipes: &[Option<std::os::fd::BorrowedFd<'_>>], limit: Duration) {
    let mut polled: Vec<PollFd<'_>> = pipes
        .iter()
        .flatten()
        .map(|pipe| PollFd::new(*pipe, PollFlags::POLLIN))
        .collect();
    if polled.is_empty() {
        std::thread::sleep(limit);
        return;
    }
    let limit = u16::try_from(limit.as_millis()).unwrap_or(u16::MAX);
    // An interruption or a hang-up is as good as output: the caller looks at everything anyway.
    let _ = poll(&mut polled, PollTimeout::from(limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(argv: &[&str], timeout: Duration) -> HostResult<ProgramOutput> {
        run(&program(argv, timeout), &Accounts::new(Path::new("/")))
    }

    #[test]
    fn output_and_exit_code() {
        let output = check(&["sh", "-c", "echo out; echo err >&2; exit 3"], GRACE).unwrap();
        assert_eq!(
            (output.code, &*output.stdout, &*output.stderr),
            (3, "out\n", "err\n")
        );
    }

    #[test]
    fn the_environment_is_clean() {
        let output = check(&["env"], GRACE).unwrap();
        let mut names: Vec<&str> = output
            .stdout
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "USER"]);
    }

    #[test]
    fn too_slow_is_killed_with_its_children() {
        let start = Instant::now();
        let error = check(
            &["sh", "-c", "echo begun; sleep 60 & wait"],
            Duration::from_millis(300),
        );
        let Err(HostError::Program { status, output, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (status.as_str(), output.trim()),
            ("not done within 0 s", "begun")
        );
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_stays_in_the_background_is_not_waited_for() {
        let start = Instant::now();
        let output = check(&["sh", "-c", "sleep 3 & echo done"], GRACE).unwrap();
        assert_eq!(output.stdout, "done\n");
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn long_output_is_cut_at_the_front() {
        let output = check(&["sh", "-c", "seq 1 100000"], GRACE).unwrap();
        assert!(output.stdout.len() <= KEPT + 64);
        assert!(output.stdout.ends_with("100000\n"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = check(&["/no/such/program"], GRACE).unwrap_err();
        assert!(
            error.to_string().contains("run /no/such/program"),
            "{error}"
        );
    }
}
