//! Where changes of a catalog's resources show: directories and units, with whom they concern.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::converge::Prepared;
use brine_model::path::AbsolutePath;
use brine_model::resource::{ResourceId, Subject};

/// Kinds that are only looked at when everything is: asking them starts programs.
const SLOW: &[&str] = &["command"];

/// Kinds that only wait for something: nothing of theirs can drift.
const WAITING: &[&str] = &["wait_for"];

/// Files that tell of what has no path of its own.
const PACKAGES: (&str, &str) = ("/var/lib/dpkg", "status");
const USERS: (&str, &str) = ("/etc", "passwd");
const GROUPS: (&str, &str) = ("/etc", "group");

pub(super) type Ids = BTreeSet<ResourceId>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    /// By directory and name in it.
    pub(super) files: BTreeMap<String, BTreeMap<String, Ids>>,
    /// By the unit's full name.
    pub(super) units: BTreeMap<String, Ids>,
}

impl Index {
    pub(super) fn of(prepared: &Prepared) -> Self {
        let mut index = Self::default();
        for (id, subjects) in prepared.subjects() {
            if SLOW.contains(&id.kind()) || WAITING.contains(&id.kind()) {
                continue;
            }
            for subject in subjects {
                index.add(id, &subject);
            }
        }
        index
    }

    fn add(&mut self, id: &ResourceId, subject: &Subject) {
        match subject {
            Subject::Path(path) | Subject::Part { path, .. } => self.add_path(id, path),
            Subject::Package(_) => self.add_file(id, PACKAGES),
            Subject::User(_) => {
                self.add_file(id, USERS);
                self.add_file(id, GROUPS);
            }
            Subject::Group(_) => self.add_file(id, GROUPS),
            Subject::UnitFile(unit) | Subject::Service(unit) => {
                self.units
                    .entry(unit.clone())
                    .or_default()
                    .insert(id.clone());
            }
            Subject::Nothing(_) => {}
        }
    }

    fn add_path(&mut self, id: &ResourceId, path: &AbsolutePath) {
        if let Some((directory, name)) = path.as_str().rsplit_once('/') {
            let directory = if directory.is_empty() { "/" } else { directory };
            // The kernel's own files tell nobody.
            if !directory.starts_with("/proc") && !directory.starts_with("/sys/") {
                self.add_file(id, (directory, name));
            }
        }
    }

    fn add_file(&mut self, id: &ResourceId, (directory, name): (&str, &str)) {
        let names = self.files.entry(directory.to_owned()).or_default();
        let ids = names.entry(name.to_owned()).or_default();
        ids.insert(id.clone());
    }
}

/// Whether it is compared with the machine at all.
pub(super) fn is_watched(id: &ResourceId) -> bool {
    !WAITING.contains(&id.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_seen_somewhere() {
        let mut index = Index::default();
        let id = |text: &str| -> ResourceId { text.parse().unwrap() };
        let path = |text: &str| -> Subject { Subject::Path(text.parse().unwrap()) };
        index.add(&id("file:/etc/a/b"), &path("/etc/a/b"));
        index.add(&id("file:/top"), &path("/top"));
        index.add(&id("sysctl:x"), &path("/proc/sys/x"));
        index.add(&id("package:p"), &Subject::Package("p".into()));
        index.add(&id("user:u"), &Subject::User("u".into()));
        index.add(&id("service:s"), &Subject::Service("s.service".into()));
        let directories: Vec<&str> = index.files.keys().map(String::as_str).collect();
        assert_eq!(directories, ["/", "/etc", "/etc/a", "/var/lib/dpkg"]);
        assert!(index.files["/etc"].contains_key("passwd"));
        assert_eq!(index.units["s.service"], [id("service:s")].into());
    }
}
