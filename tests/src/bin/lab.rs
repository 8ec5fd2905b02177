//! `cargo lab`: the reference fleet on this machine, and every test.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};
use lab::fleet::Fleet;
use lab::nodes::{self, SERVER};
use lab::prerequisites::progress;
use lab::{Lab, Lifetime};

/// Real systemd hosts on one machine, to play with Brine and to test it.
#[derive(Parser)]
#[command(
    name = "cargo lab",
    after_help = "Examples:
  cargo lab demo                      the main job, from bare hosts to a serving fleet
  cargo lab enter brine01             a shell on the server's host: ctl status
  cargo lab run balancer01 -- systemctl status haproxy
  cargo lab fault power-cut backend02
  cargo lab test                      every test, scenarios on real hosts included
  cargo lab up; cargo lab test --attach rolling
                                      some scenarios, again and again on the same hosts
  cargo lab destroy"
)]
struct Arguments {
    /// Which lab: several can run side by side.
    #[arg(long, global = true, default_value = "demo")]
    name: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Builds, boots the reference fleet, enrols it, applies everything and shows the result.
    Demo,
    /// Builds and boots the fleet: enrolled, nothing applied.
    Up,
    /// The hosts, whether they are on, and their addresses.
    List,
    /// A shell in a host.
    Enter { host: String },
    /// Runs a command in a host (`operator` is the seat outside all hosts).
    Run {
        host: String,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Breaks something, or mends it again.
    Fault { kind: Fault, host: String },
    /// Ends the lab and removes its hosts' disks; images stay cached.
    Destroy,
    /// Runs every test.
    Test {
        /// Leave out the scenarios on real hosts.
        #[arg(long)]
        quick: bool,
        /// The long forms of repeating scenarios.
        #[arg(long)]
        long: bool,
        /// On the lab of this name, which runs on afterwards, and not on a new one.
        #[arg(long)]
        attach: bool,
        /// Only scenarios whose name contains this.
        filter: Option<String>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Fault {
    Kill,
    PowerCut,
    PowerOn,
    Reboot,
    Freeze,
    Thaw,
    Partition,
    Heal,
    /// One packet in five is lost.
    PacketLoss,
    /// Takes back every loss and cut.
    Mend,
}

#[expect(clippy::print_stderr, reason = "the error of a command-line program")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.name.as_str();
    match &arguments.verb {
        Verb::Demo => demo(name),
        Verb::Up => {
            build()?;
            Fleet::start_with(name, Lifetime::Detached, &nodes::fleet())?;
            next_steps(name);
            Ok(())
        }
        Verb::List => list(name),
        Verb::Enter { host } => enter(&Lab::attach(name)?, host, &["bash", "-l"]),
        Verb::Run { host, command } => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            enter(&Lab::attach(name)?, host, &command)
        }
        Verb::Fault { kind, host } => fault(&Lab::attach(name)?, *kind, host),
        Verb::Destroy => Lab::attach(name)?.destroy(),
        Verb::Test {
            quick,
            long,
            attach,
            filter,
        } => {
            let attach = attach.then_some(name);
            test(*quick, *long, attach, filter.as_deref())
        }
    }
}

fn build() -> Result<()> {
    progress("building (a few minutes the first time)");
    cargo(&["build", "--workspace", "--bins"], &[])
}

/// Runs cargo with its own output on the terminal.
fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "`cargo {}` failed", arguments.join(" "));
    Ok(())
}

fn demo(name: &str) -> Result<()> {
    build()?;
    let fleet = match Fleet::attach(name) {
        Ok(fleet) => {
            progress("the fleet is up already: going on with it");
            fleet
        }
        Err(_) => Fleet::start_with(name, Lifetime::Detached, &nodes::fleet())?,
    };
    for arguments in ["status", "apply all --yes", "apply all --yes"] {
        type_ctl(fleet.lab(), arguments)?;
    }
    say("\noperator$ for i in 1 2 3; do curl http://balancer01/; done");
    for balancer in ["balancer01", "balancer02"] {
        lab::wait_until("all backends in rotation", Duration::from_secs(20), || {
            let mut answers: Vec<String> = (0..3)
                .map(|_| {
                    fleet
                        .operator()
                        .run(&format!("curl -sf http://{balancer}/"))
                        .stdout
                })
                .collect();
            answers.sort();
            answers.dedup();
            Ok(answers.len() == 3)
        })?;
    }
    let typed = |command: &str| say(fleet.operator().run(command).stdout.trim_end());
    typed("for i in 1 2 3; do curl -s http://balancer01/; done");
    next_steps(name);
    Ok(())
}

/// Runs `ctl` on the server's host with its output on this terminal, as a person there would.
fn type_ctl(lab: &Lab, arguments: &str) -> Result<()> {
    say(&format!("\nbrine01$ ctl {arguments}"));
    let mut command = vec!["ctl"];
    command.extend(arguments.split(' '));
    enter(lab, SERVER, &command)
}

#[expect(clippy::print_stdout, reason = "what a person reads on the terminal")]
fn say(text: &str) {
    println!("{text}");
}

fn next_steps(name: &str) {
    let lab = if name == "demo" {
        "cargo lab".to_owned()
    } else {
        format!("cargo lab --name {name}")
    };
    say(&format!(
        "
Open, with `{lab} run operator -- curl -s URL`:
  http://10.77.0.100/             the application, by way of the balancer that has the address
  http://10.77.0.100/image        a file of the replicated volume
  http://10.77.0.100/db           PostgreSQL's version, by way of a balancer
  http://balancer01:7000/         HAProxy's own page
Try:
  {lab} enter brine01                       a shell where `ctl` works: ctl status, ctl plan all
  {lab} fault power-cut db01                kill a host; {lab} fault power-on db01
  {lab} fault power-cut balancer01          the address moves; {lab} fault power-on balancer01
  {lab} run brine01 -- sh -c 'echo \"webapp: {{ greeting: Good day }}\" > /srv/brine/states/data/roles/backend.yaml'
  {lab} run brine01 -- ctl apply role=backend --yes         a setting changes, one backend at a time
  {lab} run balancer01 -- systemctl stop haproxy; {lab} run brine01 -- ctl plan all
  {lab} run grafana01 -- curl -s 'http://127.0.0.1:8428/api/v1/query?query=up'
  {lab} destroy                             ends it all"
    ));
}

fn list(name: &str) -> Result<()> {
    let lab = Lab::attach(name)?;
    for host in lab.hosts() {
        let address = nodes::find(host.name())?.address;
        say(&format!(
            "{:<12} {:<12} {}",
            host.name(),
            address,
            if host.is_on() { "on" } else { "off" }
        ));
    }
    Ok(())
}

fn enter(lab: &Lab, host: &str, command: &[&str]) -> Result<()> {
    let mut process = if host == "operator" {
        lab.operator().command("env")
    } else {
        ensure!(
            lab.host(host).has_disk(),
            "no host `{host}`: `cargo lab list` shows them"
        );
        let mut process = lab.host(host).command("env")?;
        if let Ok(terminal) = std::env::var("TERM") {
            process.arg(format!("TERM={terminal}"));
        }
        process
    };
    let status = process
        .args(command)
        .status()
        .context("cannot start nsenter")?;
    ensure!(
        status.success(),
        "`{}` on {host} ended with {status}",
        command.join(" ")
    );
    Ok(())
}

fn fault(lab: &Lab, kind: Fault, host: &str) -> Result<()> {
    let target = lab.host(host);
    match kind {
        Fault::Kill => target.kill(),
        Fault::PowerCut => target.power_cut(),
        Fault::PowerOn => target.power_on(),
        Fault::Reboot => target.reboot(),
        Fault::Freeze => target.freeze(),
        Fault::Thaw => target.thaw(),
        Fault::Partition => target.partition(),
        Fault::Heal => target.heal(),
        Fault::PacketLoss => lab.packet_loss(host, 20),
        Fault::Mend => lab.mend_network(),
    }
}

fn test(quick: bool, long: bool, attach: Option<&str>, filter: Option<&str>) -> Result<()> {
    if filter.is_none() {
        progress("format");
        cargo(&["fmt", "--all", "--check"], &[])?;
        progress("lints (the first build takes some minutes)");
        cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
            &[],
        )?;
        progress("unit tests");
        cargo(&["test", "--workspace"], &[])?;
    }
    if quick {
        return Ok(());
    }
    build()?;
    let mut arguments = vec![
        "test",
        "--workspace",
        "--test",
        "lab",
        "--test",
        "scenarios",
        "--",
    ];
    arguments.extend(["--test-threads=1", "--nocapture"]);
    arguments.extend(filter);
    progress("scenarios on real hosts");
    let mut environment = vec![("BRINE_LAB", "1")];
    if long {
        environment.push(("BRINE_LONG", "1"));
    }
    if let Some(name) = attach {
        environment.push(("BRINE_LAB_ATTACH", name));
    }
    match cargo(&arguments, &environment) {
        Ok(()) => Ok(()),
        Err(error) => bail!("{error:#}; one scenario again: `cargo lab test NAME`"),
    }
}
