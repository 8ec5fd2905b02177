//! `service`: a systemd unit that runs, starts at boot, and runs on what it reads.

use serde::Deserialize;

use super::declare::{Declaration, Place};
use super::field::Unit;
use super::owed::{self, Reads, Watched};
use super::unit::daemon_reload;
use crate::deserialize::{Error, OneOrMany};
use crate::host::{Fingerprint, Host, HostError, HostResult, ReadHost, UnitState, UnitVerb};
use crate::resource::{Change, Effect, Impact, Resource, ResourceId, Subject};

/// `service: haproxy`. A unit that ends by itself (`Type=oneshot` without `RemainAfterExit=`)
/// never counts as running: give it `running: false`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    /// Starts at boot. Default: true.
    enabled: Option<bool>,
    /// Runs now. Default: true.
    running: Option<bool>,
    /// Cannot be started by anyone; then it neither runs nor starts at boot.
    #[serde(default)]
    masked: bool,
    /// Restarted whenever it does not run on the present state of these.
    #[serde(default)]
    restart_on: OneOrMany<ResourceId>,
    /// Reloaded (or, if it cannot, restarted) whenever it does not run on the present state of
    /// these. A restart pays for a reload, too.
    #[serde(default)]
    reload_on: OneOrMany<ResourceId>,
}

struct Service {
    unit: String,
    enabled: bool,
    running: bool,
    masked: bool,
    restart_on: Vec<ResourceId>,
    reload_on: Vec<ResourceId>,
}

/// The unit that `service: name` means: with `.service` where no suffix is given.
#[must_use]
pub fn unit_of(name: &str) -> String {
    Unit::try_from(name.to_owned()).map_or_else(|_| name.to_owned(), |unit| unit.0)
}

impl Declaration for Fields {
    const NAME: &'static str = "service";
    const HEALS: bool = true;
    const DOC: &'static str = "A systemd unit: running, enabled, restarted when that is owed.";

    fn build(self, place: &Place<'_>) -> Result<Box<dyn Resource>, Error> {
        let unit = place.name::<Unit>()?.0;
        for (field, given) in [("enabled", self.enabled), ("running", self.running)] {
            if self.masked && given == Some(true) {
                return Err(place.error(field, format!("`{field}` contradicts `masked`")));
            }
        }
        let (restart_on, reload_on) = (self.restart_on.0, self.reload_on.0);
        if let Some(twice) = reload_on.iter().find(|id| restart_on.contains(id)) {
            let message = format!("`{twice}` is under `restart_on` already, which reloads, too");
            return Err(place.error("reload_on", message));
        }
        Ok(Box::new(Service {
            unit,
            enabled: !self.masked && self.enabled.unwrap_or(true),
            running: !self.masked && self.running.unwrap_or(true),
            masked: self.masked,
            restart_on,
            reload_on,
        }))
    }
}

impl Service {
    fn change(&self, verb: &str, text: String, impact: Impact) -> Change {
        let effect = Effect::Service {
            unit: self.unit.clone(),
            running: self.running,
            enabled: self.enabled,
        };
        Change::new(verb, text)
            .with_impact(impact)
            .with_effects([effect])
    }

    fn simple(&self, verb: &str) -> Change {
        // Stopping is the only one that takes something away from anybody.
        let impact = if verb == "stop" {
            Impact::Restart
        } else {
            Impact::None
        };
        self.change(verb, format!("{verb} {}", self.unit), impact)
    }

    /// Whether it starts at boot and whether it may be started at all.
    fn plan_boot(&self, state: &UnitState) -> Vec<Change> {
        let masked = state.load == "masked";
        let mut changes = Vec::new();
        if self.masked != masked {
            changes.push(self.simple(if masked { "unmask" } else { "mask" }));
        } else if state.need_daemon_reload && !masked {
            changes.push(daemon_reload(&self.unit));
        }
        if self.masked {
            return changes;
        }
        // What a mask hides cannot be seen: said anyway, and done where it turns out needed.
        if masked || self.enabled != is_enabled(state, self.enabled) {
            changes.push(self.simple(if self.enabled { "enable" } else { "disable" }));
        }
        changes
    }

    fn plan_running(&self, state: &UnitState, host: &dyn ReadHost) -> HostResult<Option<Change>> {
        match (self.running, runs(state)) {
            (true, false) => {
                // Asked although starting pays for everything: what it reads must be knowable.
                self.look(host)?;
                Ok(Some(self.simple("start")))
            }
            (true, true) => self.plan_owed(state, host),
            (false, true) => Ok(Some(self.simple("stop"))),
            (false, false) => Ok(None),
        }
    }

    fn plan_owed(&self, state: &UnitState, host: &dyn ReadHost) -> HostResult<Option<Change>> {
        let watched = self.look(host)?;
        if watched.is_empty() {
            return Ok(None);
        }
        let record = host.restart_record(&self.unit)?;
        let owed = |ids, reads| owed::owed(ids, state, record.as_ref(), &watched, reads);
        let because = |verb: &str, ids: &[&ResourceId]| {
            let ids = ids
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            format!(
                "{verb} {}, which does not run on the present {ids}",
                self.unit
            )
        };
        let restart = owed(&self.restart_on, Reads::AtStart);
        let reload = owed(&self.reload_on, Reads::OnReload);
        Ok(if !restart.is_empty() {
            Some(self.change("restart", because("restart", &restart), Impact::Restart))
        } else if reload.is_empty() {
            None
        } else if state.can_reload {
            Some(self.change("reload", because("reload", &reload), Impact::Reload))
        } else {
            let verb = "restart (it cannot reload)";
            Some(self.change("restart", because(verb, &reload), Impact::Restart))
        })
    }

    fn look(&self, host: &dyn ReadHost) -> HostResult<Watched> {
        owed::look(self.restart_on.iter().chain(&self.reload_on), host)
    }

    /// Starts, restarts or reloads, and writes down what it runs on now.
    fn run(&self, verb: UnitVerb, host: &mut dyn Host) -> HostResult<()> {
        // Read before: what changes in between is then owed, not lost.
        let watched = self.look(host.as_read())?;
        let before = host.unit(&self.unit)?;
        host.unit_verb(&self.unit, verb)?;
        let after = host.unit(&self.unit)?;
        // A start of what ran already started nothing.
        let took = verb == UnitVerb::Reload || after.invocation != before.invocation;
        if took && runs(&after) && !watched.is_empty() {
            owed::note(&self.unit, &after, &watched, host)?;
        }
        Ok(())
    }

    fn set_enabled(&self, host: &mut dyn Host) -> HostResult<()> {
        let state = host.unit(&self.unit)?;
        match (self.enabled, is_enabled(&state, self.enabled)) {
            (true, false) => host.unit_verb(&self.unit, UnitVerb::Enable),
            (false, true) => host.unit_verb(&self.unit, UnitVerb::Disable),
            _ => Ok(()),
        }
    }
}

/// A service that systemd is only waiting to start again does not run.
fn runs(state: &UnitState) -> bool {
    state.is_active() && !state.sub.starts_with("auto-restart")
}

/// Whether it starts at boot; what has nothing to enable (`static`, `generated`, …) is as `wanted`.
fn is_enabled(state: &UnitState, wanted: bool) -> bool {
    match state.enabled.as_str() {
        "enabled" => true,
        // Until the next boot only.
        "enabled-runtime" => !wanted,
        "disabled" | "masked" | "masked-runtime" | "linked" | "linked-runtime" => false,
        _ => wanted,
    }
}

impl Resource for Service {
    fn subjects(&self) -> Vec<Subject> {
        vec![Subject::Service(self.unit.clone())]
    }

    fn needs(&self) -> Vec<Subject> {
        let stem = self
            .unit
            .rsplit_once('.')
            .map_or(self.unit.as_str(), |(stem, _)| stem);
        vec![
            Subject::UnitFile(self.unit.clone()),
            Subject::Package(stem.to_owned()),
        ]
    }

    fn watches(&self) -> Vec<ResourceId> {
        self.restart_on
            .iter()
            .chain(&self.reload_on)
            .cloned()
            .collect()
    }

    fn plan(&self, host: &dyn ReadHost) -> HostResult<Vec<Change>> {
        let state = host.unit(&self.unit)?;
        if !state.exists() && (self.enabled || self.running) {
            let operation = format!("look after {}", self.unit);
            return Err(HostError::failed(operation, "there is no such unit"));
        }
        if !state.exists() && !self.masked {
            return Ok(Vec::new());
        }
        let mut changes = self.plan_boot(&state);
        let running = self.plan_running(&state, host)?;
        // What is masked while it runs would run on: first stopped, then masked.
        let place = if self.masked { 0 } else { changes.len() };
        changes.splice(place..place, running);
        Ok(changes)
    }

    fn intent(&self) -> Vec<Change> {
        let verbs: &[&str] = match (self.masked, self.enabled, self.running) {
            (true, _, _) => &["stop", "mask"],
            (_, true, true) => &["enable", "start"],
            (_, true, false) => &["enable", "stop"],
            (_, false, true) => &["disable", "start"],
            (_, false, false) => &["disable", "stop"],
        };
        verbs.iter().map(|verb| self.simple(verb)).collect()
    }

    fn apply(&self, changes: &[Change], host: &mut dyn Host) -> HostResult<()> {
        for change in changes {
            match change.verb.as_str() {
                "daemon-reload" => host.daemon_reload()?,
                "unmask" => host.unit_verb(&self.unit, UnitVerb::Unmask)?,
                "mask" => host.unit_verb(&self.unit, UnitVerb::Mask)?,
                "enable" | "disable" => self.set_enabled(host)?,
                "stop" => host.unit_verb(&self.unit, UnitVerb::Stop)?,
                "start" => self.run(UnitVerb::Start, host)?,
                "restart" => self.run(UnitVerb::Restart, host)?,
                "reload" => self.run(UnitVerb::Reload, host)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn fingerprint(&self, host: &dyn ReadHost) -> HostResult<Fingerprint> {
        owed::process(&self.unit, host)
    }

    /// Notes what it runs on, where that is not noted yet: after a crash, a reboot, an adoption.
    fn confirm(&self, host: &mut dyn Host) -> HostResult<()> {
        let watched = self.look(host.as_read())?;
        if !self.running || watched.is_empty() {
            return Ok(());
        }
        let state = host.unit(&self.unit)?;
        let record = host.restart_record(&self.unit)?;
        // Asked once more, of the same look: what changed meanwhile must not count as read.
        let is_owed =
            |ids, reads| !owed::owed(ids, &state, record.as_ref(), &watched, reads).is_empty();
        let owed =
            is_owed(&self.restart_on, Reads::AtStart) || is_owed(&self.reload_on, Reads::OnReload);
        if !owed && runs(&state) && !state.invocation.is_empty() {
            owed::note(&self.unit, &state, &watched, host)?;
        }
        Ok(())
    }
}
