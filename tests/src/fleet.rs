//! The reference fleet on a lab, or a part of it: a server's host and enrolled nodes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::host::Host;
use crate::image::{self, Baked, Images};
use crate::namespace::{Lab, Lifetime, Operator};
use crate::nodes::{self, Machine, Part, SERVER};
use crate::prerequisites::{self, progress};
use crate::process::{self, Output, Running};
use crate::wait::wait_until;
use crate::webapp;

const STATES: &str = "/srv/brine/states";
/// Where the server answers programs.
const HTTP: &str = "10.77.0.10:4641";
const DISK: &str = "/var/lib/disk";

/// A lab with the reference fleet in it, or a part of that.
#[derive(Debug)]
pub struct Fleet {
    lab: Lab,
    webapp: PathBuf,
    images: Images,
}

impl Fleet {
    /// Starts a fleet of these nodes that ends with this process: bare hosts, enrolled, nothing
    /// applied.
    ///
    /// # Errors
    /// Something does not come up: the message says what was awaited.
    pub fn start(name: &str, nodes: &[Machine]) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        Self::start_with(&name, Lifetime::Process, nodes)
    }

    /// Starts a fleet of this name and lifetime.
    ///
    /// # Errors
    /// Something does not come up: the message says what was awaited.
    pub fn start_with(name: &str, lifetime: Lifetime, nodes: &[Machine]) -> Result<Self> {
        prerequisites::ensure_installed()?;
        let images = image::ensure_images()?;
        let webapp = webapp::build(&source().join("states/formulas/webapp/app"))?;
        let lab = Lab::start(name, lifetime)?;
        let fleet = Self {
            lab,
            webapp,
            images,
        };
        fleet.boot_server(nodes)?;
        fleet.boot_nodes(nodes)?;
        Ok(fleet)
    }

    /// The fleet of a lab that another process started.
    ///
    /// # Errors
    /// No lab of this name is running.
    pub fn attach(name: &str) -> Result<Self> {
        Ok(Self {
            lab: Lab::attach(name)?,
            webapp: webapp::build(&source().join("states/formulas/webapp/app"))?,
            images: image::ensure_images()?,
        })
    }

    /// Its nodes: every host that has a disk, save the server's. Sorted by name.
    ///
    /// # Panics
    /// The lab has a host that no list knows.
    #[must_use]
    pub fn nodes(&self) -> Vec<Machine> {
        let hosts = self.lab.hosts();
        let machines = hosts
            .iter()
            .map(|host| nodes::find(host.name()).expect("a host of the list"));
        machines
            .filter(|machine| machine.role().is_some())
            .collect()
    }

    fn boot_server(&self, nodes: &[Machine]) -> Result<()> {
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
        self.lab.boot(SERVER, &self.images, &layer, None)?;
        self.copy_states(nodes)?;
        let server = self.host(SERVER);
        let started = server.run(&format!(
            "brine-server init --states {STATES} --address 10.77.0.10:4640 --http {HTTP} && systemctl enable --quiet --now brine-server"
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

    fn boot_nodes(&self, nodes: &[Machine]) -> Result<()> {
        progress(&format!(
            "booting {} bare hosts, agent baked in",
            nodes.len()
        ));
        let agent = program("brine-agent")?;
        let unit = source().join("agent/brine-agent.service");
        image::bake(
            &self.agent_layer(),
            &Baked {
                programs: &[&agent],
                unit: (&unit, true),
            },
        )?;
        // A pool token for the backends, a token of its own for each other node: both ways in.
        let backends = nodes.iter().filter(|node| node.role() == Some("backend"));
        let pool = match backends.count() {
            0 => None,
            uses => Some(token(&self.ctl_json(&format!(
                "--output json tokens add --role backend --names 'backend*' --uses {uses} --ttl 1h"
            )))?),
        };
        std::thread::scope(|scope| {
            let booting: Vec<_> = nodes
                .iter()
                .map(|node| {
                    let pool = pool.clone().filter(|_| node.role() == Some("backend"));
                    scope.spawn(move || {
                        let join = pool.map_or_else(|| self.register(node.name), Ok)?;
                        self.boot(node.name, &join)
                    })
                })
                .collect();
            booting.into_iter().try_for_each(joined)
        })?;
        progress("waiting until all have enrolled");
        self.wait_connected(Duration::from_secs(60))
    }

    fn agent_layer(&self) -> PathBuf {
        self.lab.folder().join("agent-layer")
    }

    /// Registers a host of the list under its role; gives its join token.
    fn register(&self, name: &str) -> Result<String> {
        let machine = nodes::find(name)?;
        let role = machine
            .role()
            .with_context(|| format!("{name} has no role"))?;
        token(&self.ctl_json(&format!("--output json nodes add {name} --role {role}")))
    }

    /// Boots a fresh machine of this name with a join token. A disk that an earlier one left is
    /// wiped; the earlier one must be off.
    ///
    /// # Errors
    /// A machine of this name is on, or this one does not come up.
    pub fn boot(&self, name: &str, join: &str) -> Result<()> {
        let host = self.host(name);
        if host.has_disk() {
            host.wipe()?;
        }
        self.lab
            .boot(name, &self.images, &self.agent_layer(), Some(join))?;
        // Stands for the disk of its own that a member of a volume has.
        if nodes::find(name)?.role() == Some("backend") {
            host.succeed(&format!("mkdir -p {DISK}"));
        }
        Ok(())
    }

    /// Registers and boots one more host of the list, and waits until it is connected.
    ///
    /// # Errors
    /// It does not come up.
    pub fn add(&self, name: &str) -> Result<()> {
        self.boot(name, &self.register(name)?)?;
        self.wait_connected(Duration::from_secs(60))
    }

    /// A machine dies for good and a fresh one takes its name: cuts the power if it is still on,
    /// asks for a new token, boots and waits until it is connected. Nothing is applied.
    ///
    /// # Errors
    /// The server does not replace it, or the new one does not come up.
    pub fn replace(&self, name: &str) -> Result<()> {
        let host = self.host(name);
        if host.is_on() {
            host.power_cut()?;
        }
        let join = token(&self.ctl_json(&format!("--output json nodes replace {name}")))?;
        self.boot(name, &join)?;
        self.wait_connected(Duration::from_secs(60))
    }

    /// Takes a node out of the fleet: forgets it, cuts its power and wipes its disk.
    ///
    /// # Errors
    /// The host does not go down. That the server does not know it is none.
    pub fn remove(&self, name: &str) -> Result<()> {
        let _ = self.ctl(&format!("nodes remove {name} --yes"));
        let host = self.host(name);
        if host.is_on() {
            host.power_cut()?;
        }
        host.wipe()
    }

    /// Boots every node that is off, all at once: clusters come up with enough of their members only.
    ///
    /// # Errors
    /// One of them does not come up.
    pub fn power_on(&self) -> Result<()> {
        let hosts = self.nodes().into_iter().map(|node| self.host(node.name));
        let off: Vec<Host> = hosts.filter(|host| !host.is_on()).collect();
        std::thread::scope(|scope| {
            let booting: Vec<_> = off
                .iter()
                .map(|host| scope.spawn(|| host.power_on()))
                .collect();
            booting.into_iter().try_for_each(joined)
        })
    }

    /// Waits until all nodes are connected.
    ///
    /// # Errors
    /// They are not in time.
    pub fn wait_connected(&self, within: Duration) -> Result<()> {
        wait_until("all nodes to be connected", within, || {
            Ok(self.connected()? == self.nodes().len())
        })
    }

    /// Back to a healthy fleet as the shipped library has it, whatever happened before.
    ///
    /// # Errors
    /// Something does not come up, or does not converge.
    pub fn converge(&self) -> Result<()> {
        self.lab.mend_network()?;
        for node in self.nodes() {
            if matches!(node.part, Part::Spare(_)) {
                self.remove(node.name)?;
            }
        }
        for node in nodes::fleet() {
            // A scenario that took it away has not brought it back.
            if !self.host(node.name).has_disk() {
                self.boot(node.name, &self.register(node.name)?)?;
            }
        }
        let nodes = self.nodes();
        for node in &nodes {
            let host = self.host(node.name);
            if host.is_on() {
                host.thaw()?;
                host.heal()?;
            }
        }
        self.power_on()?;
        self.copy_states(&nodes)?;
        self.wait_connected(Duration::from_secs(90))?;
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
        self.registry()?
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
            .registry()?
            .iter()
            .filter(|node| node["connected"] == true)
            .count())
    }

    fn registry(&self) -> Result<Vec<Value>> {
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

    /// The shipped library, and the application's binary as its artifact. Where `nodes` are a part
    /// of the fleet, roles ask for as many members as there are.
    fn copy_states(&self, nodes: &[Machine]) -> Result<()> {
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
        fs::copy(&self.webapp, format!("{target}artifacts/webapp-1.0.0"))
            .context("cannot copy the application")?;
        // Writers run in the operator's seat. Grafana's packages cannot be had here.
        let more = format!(
            "haproxy:\n  postgres_from: [{}]\nkeepalived:\n  address: {}/24\n  interface: host0\n\
             victoria_metrics:\n  server: {HTTP}\n\
             grafana:\n  install: false\n  group: root\nglusterfs:\n  on_root: true\n  device: {DISK}\n  \
             filesystem: none\n  options: [bind]\n",
            nodes::OPERATOR,
            nodes::FRONT,
        );
        self.append_state("data/common.yaml", &more);
        for role in nodes::roles() {
            let count = |machines: &[Machine]| {
                let members = machines.iter().filter(|one| one.role() == Some(role));
                members.count()
            };
            let here = count(nodes);
            if here < count(&nodes::fleet()) {
                server.succeed(&format!(
                    "sed -i 's/^members:.*/members: {here}/' {STATES}/roles/{role}.yaml"
                ));
            }
        }
        Ok(())
    }
}

/// What a thread that boots a host came to.
fn joined(thread: std::thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|_| bail!("a boot failed"))
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
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .with_context(|| format!("`{name}` is not built: `cargo build --workspace --bins`"))
}
