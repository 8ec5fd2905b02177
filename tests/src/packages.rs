//! The machine's own Debian sources, and a local repository with what the roles install.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::succeed;

/// The release of every host.
pub const SUITE: &str = "bookworm";

/// What the roles' formulas install, beyond the base image.
pub const FOR_ROLES: [&str; 14] = [
    "ca-certificates",
    "curl",
    "etcd-client",
    "etcd-server",
    "glusterfs-client",
    "glusterfs-server",
    "haproxy",
    "keepalived",
    "patroni",
    "postgresql-15",
    "postgresql-client-15",
    "prometheus-alertmanager",
    "python3-etcd",
    "victoria-metrics",
];

/// What scenarios compare with, and check by.
pub const FOR_SCENARIOS: [&str; 2] = ["prometheus", "prometheus-node-exporter"];

const LONG: Duration = Duration::from_secs(1800);

/// The machine's own apt sources for Debian itself, as one-line entries: the lab names no mirror.
///
/// # Errors
/// None are configured.
pub fn sources() -> Result<String> {
    let mut entries = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if file.extension().is_some_and(|e| e == "sources") {
            text.split("\n\n")
                .for_each(|stanza| entries.extend(from_stanza(stanza)));
        } else {
            entries.extend(
                text.lines()
                    .filter(|line| is_debian(line))
                    .map(str::to_owned),
            );
        }
    }
    ensure!(
        !entries.is_empty(),
        "no apt source for {SUITE} is configured on this machine"
    );
    Ok(entries.join("\n") + "\n")
}

fn is_debian(line: &str) -> bool {
    let words: Vec<&str> = line
        .split_whitespace()
        .filter(|word| !word.starts_with('['))
        .collect();
    words.first() == Some(&"deb")
        && words.get(2).is_some_and(|suite| {
            // Other vendors name theirs after Debian's, too: bookworm-pgdg is one.
            suite
                .strip_prefix(SUITE)
                .is_some_and(|rest| ["", "-updates", "-security"].contains(&rest))
        })
        && words.contains(&"main")
}

/// A deb822 stanza as one-line entries.
fn from_stanza(stanza: &str) -> Vec<String> {
    let field = |name: &str| {
        stanza
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let (Some(uris), Some(suites)) = (field("URIs"), field("Suites")) else {
        return Vec::new();
    };
    let components = field("Components").unwrap_or("main");
    let options = field("Signed-By")
        .map(|key| format!("[signed-by={key}] "))
        .unwrap_or_default();
    let mut entries = Vec::new();
    for uri in uris.split_whitespace() {
        for suite in suites.split_whitespace() {
            let entry = format!("deb {options}{uri} {suite} {components}");
            if is_debian(&entry) {
                entries.push(entry);
            }
        }
    }
    entries
}

/// Downloads `packages` with what they need beyond the base image's dpkg status into `folder`,
/// and indexes them.
///
/// # Errors
/// apt cannot find or fetch one.
pub fn download(base: &Path, packages: &[&str], folder: &Path) -> Result<()> {
    let partial = folder.join("partial");
    let lists = folder.join(".lists");
    fs::create_dir_all(&partial)
        .and_then(|()| fs::create_dir_all(&lists))
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let list = folder.join(".sources.list");
    fs::write(&list, sources()?).with_context(|| format!("cannot write {}", list.display()))?;
    let apt = |arguments: &[&str]| {
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        succeed(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args([
                    "-o",
                    &option("Dir::Etc::sourcelist", &list),
                    "-o",
                    "Dir::Etc::sourceparts=-",
                ])
                .args(["-o", &option("Dir::State::lists", &lists)])
                .args([
                    "-o",
                    &option("Dir::State::status", &base.join("var/lib/dpkg/status")),
                ])
                .args(["-o", &option("Dir::Cache::archives", folder)])
                .args([
                    "-o",
                    "Dir::Cache::pkgcache=",
                    "-o",
                    "Dir::Cache::srcpkgcache=",
                ])
                .args(["-o", "APT::Sandbox::User=root"])
                .args(arguments),
            LONG,
        )
    };
    apt(&["update", "-q"])?;
    let mut install = vec![
        "install",
        "-qy",
        "--no-install-recommends",
        "--download-only",
    ];
    install.extend(packages);
    apt(&install).context("cannot download the roles' packages")?;
    for leftover in [lists.as_path(), partial.as_path()] {
        fs::remove_dir_all(leftover)
            .with_context(|| format!("cannot remove {}", leftover.display()))?;
    }
    let index = succeed(
        Command::new("dpkg-scanpackages")
            .args(["-m", "."])
            .current_dir(folder),
        LONG,
    )?;
    fs::write(folder.join("Packages"), index).context("cannot write the package index")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debians_own_sources() {
        let stanza = "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main";
        assert_eq!(from_stanza(stanza).len(), 2);
        assert!(
            from_stanza("Types: deb\nURIs: https://x/node\nSuites: nodistro\nComponents: main")
                .is_empty()
        );
        assert!(is_debian(
            "deb [signed-by=/k] http://mirror/debian bookworm main contrib"
        ));
        assert!(!is_debian("deb http://mirror/x cloud-sdk-bookworm main"));
        assert!(!is_debian("deb http://mirror/x bookworm-pgdg main"));
        assert!(is_debian(
            "deb http://mirror/debian-security bookworm-security main"
        ));
        assert!(!is_debian("# deb http://mirror/debian bookworm main"));
    }
}
