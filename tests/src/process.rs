//! Child processes with captured output and a time limit.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a finished command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; 128 + signal where one ended it, 124 where the time limit did.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}(exit code {})", self.stdout, self.stderr, self.code)
    }
}

/// A command under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// What has come out of a pipe so far, and the thread that reads on.
#[derive(Debug)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// For what a finished command wrote to be read. Longer, and a process that it left in the
/// background holds the pipe; that must not hold the test.
const DRAIN: Duration = Duration::from_secs(1);

/// Starts a command with nothing on its standard input.
///
/// # Errors
/// The program cannot be started.
pub fn start(command: &mut Command) -> Result<Running> {
    start_with(command, &[])
}

/// Starts a command with `input` on its standard input.
///
/// # Errors
/// The program cannot be started.
pub fn start_with(command: &mut Command, input: &[u8]) -> Result<Running> {
    let mut child = command
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        // A command that does not read it all says why in its exit code.
        std::thread::spawn(move || drop(pipe.write_all(&input)));
    }
    Ok(Running {
        child,
        stdout,
        stderr,
    })
}

/// Runs a command to its end or to the time limit.
///
/// # Errors
/// The program cannot be started.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    Ok(start(command)?.wait(limit))
}

/// Runs a command that must succeed; gives its standard output.
///
/// # Errors
/// It cannot be started, takes longer than `limit`, or fails: the message has its output.
pub fn succeed(command: &mut Command, limit: Duration) -> Result<String> {
    let output = run(command, limit)?;
    if output.code != 0 {
        bail!("{command:?} failed:\n{output}");
    }
    Ok(output.stdout)
}

impl Running {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, ten minutes at most.
    #[must_use]
    pub fn wait_with_output(self) -> Output {
        self.wait(Duration::from_secs(600))
    }

    /// Waits for the end; at the limit kills the command with all that it started, which gives
    /// code 124 and what was written until then.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Output {
        let deadline = Instant::now() + limit;
        let code = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    use std::os::unix::process::ExitStatusExt;
                    break status
                        .code()
                        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                }
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(None) | Err(_) => {
                    kill_tree(self.child.id());
                    let _ = self.child.wait();
                    break 124;
                }
            }
        };
        let drained = Instant::now() + DRAIN;
        Output {
            code,
            stdout: self.stdout.text(drained),
            stderr: self.stderr.text(drained),
        }
    }
}

impl Captured {
    fn text(&self, deadline: Instant) -> String {
        while !self.reader.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Captured {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&bytes);
    let reader = std::thread::spawn(move || {
        let mut chunk = [0; 8192];
        let Some(mut pipe) = pipe else { return };
        while let Ok(read @ 1..) = pipe.read(&mut chunk) {
            shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&chunk[..read]);
        }
    });
    Captured { bytes, reader }
}

/// The direct children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    for task in tasks {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    found
}

/// Kills a process and all below it. A process that `nsenter` put into a host is in no group of
/// ours, and would outlive it.
fn kill_tree(pid: u32) {
    let below = children(pid);
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    below.into_iter().for_each(kill_tree);
}
