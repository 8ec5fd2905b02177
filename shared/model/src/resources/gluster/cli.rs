//! `gluster`: one child for each question.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Host, HostError, HostResult, Program, ProgramOutput, ReadHost};
use crate::path::AbsolutePath;

/// glusterd gives up by itself after two minutes.
const LIMIT: Duration = Duration::from_secs(150);

/// Between two looks at what takes a while.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// A line of `gluster pool list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fellow {
    pub(super) uuid: String,
    /// As it was probed; `localhost` for the one that is asked.
    pub(super) host: String,
    pub(super) connected: bool,
}

impl Fellow {
    pub(super) fn is_self(&self) -> bool {
        self.host == "localhost"
    }
}

/// What `gluster volume info` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Volume {
    pub(super) started: bool,
    /// `host:/path`, in order.
    pub(super) bricks: Vec<String>,
    /// Those that were set.
    pub(super) options: BTreeMap<String, String>,
}

/// Who belongs to the pool of the glusterd here, or of the one at `from`; none where it does not answer.
pub(super) fn pool(host: &dyn ReadHost, from: Option<&str>) -> HostResult<Option<Vec<Fellow>>> {
    let output = host.observe(&program(from, &["pool", "list"]))?;
    if output.code != 0 {
        return Ok(None);
    }
    // The first line names the columns.
    let fellows = output.stdout.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(Fellow {
            uuid: words.next()?.to_owned(),
            host: words.next()?.to_owned(),
            connected: words.next()? == "Connected",
        })
    });
    Ok(Some(fellows.collect()))
}

/// The names of all volumes that the glusterd here, or the one at `from`, knows; none where it does not
/// answer.
pub(super) fn volumes(host: &dyn ReadHost, from: Option<&str>) -> HostResult<Option<Vec<String>>> {
    let output = host.observe(&program(from, &["volume", "list"]))?;
    // Without any it says so on standard error.
    let mut names: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
    names.sort();
    Ok((output.code == 0).then_some(names))
}

/// The volume of this name; none where the pool has no such.
pub(super) fn volume(host: &dyn ReadHost, name: &str) -> HostResult<Option<Volume>> {
    let output = host.observe(&program(None, &["volume", "info", name]))?;
    if output.code != 0 {
        if output.stderr.contains("does not exist") || output.stdout.contains("does not exist") {
            return Ok(None);
        }
        return Err(refused(&["volume", "info", name], &output));
    }
    let mut volume = Volume::default();
    let mut in_options = false;
    for line in output.stdout.lines() {
        let Some((key, value)) = line.split_once(": ") else {
            in_options |= line.starts_with("Options Reconfigured");
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        let numbered = key.strip_prefix("Brick");
        if in_options {
            volume.options.insert(key.to_owned(), value.to_owned());
        } else if key == "Status" {
            volume.started = value == "Started";
        } else if numbered.is_some_and(|number| number.parse::<u32>().is_ok()) {
            volume.bricks.push(value.to_owned());
        }
    }
    Ok(Some(volume))
}

/// Whether this machine's brick `host:/path` has a process.
///
/// Read from where glusterd has it run, not asked of it: `volume status` takes a lock of the whole pool,
/// and is refused while another member asks.
pub(super) fn is_online(host: &dyn ReadHost, volume: &str, brick: &str) -> HostResult<bool> {
    let (node, path) = brick.split_once(':').unwrap_or(("", brick));
    let path = path.trim_start_matches('/').replace('/', "-");
    let file = format!("/run/gluster/vols/{volume}/{node}-{path}.pid");
    let Some(pid) = text(host, &file)? else {
        return Ok(false);
    };
    let Ok(pid) = pid.trim().parse::<u32>() else {
        return Ok(false);
    };
    // The number may be another's by now.
    let name = text(host, &format!("/proc/{pid}/comm"))?;
    Ok(name.is_some_and(|name| name.trim() == "glusterfsd"))
}

fn text(host: &dyn ReadHost, path: &str) -> HostResult<Option<String>> {
    let path = AbsolutePath::try_from(path.to_owned())
        .map_err(|error| HostError::failed(format!("read {path}"), error))?;
    let bytes = host.read(&path)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// How many entries are yet to be healed, over all bricks; none where nobody can tell.
pub(super) fn backlog(host: &dyn ReadHost, volume: &str) -> HostResult<Option<i64>> {
    let output = host.observe(&program(
        None,
        &["volume", "heal", volume, "info", "summary"],
    ))?;
    if output.code != 0 {
        return Ok(None);
    }
    let mut sum = Some(0);
    for line in output.stdout.lines() {
        if let Some(number) = line.strip_prefix("Total Number of entries:") {
            // `-` of a brick that does not answer.
            let number = number.trim().parse::<i64>().ok();
            sum = sum.zip(number).map(|(sum, number)| sum + number);
        }
    }
    Ok(sum)
}

/// Has the glusterd here do something.
pub(super) fn change(host: &mut dyn Host, words: &[&str]) -> HostResult<()> {
    let output = host.execute(&program(None, words))?;
    match output.code {
        0 => Ok(()),
        _ => Err(refused(words, &output)),
    }
}

fn refused(words: &[&str], output: &ProgramOutput) -> HostError {
    let said = [output.stderr.trim(), output.stdout.trim()];
    HostError::Program {
        operation: format!("run gluster {}", words.join(" ")),
        status: format!("exit code {}", output.code),
        output: said.join("\n").trim().to_owned(),
    }
}

fn program(from: Option<&str>, words: &[&str]) -> Program {
    let mut argv = vec!["gluster".to_owned(), "--mode=script".to_owned()];
    argv.extend(from.map(|host| format!("--remote-host={host}")));
    argv.extend(words.iter().map(|&word| word.to_owned()));
    Program {
        argv,
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: LIMIT,
    }
}
