//! `package`: a Debian package.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::{PackageName, Version};
use crate::deserialize::Error;
use crate::digest::Digest;
use crate::host::{Fingerprint, Host, HostResult, PackageRequest, PackageState, ReadHost};
use crate::path::{AbsolutePath, InvalidPath};
use crate::resource::{Change, Effect, Impact, Resource, Subject};
use crate::time::Timestamp;

/// `package: haproxy`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Exactly this version; without it, whatever is installed is right.
    version: Option<Version>,
    /// Put on hold (true) or take off it (false); without it, holds are left alone.
    hold: Option<bool>,
    /// Follow the version that apt would install now.
    #[serde(default)]
    upgrade: bool,
    /// False keeps the package from starting its daemons before the `service` resources that
    /// follow in the formula take over.
    start: Option<bool>,
}

struct Package {
    name: String,
    version: Option<String>,
    hold: Option<bool>,
    upgrade: bool,
    keep_stopped: Vec<String>,
}

/// The file that dpkg replaces whenever it unpacks the package: its ctime is when it did.
///
/// # Errors
/// The name is not one that a package can have.
pub fn package_list(name: &str) -> Result<AbsolutePath, InvalidPath> {
    AbsolutePath::try_from(format!("/var/lib/dpkg/info/{name}.list"))
}

impl Declaration for Fields {
    const NAME: &'static str = "package";
    const HEALS: bool = true;
    const DOC: &'static str = "A Debian package; adjacent ones are installed in one transaction.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        if self.upgrade && self.version.is_some() {
            return Err(place.error("upgrade", "`upgrade` contradicts `version`"));
        }
        if self.upgrade && self.hold == Some(true) {
            return Err(place.error("upgrade", "`upgrade` contradicts `hold`"));
        }
        let keep_stopped = match place.materials {
            Some(materials) if self.start == Some(false) => materials.later_services.to_vec(),
            _ => Vec::new(),
        };
        Ok(Box::new(Package {
            name: place.name::<PackageName>()?.0,
            version: self.version.map(|version| version.0),
            hold: self.hold,
            upgrade: self.upgrade,
            keep_stopped,
        }))
    }
}

impl Package {
    /// How to get to the right version, if it is not there.
    fn version_change(
        &self,
        state: &PackageState,
        host: &dyn ReadHost,
    ) -> HostResult<Option<Change>> {
        let name = &self.name;
        let due = || match &self.version {
            Some(version) => Ok(Some(version.clone())),
            None => host.candidate(name),
        };
        let Some(installed) = &state.installed else {
            // For the text only: apt itself may have to fetch its lists first.
            let due = due().ok().flatten();
            let verb = if state.broken {
                "finish the installation of"
            } else {
                "install"
            };
            let version = due
                .as_ref()
                .map(|version| format!(" {version}"))
                .unwrap_or_default();
            let text = format!("{verb} {name}{version}");
            return Ok(Some(self.change("install", text, Impact::None, due)));
        };
        if state.broken {
            let due = self.version.clone().or_else(|| Some(installed.clone()));
            let text = format!("finish the installation of {name}");
            return Ok(Some(self.change("install", text, Impact::Restart, due)));
        }
        // Held by hand and not spoken of here: the hold wins.
        let follows = self.upgrade && (!state.held || self.hold == Some(false));
        if self.version.is_none() && !follows {
            return Ok(None);
        }
        Ok(due()?.filter(|due| due != installed).map(|due| {
            let text = format!("{name} {installed} → {due}");
            // Most packages restart their daemon when they are upgraded.
            self.change("upgrade", text, Impact::Restart, Some(due))
        }))
    }

    fn change(&self, verb: &str, text: String, impact: Impact, version: Option<String>) -> Change {
        let effects = vec![Effect::Package {
            name: self.name.clone(),
            version,
        }];
        Change::new(verb, text)
            .with_impact(impact)
            .with_effects(effects)
    }

    fn hold_change(&self, state: &PackageState) -> Option<Change> {
        let hold = self.hold.filter(|hold| *hold != state.held)?;
        let (verb, text) = if hold {
            ("hold", "hold")
        } else {
            ("unhold", "no longer hold")
        };
        Some(Change::new(verb, format!("{text} {}", self.name)))
    }
}

impl Resource for Package {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Package(self.name.clone())]
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let state = host.package(&self.name)?;
        let version = self.version_change(&state, host)?;
        Ok(version
            .into_iter()
            .chain(self.hold_change(&state))
            .collect())
    }

    fn intent(&self) -> Vec<Change> {
        let text = format!("install {}", self.name);
        vec![self.change("install", text, Impact::None, self.version.clone())]
    }

    fn apply(&self, _: &[Change], host: &mut dyn Host) -> HostResult<()> {
        match self.package_request(host.as_read()) {
            Some(request) => host.packages(&[request]),
            None => Ok(()),
        }
    }

    fn package_request(&self, host: &dyn ReadHost) -> Option<PackageRequest> {
        let state = host.package(&self.name).ok()?;
        let version = self.version_change(&state, host).ok()?;
        let hold = self.hold_change(&state);
        if version.is_none() && hold.is_none() {
            return None;
        }
        // What exists may run, and is not ours to stop; a unit that is masked stays so anyway.
        let absent = |unit: &&String| host.unit(unit).is_ok_and(|unit| unit.load != "loaded");
        let keep_stopped = match version {
            Some(_) => self.keep_stopped.iter().filter(absent).cloned().collect(),
            None => Vec::new(),
        };
        Some(PackageRequest {
            name: self.name.clone(),
            version: self.version.clone(),
            hold: self.hold,
            install: version.is_some(),
            keep_stopped,
        })
    }

    /// The installed version. Where dpkg's file list does not tell since when, it counts as old:
    /// then, without a record, a service is restarted for other reasons only.
    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        let version = host.package(&self.name)?.installed.unwrap_or_default();
        let list = match package_list(&self.name) {
            Ok(path) => host.stat(&path)?,
            Err(_) => None,
        };
        let changed_at = list.map_or(Timestamp(i64::MIN), |state| state.changed_at);
        Ok(Fingerprint {
            digest: Digest::of(version.as_bytes()),
            changed_at: Some(changed_at),
        })
    }
}
