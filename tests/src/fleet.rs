//! The reference fleet on a lab: a server host, two balancers, three backends, enrolled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::host::Host;
use crate::image::{self, Baked, Images};
use crate::namespace::{Lab, Lifetime, Operator};
use crate::prerequisites::{self, progress};
use crate::process::{self, Output, Running};
use crate::wait::wait_until;
use crate::webapp;

/// The host that the server runs on.
pub const SERVER: &str = "brine01";

/// The nodes of the fleet with their roles.
pub const NODES: [(&str, &str); 5] = [
    ("balancer01", "balancer"),
    ("balancer02", "balancer"),
    ("backend01", "backend"),
    ("backend02", "backend"),
    ("backend03", "backend"),
];

const STATES: &str = "/srv/brine/states";

/// A lab with the reference fleet in it.
#[derive(Debug)]
pub struct Fleet {
    lab: Lab,
    webapp: PathBuf,
}

impl Fleet {
    /// Starts a fleet that ends with this process: bare hosts, enrolled, nothing applied.
    ///
    /// # Errors
    /// Something does not come up: the message says what was awaited.
    pub fn start(name: &str) -> Result<Self> {
        Self::start_with(&format!("{name}-{}", std::process::id()), Lifetime::Process)
    }

    /// Starts a fleet of this name and lifetime.
    ///
    /// # Errors
    /// Something does not come up: the message says what was awaited.
    pub fn start_with(name: &str, lifetime: Lifetime) -> Result<Self> {
        prerequisites::ensure_installed()?;
        let images = image::ensure_images()?;
        let webapp = webapp::build(&source().join("states/formulas/webapp/app"))?;
        let lab = Lab::start(name, lifetime)?;
        let fleet = Self { lab, webapp };
        fleet.boot_server(&images)?;
        fleet.boot_nodes(&images)?;
        Ok(fleet)
    }

    /// The fleet of a lab that another process started.
    ///
    /// # Errors
    /// No lab of this name is running.
    pub fn attach(name: &str) -> Result<Self> {
        let lab = Lab::attach(name)?;
        let webapp = webapp::build(&source().join("states/formulas/webapp/app"))?;
        Ok(Self { lab, webapp })
    }

    fn boot_server(&self, images: &Images) -> Result<()> {
        progress("booting the server's host");
        let layer = self.lab.folder().join("server-layer");
        let (server, ctl) = (program("brine-server")?, program("ctl")?);
        let unit = source().join("server/brine-server.service");
        image::bake(
            &layer,
            &Baked {
                programs: &[&server, &ctl],
                unit: (&unit, false),
            },
        )?;
        self.lab.boot(SERVER, images, &layer, None)?;
        self.copy_states()?;
        let server = self.host(SERVER);
        let started = server.run(&format!(
            "brine-server init --states {STATES} --address 10.77.0.10:4640 && systemctl enable --quiet --now brine-server"
        ));
        ensure!(started.code == 0, "the server does not start:\n{started}");
        wait_until("the server to answer", Duration::from_secs(30), || {
            let status = self.ctl("status");
            if status.code != 0 {
                bail!("{status}")
            }
            Ok(true)
        })
    }

    fn boot_nodes(&self, images: &Images) -> Result<()> {
        progress(&format!(
            "booting {} bare hosts, agent baked in",
            NODES.len()
        ));
        let layer = self.lab.folder().join("agent-layer");
        let agent = program("brine-agent")?;
        let unit = source().join("agent/brine-agent.service");
        image::bake(
            &layer,
            &Baked {
                programs: &[&agent],
                unit: (&unit, true),
            },
        )?;
        // A pool token for the backends, one token for each balancer: both ways in.
        let pool = self.ctl_json(
            "--output json tokens add --role backend --names 'backend*' --uses 3 --ttl 1h",
        );
        let pool = token(&pool)?;
        std::thread::scope(|scope| {
            let booting: Vec<_> = NODES
                .iter()
                .map(|(name, role)| {
                    let (layer, pool) = (&layer, &pool);
                    scope.spawn(move || {
                        let join = if *role == "backend" {
                            pool.clone()
                        } else {
                            token(&self.ctl_json(&format!(
                                "--output json nodes add {name} --role {role}"
                            )))?
                        };
                        self.lab.boot(name, images, layer, Some(&join))
                    })
                })
                .collect();
            booting
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(result) => result,
                    Err(_) => bail!("a boot failed"),
                })
        })?;
        progress("waiting until all have enrolled");
        wait_until(
            "all nodes to enrol and connect",
            Duration::from_secs(60),
            || Ok(self.connected()? == NODES.len()),
        )
    }

    /// Back to a healthy fleet as the shipped library has it, whatever happened before.
    ///
    /// # Errors
    /// Something does not come up, or does not converge.
    pub fn converge(&self) -> Result<()> {
        self.lab.mend_network()?;
        for (name, _) in NODES {
            let host = self.host(name);
            if host.is_on() {
                host.thaw()?;
                host.heal()?;
            } else {
                host.power_on()?;
            }
        }
        self.copy_states()?;
        wait_until("all nodes to be connected", Duration::from_secs(90), || {
            Ok(self.connected()? == NODES.len())
        })?;
        let mut last = self.ctl("apply all --yes");
        if last.code != 0 {
            // What a scenario interrupted may still hold its lease for a moment.
            wait_until("the fleet to converge", Duration::from_secs(120), || {
                last = self.ctl("apply all --yes");
                Ok(last.code == 0)
            })
            .with_context(|| last.to_string())?;
        }
        Ok(())
    }

    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        self.lab.host(name)
    }

    /// The server's host.
    #[must_use]
    pub fn brine01(&self) -> Host {
        self.host(SERVER)
    }

    #[must_use]
    pub fn operator(&self) -> Operator {
        self.lab.operator()
    }

    /// Runs `ctl` with these arguments, as typed, on the server's host; ten minutes at most.
    #[must_use]
    pub fn ctl(&self, arguments: &str) -> Output {
        self.spawn_ctl(arguments).wait_with_output()
    }

    /// Starts `ctl` and goes on.
    #[must_use]
    pub fn spawn_ctl(&self, arguments: &str) -> Running {
        self.brine01().spawn(&format!("exec ctl {arguments}"))
    }

    /// Runs `ctl` and parses what it prints.
    ///
    /// # Panics
    /// It fails or does not print JSON.
    #[must_use]
    pub fn ctl_json(&self, arguments: &str) -> Value {
        let output = self.ctl(arguments);
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("ctl {arguments}: {error}\n{output}"))
    }

    /// What `ctl nodes list` says of one node.
    ///
    /// # Errors
    /// `ctl` fails, or there is no such node.
    pub fn node(&self, name: &str) -> Result<Value> {
        self.nodes()?
            .into_iter()
            .find(|node| node["name"] == name)
            .with_context(|| format!("no node {name}"))
    }

    /// How many nodes are connected.
    ///
    /// # Errors
    /// `ctl` fails.
    pub fn connected(&self) -> Result<usize> {
        Ok(self
            .nodes()?
            .iter()
            .filter(|node| node["connected"] == true)
            .count())
    }

    fn nodes(&self) -> Result<Vec<Value>> {
        let output = self.ctl("--output json nodes list");
        ensure!(output.code == 0, "{output}");
        let value: Value =
            serde_json::from_str(&output.stdout).with_context(|| output.to_string())?;
        value
            .as_array()
            .cloned()
            .with_context(|| output.to_string())
    }

    /// Writes a file of the server's state tree.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write_state(&self, path: &str, text: &str) {
        self.brine01()
            .write_file(&format!("{STATES}/{path}"), text.as_bytes())
            .expect("the state tree is writable");
    }

    /// Appends to a file of the server's state tree.
    ///
    /// # Panics
    /// It cannot be read or written.
    pub fn append_state(&self, path: &str, text: &str) {
        let before = self.brine01().succeed(&format!("cat {STATES}/{path}"));
        self.write_state(path, &(before + text));
    }

    /// The shipped library, and the application's binary as its artifact.
    fn copy_states(&self) -> Result<()> {
        let server = self.host(SERVER);
        let cleared = server.run(&format!("rm -rf {STATES} && mkdir -p {STATES}/artifacts"));
        ensure!(cleared.code == 0, "{cleared}");
        let leader = server.leader().context("the server's host is off")?;
        let target = format!("/proc/{leader}/root{STATES}/");
        process::succeed(
            Command::new("cp")
                .arg("-rT")
                .arg(source().join("states"))
                .arg(&target),
            Duration::from_secs(30),
        )?;
        fs::create_dir_all(format!("{target}artifacts"))
            .context("cannot create the artifacts' folder")?;
        fs::copy(&self.webapp, format!("{target}artifacts/webapp"))
            .context("cannot copy the application")?;
        Ok(())
    }
}

fn token(reply: &Value) -> Result<String> {
    reply["token"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no token in {reply}"))
}

/// The checkout that this was built from.
fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// A program of the workspace, built beside the running one.
fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .with_context(|| format!("`{name}` is not built: `cargo build --workspace --bins`"))
}
