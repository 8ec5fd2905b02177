//! Child processes with captured output and a time limit.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

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
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// Starts a command with nothing on its standard input.
///
/// # Errors
/// The program cannot be started.
pub fn start(command: &mut Command) -> Result<Running> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
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

    /// Waits for the end; kills the process at the limit.
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
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    break 124;
                }
            }
        };
        // A background process that holds the pipe must not hold the test: only what the killed
        // command itself wrote counts then.
        let text = |handle: Option<JoinHandle<Vec<u8>>>| match handle {
            Some(handle) if code != 124 || handle.is_finished() => {
                String::from_utf8_lossy(&handle.join().unwrap_or_default()).into_owned()
            }
            _ => String::new(),
        };
        Output {
            code,
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
