//! dpkg's own record of what is installed: /var/lib/dpkg/status and, where dpkg was interrupted,
//! the journal in `updates/` that it has not merged yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brine_model::host::{HostError, HostResult, PackageState};

use super::stamp::Parsed;

/// One paragraph, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Package {
    name: String,
    architecture: String,
    /// `install`, `hold`, …
    want: String,
    /// `ok` or `reinstreq`.
    flag: String,
    /// `installed`, `half-configured`, …
    status: String,
    version: String,
}

/// By name; several where more than one architecture is installed.
type Status = HashMap<String, Vec<Package>>;

pub(super) struct Dpkg {
    status: Parsed<Status>,
    updates: PathBuf,
}

impl Dpkg {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            status: Parsed::new(root.join("var/lib/dpkg/status"), parse),
            updates: root.join("var/lib/dpkg/updates"),
        }
    }

    /// `name` or `name:architecture`.
    pub(super) fn package(&self, name: &str) -> HostResult<PackageState> {
        let status = self.status()?;
        let (plain, architecture) = match name.split_once(':') {
            Some((plain, architecture)) => (plain, Some(architecture)),
            None => (name, None),
        };
        let native = status.get("dpkg").and_then(|found| found.first());
        let native = native.map_or("", |dpkg| dpkg.architecture.as_str());
        let fits = |package: &&Package| match architecture {
            Some(architecture) => package.architecture == architecture,
            None => package.architecture == native || package.architecture == "all",
        };
        let found = status.get(plain);
        let package = found.and_then(|found| found.iter().find(fits));
        // Foreign only: better than to say that it is not there.
        let package = package.or_else(|| {
            found
                .filter(|_| architecture.is_none())
                .and_then(|all| all.first())
        });
        Ok(package.map_or_else(PackageState::default, Package::state))
    }

    /// Whether dpkg was interrupted and has to be finished before anything else.
    pub(super) fn is_interrupted(&self) -> HostResult<bool> {
        if !self.journal()?.is_empty() {
            return Ok(true);
        }
        let status = self.status()?;
        Ok(status
            .values()
            .flatten()
            .any(|package| package.state().broken))
    }

    fn status(&self) -> HostResult<Arc<Status>> {
        let path = self.status.path().display();
        let status = self
            .status
            .get()
            .map_err(|error| HostError::failed(format!("read {path}"), error))?;
        let journal = self.journal()?;
        if journal.is_empty() {
            return Ok(status);
        }
        let mut merged = (*status).clone();
        for path in journal {
            let text = std::fs::read(&path)
                .map_err(|error| HostError::failed(format!("read {}", path.display()), error))?;
            for (name, later) in parse(&String::from_utf8_lossy(&text)) {
                let known = merged.entry(name).or_default();
                for package in later {
                    known.retain(|old| old.architecture != package.architecture);
                    known.push(package);
                }
            }
        }
        Ok(Arc::new(merged))
    }

    /// dpkg's journal: files named by numbers, oldest first. Empty when it ended properly.
    fn journal(&self) -> HostResult<Vec<PathBuf>> {
        let failed = |error: std::io::Error| {
            HostError::failed(format!("list {}", self.updates.display()), error)
        };
        let entries = match std::fs::read_dir(&self.updates) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
                found.push(entry.path());
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

impl Package {
    fn state(&self) -> PackageState {
        // What only waits for another package's trigger is complete in itself.
        let whole = matches!(
            &*self.status,
            "installed" | "triggers-pending" | "triggers-awaited"
        );
        let nothing = matches!(&*self.status, "not-installed" | "config-files" | "");
        PackageState {
            installed: whole.then(|| self.version.clone()),
            broken: !nothing && (self.status != "installed" || self.flag != "ok"),
            held: self.want == "hold",
        }
    }
}

fn parse(text: &str) -> Status {
    let mut status = Status::new();
    let mut package = Package::default();
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            if !package.name.is_empty() {
                status
                    .entry(package.name.clone())
                    .or_default()
                    .push(package);
            }
            package = Package::default();
            continue;
        }
        // Continuation lines begin with a blank; of the fields that matter, none has any.
        let Some((field, value)) = line.split_once(": ") else {
            continue;
        };
        let value = value.trim();
        match field {
            "Package" => value.clone_into(&mut package.name),
            "Version" => value.clone_into(&mut package.version),
            "Architecture" => value.clone_into(&mut package.architecture),
            "Status" => {
                let mut words = value.split(' ').map(str::to_owned);
                package.want = words.next().unwrap_or_default();
                package.flag = words.next().unwrap_or_default();
                package.status = words.next().unwrap_or_default();
            }
            _ => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: haproxy
Status: hold ok installed
Architecture: amd64
Version: 2.6.12-1
Description: fast
 Package: not-a-field
 Version: neither

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-i

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: half
Status: install ok half-configured
Architecture: all
Version: 2

Package: waits
Status: install ok triggers-pending
Architecture: all
Version: 3
";

    fn check(dpkg: &Dpkg, name: &str, installed: Option<&str>, broken: bool, held: bool) {
        let expected = PackageState {
            installed: installed.map(str::to_owned),
            broken,
            held,
        };
        assert_eq!(dpkg.package(name), Ok(expected), "{name}");
    }

    fn dpkg(status: &str) -> (tempfile::TempDir, Dpkg) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/dpkg/updates")).unwrap();
        std::fs::write(root.path().join("var/lib/dpkg/status"), status).unwrap();
        let dpkg = Dpkg::new(root.path());
        (root, dpkg)
    }

    #[test]
    fn states() {
        let (_root, dpkg) = dpkg(STATUS);
        check(&dpkg, "haproxy", Some("2.6.12-1"), false, true);
        check(&dpkg, "libc6", Some("2.36"), false, false);
        check(&dpkg, "libc6:i386", Some("2.36-i"), false, false);
        check(&dpkg, "gone", None, false, false);
        check(&dpkg, "half", None, true, false);
        check(&dpkg, "waits", Some("3"), true, false);
        check(&dpkg, "never", None, false, false);
        assert_eq!(dpkg.is_interrupted(), Ok(true));
    }

    #[test]
    fn the_journal_of_an_interrupted_dpkg_counts() {
        let (root, dpkg) =
            dpkg("Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n");
        assert_eq!(dpkg.is_interrupted(), Ok(false));
        let late = "Package: web\nStatus: install ok unpacked\nArchitecture: all\nVersion: 9\n";
        std::fs::write(root.path().join("var/lib/dpkg/updates/0001"), late).unwrap();
        std::fs::write(root.path().join("var/lib/dpkg/updates/tmp.i"), "junk").unwrap();
        check(&dpkg, "web", None, true, false);
        assert_eq!(dpkg.is_interrupted(), Ok(true));
    }
}
