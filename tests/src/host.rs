//! One host of a lab: what a scenario can do to it and in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::image::Images;
use crate::nodes;
use crate::process::{self, Output, Running, children};
use crate::wait::wait_until;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A host, on or off.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    /// Its disk (`upper`), its console, its join credential.
    folder: PathBuf,
    supervisor: u32,
    cgroup: String,
}

impl Host {
    pub(crate) fn new(name: &str, folder: PathBuf, supervisor: u32, cgroup: String) -> Self {
        Self {
            name: name.to_owned(),
            folder,
            supervisor,
            cgroup,
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes what a cloud would give the machine: a name, a network, the token.
    pub(crate) fn prepare(&self, images: &Images, layer: &Path, join: Option<&str>) -> Result<()> {
        let etc = self.folder.join("upper/etc");
        let network = etc.join("systemd/network");
        fs::create_dir_all(&network)
            .with_context(|| format!("cannot create {}", network.display()))?;
        let write = |path: &str, text: &str| {
            fs::write(etc.join(path), text)
                .with_context(|| format!("cannot write /etc/{path} of {}", self.name))
        };
        write("hostname", &format!("{}\n", self.name))?;
        write("hosts", &nodes::hosts_file())?;
        write(
            "systemd/network/10-host0.network",
            &format!(
                "[Match]\nName=host0\n[Network]\nAddress={}/24\nLinkLocalAddressing=no\n",
                nodes::find(&self.name)?.address
            ),
        )?;
        if let Some(join) = join {
            let file = self.folder.join("join");
            fs::write(&file, join).context("cannot write the join credential")?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
                .context("cannot set a mode")?;
        }
        let lower = format!("{}:{}", layer.display(), images.base.display());
        fs::write(self.folder.join("lower"), lower).context("cannot write the lab's state")?;
        fs::write(
            self.folder.join("repository"),
            images.repository.display().to_string(),
        )
        .context("cannot write the lab's state")
    }

    /// Boots it from its disk and waits until systemd says `running`.
    ///
    /// # Errors
    /// It does not come up in a minute: the message has its console's end.
    pub fn power_on(&self) -> Result<()> {
        let read = |name: &str| {
            fs::read_to_string(self.folder.join(name))
                .with_context(|| format!("{} was never booted", self.name))
        };
        let console =
            fs::File::create(self.folder.join("console")).context("cannot write the console")?;
        let child = Command::new("setsid")
            .args([
                "nsenter",
                "-t",
                &self.supervisor.to_string(),
                "-m",
                "-n",
                "-p",
                "--",
            ])
            .args(["sh", "-c", include_str!("boot.sh"), "boot", &self.name])
            .arg(&self.folder)
            .args([&self.cgroup, &read("lower")?, &read("repository")?])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(console))
            .spawn()
            .with_context(|| format!("cannot boot {}", self.name))?;
        fs::write(self.folder.join("boot-pid"), child.id().to_string())
            .context("cannot write the lab's state")?;
        self.wait_running()
    }

    /// Waits until systemd has finished booting with everything up.
    ///
    /// # Errors
    /// Not within a minute: the message has its console's end.
    pub fn wait_running(&self) -> Result<()> {
        wait_until(
            &format!("{} to run", self.name),
            Duration::from_secs(90),
            || Ok(self.run("systemctl is-system-running").stdout.trim() == "running"),
        )
        .with_context(|| {
            let text = fs::read_to_string(self.folder.join("console")).unwrap_or_default();
            let failed = self.run("systemctl --failed --no-legend --plain");
            let tail: Vec<&str> = text.lines().rev().take(20).collect();
            format!(
                "{}\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
                failed.stdout
            )
        })
    }

    /// The host's pid 1, as a pid of the machine; none while it is off.
    #[must_use]
    pub fn leader(&self) -> Option<u32> {
        let text = fs::read_to_string(self.folder.join("boot-pid")).ok()?;
        let mut queue = vec![text.trim().parse::<u32>().ok()?];
        while let Some(pid) = queue.pop() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let pids: Vec<&str> = status
                .lines()
                .find_map(|line| line.strip_prefix("NSpid:"))
                .map(|line| line.split_whitespace().collect())
                .unwrap_or_default();
            let systemd = status.starts_with("Name:\tsystemd\n");
            // pid 1 of a namespace below the lab's own.
            if systemd && pids.len() >= 3 && pids.last() == Some(&"1") {
                return Some(pid);
            }
            queue.extend(children(pid));
        }
        None
    }

    /// Whether it was booted before, and not wiped since.
    #[must_use]
    pub fn has_disk(&self) -> bool {
        self.folder.exists()
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.leader().is_some()
    }

    /// A command inside the host: as root, with a clean environment.
    ///
    /// # Errors
    /// The host is off.
    pub fn command(&self, program: &str) -> Result<Command> {
        let leader = self
            .leader()
            .with_context(|| format!("{} is off", self.name))?;
        let mut command = Command::new("nsenter");
        command
            .args([
                "-t",
                &leader.to_string(),
                "-m",
                "-u",
                "-i",
                "-n",
                "-p",
                "-C",
                "-r",
                "-w",
                "--",
            ])
            .args([
                "env",
                "-i",
                PATH,
                "HOME=/root",
                "LANG=C.UTF-8",
                "TERM=dumb",
                program,
            ]);
        Ok(command)
    }

    /// Runs a shell command to its end; two minutes at most. A host that is off gives code 127.
    #[must_use]
    pub fn run(&self, script: &str) -> Output {
        self.command("sh")
            .and_then(|mut command| {
                process::run(command.args(["-c", script]), Duration::from_secs(120))
            })
            .unwrap_or_else(|error| Output {
                code: 127,
                stdout: String::new(),
                stderr: format!("{error:#}"),
            })
    }

    /// Runs a shell command that must succeed; gives its standard output.
    ///
    /// # Panics
    /// It fails: the message has its output.
    pub fn succeed(&self, script: &str) -> String {
        let output = self.run(script);
        assert_eq!(
            output.code, 0,
            "on {}: `{script}` failed:\n{output}",
            self.name
        );
        output.stdout
    }

    /// Starts a shell command and goes on.
    ///
    /// # Panics
    /// The host is off.
    #[must_use]
    pub fn spawn(&self, script: &str) -> Running {
        let mut command = self.command("sh").expect("the host is on");
        process::start(command.args(["-c", script])).expect("nsenter starts")
    }

    /// Writes a file, with the folders above it. It is written from within the host, where a
    /// symbolic link cannot lead out of it.
    ///
    /// # Errors
    /// The host is off, or the file cannot be written.
    pub fn write_file(&self, path: &str, content: &[u8]) -> Result<()> {
        let mut command = self.command("sh")?;
        command.args(["-c", "mkdir -p \"${1%/*}/\" && cat >\"$1\"", "write", path]);
        let output = process::start_with(&mut command, content)?.wait(Duration::from_secs(30));
        ensure!(
            output.code == 0,
            "cannot write {path} on {}: {output}",
            self.name
        );
        Ok(())
    }

    /// The host's pid 1 is gone at once; its peers may be told politely by the kernel.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(&self) -> Result<()> {
        if let Some(leader) = self.leader() {
            let pid = nix::unistd::Pid::from_raw(leader.cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
                .with_context(|| format!("cannot kill {}", self.name))?;
        }
        // A frozen host dies as it is; what kept it running must not stay frozen.
        if self.cgroup_folder().is_dir() {
            self.set_frozen("0")?;
        }
        self.wait_off()
    }

    /// Silence first, then gone: what the others see of a power cut.
    ///
    /// # Errors
    /// The link or the host cannot be taken down.
    pub fn power_cut(&self) -> Result<()> {
        self.partition()?;
        self.kill()
    }

    /// Shuts it down in order.
    ///
    /// # Errors
    /// It is not off after a minute.
    pub fn power_off(&self) -> Result<()> {
        let _ = self.run("systemctl poweroff");
        self.wait_off()
    }

    fn wait_off(&self) -> Result<()> {
        let boot = fs::read_to_string(self.folder.join("boot-pid")).unwrap_or_default();
        wait_until(
            &format!("{} to be off", self.name),
            Duration::from_secs(90),
            || {
                let state =
                    fs::read_to_string(format!("/proc/{}/stat", boot.trim())).unwrap_or_default();
                // A zombie's parent is this very process, which has no need of its exit code.
                Ok(!self.is_on() && (state.is_empty() || state.contains(") Z ")))
            },
        )
    }

    /// Reboots it in order and waits until it runs again.
    ///
    /// # Errors
    /// It does not come back.
    pub fn reboot(&self) -> Result<()> {
        let before = self.leader();
        let _ = self.run("systemctl reboot");
        wait_until(
            &format!("{} to reboot", self.name),
            Duration::from_secs(90),
            || Ok(self.leader().is_some_and(|leader| Some(leader) != before)),
        )?;
        self.wait_running()
    }

    /// Takes its network link down; its processes go on.
    ///
    /// # Errors
    /// The host has no link: it is off.
    pub fn partition(&self) -> Result<()> {
        self.link("down")
    }

    /// Takes its network link up again.
    ///
    /// # Errors
    /// The host has no link: it is off.
    pub fn heal(&self) -> Result<()> {
        self.link("up")
    }

    fn link(&self, state: &str) -> Result<()> {
        let mut command = Command::new("nsenter");
        command.args([
            "-t",
            &self.supervisor.to_string(),
            "-n",
            "--",
            "ip",
            "link",
            "set",
        ]);
        command.args([&format!("vb-{}", self.name), state]);
        process::succeed(&mut command, Duration::from_secs(10)).map(drop)
    }

    /// Stops every process of it, as a paused virtual machine does.
    ///
    /// # Errors
    /// The host is off.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen("1")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The host is off.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen("0")
    }

    /// Its cgroup as the lab's first process sees it: the machine may have that hierarchy elsewhere.
    fn cgroup_folder(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/root{}/{}",
            self.supervisor, self.cgroup, self.name
        ))
    }

    fn set_frozen(&self, value: &str) -> Result<()> {
        let cgroup = self.cgroup_folder();
        fs::write(cgroup.join("cgroup.freeze"), value)
            .with_context(|| format!("cannot freeze or thaw {}", self.name))?;
        let wanted = format!("frozen {value}");
        wait_until(
            &format!("{} to be {wanted}", self.name),
            Duration::from_secs(10),
            || {
                let events = fs::read_to_string(cgroup.join("cgroup.events"))
                    .context("cannot ask its cgroup")?;
                Ok(events.lines().any(|line| line == wanted))
            },
        )
    }

    /// Forgets its disk: the next boot is a new machine's first.
    ///
    /// # Errors
    /// It is on.
    pub fn wipe(&self) -> Result<()> {
        ensure!(!self.is_on(), "{} is on", self.name);
        let root = self.folder.join("root");
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &self.supervisor.to_string(), "-m", "--", "umount"])
            .arg(root);
        let _ = process::run(&mut command, Duration::from_secs(10));
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}'s disk", self.name))
    }
}
