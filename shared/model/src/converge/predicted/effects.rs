//! What a change will have done.

use super::{Arriving, LATER, Path, Pending, Predicted};
use crate::host::{FileKind, FileState, PackageState, ReadHost};
use crate::path::AbsolutePath;
use crate::resource::{Change, Effect, ResourceId};
use crate::resources::package_list;

impl Predicted<'_> {
    pub(super) fn overlay(
        &mut self,
        id: &ResourceId,
        change: &Change,
        effect: &Effect,
        pending: Pending,
    ) {
        if let Effect::Service {
            unit,
            running: true,
            ..
        } = effect
            && change.verb == "start"
        {
            self.starting.insert(unit.clone(), id.clone());
        }
        match effect {
            Effect::File {
                path,
                digest,
                mode,
                owner,
                group,
            } => {
                let state = there(FileKind::File, *mode, owner, group);
                self.put(id, path, Path::There(state, Some(*digest)));
            }
            Effect::Directory {
                path,
                mode,
                owner,
                group,
            } => {
                let state = there(FileKind::Directory, *mode, owner, group);
                self.put(id, path, Path::There(state, None));
            }
            Effect::Symlink { path, target } => {
                let kind = FileKind::Symlink {
                    target: target.clone(),
                };
                self.put(
                    id,
                    path,
                    Path::There(there(kind, 0o777, "root", "root"), None),
                );
            }
            Effect::Absent { path } => {
                self.paths.retain(|other, _| !is_within(other, path));
                self.removed.insert(path.clone());
                self.put(id, path, Path::Absent);
            }
            Effect::Package { name, version } => self.install(id, name, version.as_deref()),
            Effect::UnitFile { unit } => {
                self.unit_files.insert(unit.clone(), id.clone());
            }
            // What a service that cannot be planned will be like is just what nobody knows.
            Effect::Service { .. } if pending == Pending::Unknown => {}
            Effect::Service {
                unit,
                running,
                enabled,
            } => {
                self.turn(unit, *running, *enabled, &change.verb);
            }
            Effect::User { name } => {
                self.users.insert(name.clone(), id.clone());
            }
            Effect::Group { name } => {
                self.groups.insert(name.clone());
            }
            Effect::Unknown => {}
        }
    }

    fn put(&mut self, id: &ResourceId, path: &AbsolutePath, state: Path) {
        self.paths.insert(path.clone(), (id.clone(), state));
    }

    fn install(&mut self, id: &ResourceId, name: &str, version: Option<&str>) {
        let before = self.host.package(name).unwrap_or_default();
        self.arriving.push(Arriving {
            id: id.clone(),
            formula: self.formula.clone(),
            new: before.installed.is_none(),
        });
        let installed = Some(version.unwrap_or("the candidate").to_owned());
        self.packages.insert(
            name.to_owned(),
            PackageState {
                installed,
                ..before
            },
        );
        // Where a dependant looks for when it changed.
        if let Ok(list) = package_list(name) {
            let state = there(FileKind::File, 0o644, "root", "root");
            self.put(id, &list, Path::There(state, None));
        }
    }

    fn turn(&mut self, unit: &str, running: bool, enabled: bool, verb: &str) {
        let Ok(mut state) = self.unit(unit) else {
            return;
        };
        let is = |truth, yes: &str, no: &str| if truth { yes.to_owned() } else { no.to_owned() };
        state.load = is(verb == "mask", "masked", "loaded");
        state.active = is(running, "active", "inactive");
        state.sub = is(running, "running", "dead");
        if enabled != (state.enabled == "enabled") && matches!(verb, "enable" | "disable") {
            state.enabled = is(enabled, "enabled", "disabled");
        }
        if matches!(verb, "start" | "restart") {
            state.invocation = "to be started".to_owned();
            state.started_at = Some(LATER);
        }
        if verb == "daemon-reload" {
            state.need_daemon_reload = false;
        }
        self.units.insert(unit.to_owned(), state);
    }
}

fn there(kind: FileKind, mode: u32, owner: &str, group: &str) -> FileState {
    let (owner, group) = (owner.to_owned(), group.to_owned());
    FileState {
        kind,
        mode,
        owner,
        group,
        size: 0,
        changed_at: LATER,
    }
}

fn is_within(path: &AbsolutePath, tree: &AbsolutePath) -> bool {
    path.as_path().starts_with(tree.as_path())
}
