//! dpkg and apt.

use super::{FakeFile, FakeHost, fake_path, fake_user};
use crate::host::{GroupState, HostError, HostResult, PackageRequest, PackageState};

/// A package that apt could install.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FakePackage {
    /// The newest is what apt would install.
    pub versions: Vec<String>,
    /// Configuration files, kept where they are there already.
    pub files: Vec<(String, String)>,
    /// Users that it creates, each with a group of the same name.
    pub users: Vec<String>,
    /// Units that it enables and starts.
    pub units: Vec<String>,
}

impl FakePackage {
    #[must_use]
    pub fn new(versions: &[&str]) -> Self {
        let versions = versions.iter().map(|&version| version.to_owned()).collect();
        Self {
            versions,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    #[must_use]
    pub fn user(mut self, name: &str) -> Self {
        self.users.push(name.to_owned());
        self
    }

    #[must_use]
    pub fn unit(mut self, name: &str) -> Self {
        self.units.push(name.to_owned());
        self
    }
}

impl FakeHost {
    /// One transaction: masks first, then unpacks all, then configures all.
    pub(super) fn transaction(&mut self, requests: &[PackageRequest]) -> HostResult<()> {
        for unit in requests.iter().flat_map(|request| &request.keep_stopped) {
            self.step(format!("mask {unit}"), |host| {
                host.unit_mut(unit);
                host.mask(unit);
                Ok(())
            })?;
        }
        let wanted: Vec<_> = requests.iter().filter(|request| request.install).collect();
        let mut unpacked = Vec::new();
        for request in wanted {
            let (package, version) = self.choose(request)?;
            self.step(format!("unpack {} {version}", request.name), |host| {
                host.unpack(&request.name, &package, &version);
                Ok(())
            })?;
            unpacked.push((request, package, version));
        }
        for (request, package, version) in unpacked {
            self.step(format!("configure {} {version}", request.name), |host| {
                host.configure(&request.name, &package, &version);
                Ok(())
            })?;
        }
        for request in requests {
            let held = self
                .installed
                .get(&request.name)
                .is_some_and(|state| state.held);
            if let Some(hold) = request.hold.filter(|hold| *hold != held) {
                self.step(format!("hold {} {hold}", request.name), |host| {
                    host.installed.entry(request.name.clone()).or_default().held = hold;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn choose(&self, request: &PackageRequest) -> HostResult<(FakePackage, String)> {
        let refuse = |why: &str| HostError::failed(format!("install {}", request.name), why);
        let package = self.repository.get(&request.name);
        let package = package.ok_or_else(|| refuse("apt knows no such package"))?;
        let version = match &request.version {
            Some(version) => package.versions.iter().find(|known| *known == version),
            None => package.versions.last(),
        };
        let version = version.ok_or_else(|| refuse("apt knows no such version"))?;
        Ok((package.clone(), version.clone()))
    }

    fn unpack(&mut self, name: &str, package: &FakePackage, version: &str) {
        let state = self.installed.entry(name.to_owned()).or_default();
        *state = PackageState {
            installed: None,
            broken: true,
            held: state.held,
        };
        let now = self.present();
        let list = fake_path(&format!("/var/lib/dpkg/info/{name}.list"));
        self.files
            .insert(list, FakeFile::new(version.as_bytes(), now));
        for (path, content) in &package.files {
            let file = || FakeFile::new(content.as_bytes(), now);
            self.files.entry(fake_path(path)).or_insert_with(file);
        }
        for unit in &package.units {
            let path = fake_path(&format!("/usr/lib/systemd/system/{unit}"));
            let text = format!("unit of {name} {version}");
            self.files.insert(path, FakeFile::new(text.as_bytes(), now));
        }
    }

    /// What a maintainer script does: users, enable, start or restart.
    fn configure(&mut self, name: &str, package: &FakePackage, version: &str) {
        for user in &package.users {
            let free = self.numbers().last().copied().unwrap_or_default().max(99) + 1;
            self.groups
                .entry(user.clone())
                .or_insert(GroupState { gid: free });
            self.users
                .entry(user.clone())
                .or_insert_with(|| fake_user(free, user));
        }
        for unit in &package.units {
            let fresh = !self.units.get(unit).is_some_and(|known| known.enabled);
            self.unit_mut(unit).enabled |= fresh;
            self.load_all();
            if self.unit_state(unit).load == "loaded" {
                self.start(unit);
            }
        }
        if let Some(state) = self.installed.get_mut(name) {
            state.installed = Some(version.to_owned());
            state.broken = false;
        }
    }
}
