//! What the machine itself needs: installed by apt where it is missing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::succeed;

const NEEDED: [(&str, &str); 7] = [
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("dpkg-scanpackages", "dpkg-dev"),
    ("curl", "curl"),
];

/// Installs what is missing; says so.
///
/// # Errors
/// Not root, or apt cannot install something.
pub fn ensure_installed() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the lab needs root: it makes namespaces, mounts and network links"
    );
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !is_on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    progress(&format!("installing {}", missing.join(", ")));
    apt_get(&["update", "-q"])?;
    let mut arguments = vec!["install", "-qy", "--no-install-recommends"];
    arguments.extend(&missing);
    apt_get(&arguments)
}

/// A line for the person who waits.
#[expect(
    clippy::print_stderr,
    reason = "this is a command-line program's progress"
)]
pub fn progress(line: &str) {
    eprintln!("lab: {line}");
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    succeed(
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive"),
        Duration::from_secs(900),
    )
    .map(drop)
    .context("cannot install what the lab needs")
}

fn is_on_path(program: &str) -> bool {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .any(|folder| Path::new(folder).join(program).exists())
}
