//! A lab: its namespaces, and the hosts in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::host::Host;
use crate::image::{self, Images};
use crate::nodes;
use crate::process::{self, Output, Running, children};
use crate::wait::wait_until;

/// How long a lab lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as this process, even if that is killed.
    Process,
    /// Until `lab destroy`.
    Detached,
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    supervisor: u32,
    /// Held so that the supervisor's standard input stays open.
    lifeline: Mutex<Option<Child>>,
}

/// Where labs keep their hosts' disks.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    std::env::var_os("BRINE_LAB_DIR")
        .map_or_else(|| "/var/lib/brine-lab".into(), PathBuf::from)
        .join(name)
}

impl Lab {
    /// Makes the namespaces; a dead lab of this name is cleared away, a running one is an error.
    ///
    /// # Errors
    /// A running lab has the name, or the kernel refuses a namespace.
    pub fn start(name: &str, lifetime: Lifetime) -> Result<Self> {
        if Self::attach(name).is_ok() {
            bail!("a lab `{name}` is running already: `cargo lab destroy` ends it");
        }
        sweep_dead_labs();
        let folder = folder(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let write = |file: &str, text: String| {
            fs::write(folder.join(file), text).context("cannot write the lab's state")
        };
        write("names", nodes::hosts_file())?;
        let (lifetime_word, lifeline) = match lifetime {
            Lifetime::Process => {
                write("owner", std::process::id().to_string())?;
                ("process", Stdio::piped())
            }
            Lifetime::Detached => ("detached", Stdio::null()),
        };
        let log = fs::File::create(folder.join("log")).context("cannot write the lab's log")?;
        let mut child = Command::new("setsid")
            .args(["sh", "-c", include_str!("keeper.sh"), "keeper"])
            .arg(&folder)
            .args([&cgroup(name), lifetime_word])
            .arg(image::cache())
            .arg(include_str!("supervisor.sh"))
            .stdin(lifeline)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start the lab's keeper")?;
        wait_until("the lab's namespaces", Duration::from_secs(20), || {
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            let ended = child.try_wait().context("cannot ask the lab's keeper")?;
            ensure!(ended.is_none(), "the lab ended at once: {}", log());
            Ok(folder.join("ready").exists())
        })?;
        let supervisor = find_supervisor(child.id()).context("the supervisor is gone")?;
        write("pid", supervisor.to_string())?;
        let lifeline = Mutex::new((lifetime == Lifetime::Process).then_some(child));
        Ok(Self {
            name: name.to_owned(),
            folder,
            supervisor,
            lifeline,
        })
    }

    /// A lab that another process started.
    ///
    /// # Errors
    /// No lab of this name is running.
    pub fn attach(name: &str) -> Result<Self> {
        let folder = folder(name);
        let pid = fs::read_to_string(folder.join("pid")).unwrap_or_default();
        let supervisor: u32 = pid
            .trim()
            .parse()
            .ok()
            .with_context(|| format!("no lab `{name}` is running"))?;
        let command = fs::read(format!("/proc/{supervisor}/cmdline")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy());
        ensure!(ours, "no lab `{name}` is running");
        Ok(Self {
            name: name.to_owned(),
            folder,
            supervisor,
            lifeline: Mutex::new(None),
        })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Boots a host: a new one from `layer` over the base image, a known one from its own disk.
    ///
    /// # Errors
    /// It runs already, or does not come up in a minute: the message has its console's end.
    pub fn boot(
        &self,
        name: &str,
        images: &Images,
        layer: &Path,
        join: Option<&str>,
    ) -> Result<()> {
        let host = self.host(name);
        ensure!(!host.is_on(), "{name} is on already");
        host.prepare(images, layer, join)?;
        host.power_on()
    }

    /// A handle to a host; it need not be on.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        Host::new(
            name,
            self.folder.join("hosts").join(name),
            self.supervisor,
            self.cgroup(),
        )
    }

    /// Hosts that have a disk in this lab.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        let mut names: Vec<String> = fs::read_dir(self.folder.join("hosts"))
            .map(|entries| {
                entries
                    .flatten()
                    .map(|e| e.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        names.iter().map(|name| self.host(name)).collect()
    }

    fn cgroup(&self) -> String {
        cgroup(&self.name)
    }

    /// The operator's own seat: the bridge's address, outside every host.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator {
            supervisor: self.supervisor,
        }
    }

    /// Drops every packet from `from` to `to`; the other way stays open.
    ///
    /// # Errors
    /// nftables refuses.
    pub fn cut_one_way(&self, from: &str, to: &str) -> Result<()> {
        let (source, target) = (nodes::find(from)?.address, nodes::find(to)?.address);
        self.nft(&format!(
            "add table bridge cut; add chain bridge cut forward {{ type filter hook forward priority 0; }}; \
             add rule bridge cut forward ip saddr {source} ip daddr {target} drop"
        ))
    }

    /// Drops a share of the packets to and from a host; a second call changes the share.
    ///
    /// # Errors
    /// nftables refuses.
    pub fn packet_loss(&self, host: &str, percent: u8) -> Result<()> {
        ensure!(percent < 100, "to lose everything, cut the link");
        let device = format!("vb-{host}");
        self.nft(&format!(
            "add table netdev loss; \
             add chain netdev loss in-{host} {{ type filter hook ingress device \"{device}\" priority 0; }}; \
             add chain netdev loss out-{host} {{ type filter hook egress device \"{device}\" priority 0; }}; \
             flush chain netdev loss in-{host}; flush chain netdev loss out-{host}; \
             add rule netdev loss in-{host} numgen random mod 100 < {percent} drop; \
             add rule netdev loss out-{host} numgen random mod 100 < {percent} drop"
        ))
    }

    /// Takes back [`Lab::cut_one_way`] and [`Lab::packet_loss`].
    ///
    /// # Errors
    /// nftables refuses.
    pub fn mend_network(&self) -> Result<()> {
        self.nft("flush ruleset")
    }

    fn nft(&self, rules: &str) -> Result<()> {
        process::succeed(
            self.operator().command("nft").arg(rules),
            Duration::from_secs(10),
        )
        .map(drop)
    }

    /// Ends everything in it and removes its hosts' disks.
    ///
    /// # Errors
    /// A disk cannot be removed.
    pub fn destroy(&self) -> Result<()> {
        // Only while it is ours: the number of a dead process may have gone to another.
        if Self::attach(&self.name).is_ok_and(|lab| lab.supervisor == self.supervisor) {
            let pid = nix::unistd::Pid::from_raw(self.supervisor.cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        if let Ok(mut lifeline) = self.lifeline.lock()
            && let Some(mut keeper) = lifeline.take()
        {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        wait_until("the lab's end", Duration::from_secs(20), || {
            Ok(Self::attach(&self.name).is_err())
        })?;
        remove_remains(&self.folder, &self.cgroup())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let held = self
            .lifeline
            .lock()
            .is_ok_and(|lifeline| lifeline.is_some());
        if held {
            let _ = self.destroy();
        }
    }
}

fn cgroup(lab: &str) -> String {
    format!("/sys/fs/cgroup/brine-lab-{lab}")
}

/// Clears away labs whose test is gone and whose keeper was killed with it, or that a crash of the
/// machine left. Those of people are theirs to destroy.
fn sweep_dead_labs() {
    let labs = fs::read_dir(folder("")).into_iter().flatten().flatten();
    for lab in labs {
        let name = lab.file_name().to_string_lossy().into_owned();
        let owner = fs::read_to_string(lab.path().join("owner")).unwrap_or_default();
        let orphaned = !owner.is_empty() && !Path::new("/proc").join(owner.trim()).exists();
        if orphaned && Lab::attach(&name).is_err() {
            // Its keeper may be at it, too: whoever comes second finds nothing, which is fine.
            let _ = remove_remains(&lab.path(), &cgroup(&name));
        }
    }
}

fn remove_remains(folder: &Path, cgroup: &str) -> Result<()> {
    sweep_cgroup(cgroup);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Cgroups outlive their processes, so a lab's are removed from a fresh mount of the hierarchy.
fn sweep_cgroup(cgroup: &str) {
    let script = "mount --make-rprivate / && umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup \
                  && find \"$1\" -depth -type d -exec rmdir {} +";
    let _ = process::run(
        Command::new("unshare").args(["--mount", "sh", "-c", script, "sweep", cgroup]),
        Duration::from_secs(10),
    );
}

/// Pid 1 of the new namespace: the keeper's `unshare` has it as its child.
fn find_supervisor(keeper: u32) -> Option<u32> {
    children(keeper).into_iter().flat_map(children).next()
}

/// Runs commands in the lab's network, outside every host.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    supervisor: u32,
}

impl Operator {
    /// A command in the lab's namespaces.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "-t",
            &self.supervisor.to_string(),
            "-m",
            "-n",
            "-p",
            "--",
            program,
        ]);
        command
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", script]).current_dir("/");
        command
    }

    /// Runs a shell command to its end; a minute at most.
    #[must_use]
    pub fn run(&self, script: &str) -> Output {
        process::run(&mut self.shell(script), Duration::from_secs(60)).unwrap_or_else(|error| {
            Output {
                code: 127,
                stdout: String::new(),
                stderr: format!("{error:#}"),
            }
        })
    }

    /// Runs a shell command that must succeed; gives its standard output.
    ///
    /// # Panics
    /// It fails: the message has its output.
    pub fn succeed(&self, script: &str) -> String {
        let output = self.run(script);
        assert_eq!(output.code, 0, "`{script}` failed:\n{output}");
        output.stdout
    }

    /// Starts a shell command and goes on.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn spawn(&self, script: &str) -> Running {
        process::start(&mut self.shell(script)).expect("nsenter starts")
    }
}
