//! systemd's units: what they are, and starting, stopping, enabling them.

use std::collections::HashMap;
use std::time::Duration;

use brine_model::host::{HostError, HostResult, UnitState, UnitVerb};
use brine_model::time::Timestamp;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::accounts::Accounts;
use super::programs;
use super::systemd::Systemd;

const UNIT: &str = "org.freedesktop.systemd1.Unit";
const UNIT_SERVICE: &str = "org.freedesktop.systemd1.Service";

/// systemd ends a start or stop by the unit's own time-outs; this is for units without.
const JOB: Duration = Duration::from_secs(15 * 60);

/// How much of the journal goes into an error.
const JOURNAL_LINES: &str = "--lines=15";

/// What GetUnitFileState says where there is no unit file.
const NO_FILE: &[&str] = &[
    "org.freedesktop.systemd1.NoSuchUnit",
    "org.freedesktop.DBus.Error.FileNotFound",
    "org.freedesktop.systemd1.BadUnitSetting",
    "org.freedesktop.DBus.Error.InvalidArgs",
];

type Properties = HashMap<String, OwnedValue>;

pub(super) fn state(systemd: &Systemd, name: &str) -> HostResult<UnitState> {
    let unit = full_name(name);
    let operation = || format!("look at unit {unit}");
    let path: OwnedObjectPath = systemd
        .call("LoadUnit", &(&unit,))
        .map_err(|error| error.into_host(operation()))?;
    let found = systemd
        .properties(&path, UNIT)
        .map_err(|error| error.into_host(operation()))?;
    let enabled: String = match systemd.call("GetUnitFileState", &(&unit,)) {
        Ok(state) => state,
        Err(error) if error.is(NO_FILE) => String::new(),
        Err(error) => return Err(error.into_host(operation())),
    };
    let mut state = UnitState {
        load: text(&found, "LoadState"),
        active: text(&found, "ActiveState"),
        sub: text(&found, "SubState"),
        enabled,
        invocation: invocation(&found),
        started_at: None,
        state_changed_at: time(&found, "StateChangeTimestamp"),
        need_daemon_reload: flag(&found, "NeedDaemonReload"),
        can_reload: flag(&found, "CanReload"),
    };
    if state.is_active() {
        let service = if unit.ends_with(".service") {
            systemd
                .properties(&path, UNIT_SERVICE)
                .map_err(|error| error.into_host(operation()))?
        } else {
            Properties::new()
        };
        // What has no main process (a timer, `Type=forking` without a PID file) began when it
        // left the inactive state.
        state.started_at = time(&service, "ExecMainStartTimestamp")
            .or_else(|| time(&found, "InactiveExitTimestamp"));
    }
    Ok(state)
}

pub(super) fn run(
    systemd: &Systemd,
    name: &str,
    verb: UnitVerb,
    accounts: &Accounts,
) -> HostResult<()> {
    let unit = full_name(name);
    match verb {
        UnitVerb::Start => job(systemd, &unit, "start", "StartUnit", accounts),
        UnitVerb::Stop => job(systemd, &unit, "stop", "StopUnit", accounts),
        UnitVerb::Restart => job(systemd, &unit, "restart", "RestartUnit", accounts),
        UnitVerb::Reload => job(systemd, &unit, "reload", "ReloadUnit", accounts),
        UnitVerb::Enable => files(&unit, "enable", || {
            let (_, _): (bool, Links) =
                systemd.call("EnableUnitFiles", &(vec![&unit], false, false))?;
            reload(systemd)
        }),
        UnitVerb::Disable => files(&unit, "disable", || {
            let _: Links = systemd.call("DisableUnitFiles", &(vec![&unit], false))?;
            reload(systemd)
        }),
        UnitVerb::Mask => files(&unit, "mask", || {
            let _: Links = systemd.call("MaskUnitFiles", &(vec![&unit], false, false))?;
            reload(systemd)
        }),
        UnitVerb::Unmask => files(&unit, "unmask", || {
            let _: Links = systemd.call("UnmaskUnitFiles", &(vec![&unit], false))?;
            reload(systemd)
        }),
    }
}

pub(super) fn daemon_reload(systemd: &Systemd) -> HostResult<()> {
    reload(systemd).map_err(|error| error.into_host("make systemd read its units anew"))
}

/// Begins a reboot in good order; returns before it happens.
pub(super) fn reboot(systemd: &Systemd) -> HostResult<()> {
    systemd
        .call("Reboot", &())
        .map_err(|error| error.into_host("have systemd reboot the machine"))
}

/// `haproxy` is `haproxy.service`.
pub(super) fn full_name(name: &str) -> String {
    const SUFFIXES: &[&str] = &[
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "slice",
        "scope",
    ];
    match name.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => name.to_owned(),
        _ => format!("{name}.service"),
    }
}

/// Kind of link, its path, its target.
type Links = Vec<(String, String, String)>;

fn reload(systemd: &Systemd) -> Result<(), super::systemd::CallError> {
    systemd.call("Reload", &())
}

fn files(
    unit: &str,
    doing: &str,
    change: impl FnOnce() -> Result<(), super::systemd::CallError>,
) -> HostResult<()> {
    change().map_err(|error| error.into_host(format!("{doing} {unit}")))
}

fn job(
    systemd: &Systemd,
    unit: &str,
    doing: &str,
    method: &str,
    accounts: &Accounts,
) -> HostResult<()> {
    let operation = format!("{doing} {unit}");
    let result = systemd
        .job(method, &(unit, "replace"), JOB)
        .map_err(|error| error.into_host(&operation))?;
    if result == "done" {
        return Ok(());
    }
    let status = match state(systemd, unit) {
        Ok(state) => format!("{result}; the unit is {} ({})", state.active, state.sub),
        Err(_) => result,
    };
    Err(HostError::Program {
        operation,
        status,
        output: journal(unit, accounts),
    })
}

/// The unit's own last words; none where there is no journal.
fn journal(unit: &str, accounts: &Accounts) -> String {
    let unit = format!("--unit={unit}");
    let argv = [
        "journalctl",
        &unit,
        JOURNAL_LINES,
        "--no-pager",
        "--output=cat",
        "--quiet",
    ];
    let program = programs::program(&argv, Duration::from_secs(10));
    programs::run(&program, accounts)
        .map_or_else(|_| String::new(), |output| programs::words(&output))
}

fn text(properties: &Properties, name: &str) -> String {
    properties
        .get(name)
        .and_then(|value| value.downcast_ref::<String>().ok())
        .unwrap_or_default()
}

fn flag(properties: &Properties, name: &str) -> bool {
    properties
        .get(name)
        .and_then(|value| value.downcast_ref::<bool>().ok())
        .unwrap_or_default()
}

/// Sixteen bytes; none, or all zero, where the unit never ran.
fn invocation(properties: &Properties) -> String {
    let bytes: Vec<u8> = properties
        .get("InvocationID")
        .and_then(|value| value.try_clone().ok())
        .and_then(|value| Vec::try_from(value).ok())
        .unwrap_or_default();
    if bytes.iter().all(|&byte| byte == 0) {
        return String::new();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Microseconds since the epoch; zero means never.
fn time(properties: &Properties, name: &str) -> Option<Timestamp> {
    let micros = properties
        .get(name)?
        .downcast_ref::<u64>()
        .ok()
        .filter(|&micros| micros > 0)?;
    i64::try_from(micros)
        .ok()
        .map(|micros| Timestamp(micros.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes() {
        for (name, full) in [
            ("haproxy", "haproxy.service"),
            ("patroni@15.main", "patroni@15.main.service"),
            ("apt-daily.timer", "apt-daily.timer"),
        ] {
            assert_eq!(full_name(name), full);
        }
    }
}
