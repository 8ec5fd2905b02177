//! Units of the service manager, and whether the system is up as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use brine_exposition::Exposition;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{Connection, connection};

use crate::collector::{CollectError, Collector, Definition, Opt, Value};
use crate::options::{Invalid, Options};
use crate::pattern::Filter;
use crate::roots::Roots;

const INCLUDE: &str = "unit-include";
const EXCLUDE: &str = "unit-exclude";
const TASKS: &str = "enable-task-metrics";
const RESTARTS: &str = "enable-restarts-metrics";
const START_TIMES: &str = "enable-start-time-metrics";

pub(super) const DEFINITION: Definition = Definition {
    name: "systemd",
    enabled: false,
    options: &[
        Opt {
            name: INCLUDE,
            help: "Units to include, as a regular expression for the whole name.",
            default: Value::Text(".+"),
        },
        Opt {
            name: EXCLUDE,
            help: "Units to exclude of those, as a regular expression for the whole name.",
            default: Value::Text(r".+\.(automount|device|mount|scope|slice|target)"),
        },
        Opt {
            name: TASKS,
            help: "How many tasks services have: node_systemd_unit_tasks_current and …_max.",
            default: Value::Switch(false),
        },
        Opt {
            name: RESTARTS,
            help: "How often services were restarted: node_systemd_service_restart_total.",
            default: Value::Switch(false),
        },
        Opt {
            name: START_TIMES,
            help: "Since when units are active: node_systemd_unit_start_time_seconds.",
            default: Value::Switch(false),
        },
    ],
    new: |options| Ok(Box::new(Systemd::new(options)?)),
};

const SERVICE: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// For any single call: who waits longer is left behind anyway.
const CALL: Duration = Duration::from_secs(4);

/// The states that are told of each unit.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];

/// From here on, it knows its own state, and when timers ran.
const KNOWS_ITSELF: f64 = 212.0;

struct Systemd {
    units: Filter,
    tasks: bool,
    restarts: bool,
    start_times: bool,
}

impl Systemd {
    fn new(options: &Options) -> Result<Self, Invalid> {
        Ok(Self {
            units: Filter::whole(options, INCLUDE, EXCLUDE)?,
            tasks: options.switch(TASKS),
            restarts: options.switch(RESTARTS),
            start_times: options.switch(START_TIMES),
        })
    }

    fn takes(&self, unit: &Unit) -> bool {
        unit.is_loaded && self.units.takes(&unit.name)
    }
}

impl Collector for Systemd {
    fn collect(&self, _: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CollectError::malformed("systemd", error.to_string()))?;
        runtime
            .block_on(async {
                let builder = connection::Builder::system()?.method_timeout(CALL);
                self.ask(&Manager(builder.build().await?), out).await
            })
            .map_err(|error| CollectError::malformed("systemd", error.to_string()))
    }
}

/// One line of the list of units.
#[derive(Debug)]
struct Unit {
    name: String,
    is_loaded: bool,
    state: String,
    path: OwnedObjectPath,
}

impl Unit {
    fn is(&self, kind: &str) -> bool {
        let rest = self.name.strip_suffix(kind);
        rest.is_some_and(|rest| rest.ends_with('.'))
    }
}

struct Manager(Connection);

impl Manager {
    async fn units(&self) -> zbus::Result<Vec<Unit>> {
        type Line<'a> = (
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            ObjectPath<'a>,
            u32,
            &'a str,
            ObjectPath<'a>,
        );
        let bus = &self.0;
        let call = bus.call_method(Some(SERVICE), MANAGER_PATH, Some(MANAGER), "ListUnits", &());
        let reply = call.await?;
        let body = reply.body();
        let lines: Vec<Line<'_>> = body.deserialize()?;
        let units = lines
            .into_iter()
            .map(|(name, _, load, state, _, _, path, ..)| Unit {
                name: name.to_owned(),
                is_loaded: load == "loaded",
                state: state.to_owned(),
                path: path.into(),
            });
        Ok(units.collect())
    }

    /// A property of an object's interface, which is given without what all of them begin with.
    async fn property<T>(&self, path: &str, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedValue>,
        zbus::Error: From<T::Error>,
    {
        let interface = format!("{SERVICE}.{interface}");
        let question = (interface.as_str(), name);
        let bus = &self.0;
        let call = bus.call_method(Some(SERVICE), path, Some(PROPERTIES), "Get", &question);
        let value: OwnedValue = call.await?.body().deserialize()?;
        Ok(T::try_from(value)?)
    }

    /// A property that old versions do not have, or of a unit that may be gone.
    async fn maybe<T>(&self, unit: &Unit, interface: &str, name: &str) -> Option<T>
    where
        T: TryFrom<OwnedValue>,
        zbus::Error: From<T::Error>,
    {
        let value = self.property(unit.path.as_str(), interface, name).await;
        value
            .inspect_err(|error| tracing::debug!(unit = unit.name, name, %error, "is not told"))
            .ok()
    }
}

impl Systemd {
    async fn ask(&self, manager: &Manager, out: &mut Exposition) -> zbus::Result<()> {
        let text: zbus::Result<String> = manager.property(MANAGER_PATH, "Manager", "Version").await;
        let text = text.unwrap_or_default();
        let number = version(&text);
        let label = number.map(|_| text.as_str()).unwrap_or_default();
        let number = number.unwrap_or_default();
        out.gauge("node_systemd_version", "Detected systemd version")
            .add(&[("version", label)], number);
        let mut units = manager.units().await?;
        summary(&units, out);
        units.retain(|unit| self.takes(unit));
        for unit in &units {
            self.unit(manager, unit, number >= KNOWS_ITSELF, out).await;
        }
        if number >= KNOWS_ITSELF {
            let state: String = manager
                .property(MANAGER_PATH, "Manager", "SystemState")
                .await?;
            out.gauge(
                "node_systemd_system_running",
                "Whether the system is operational (see 'systemctl is-system-running')",
            )
            .add(&[], state == "running");
        }
        Ok(())
    }

    async fn unit(&self, manager: &Manager, unit: &Unit, has_timers: bool, out: &mut Exposition) {
        let name = [("name", unit.name.as_str())];
        let kind: Option<String> = if unit.is("service") {
            manager.maybe(unit, "Service", "Type").await
        } else if unit.is("mount") {
            manager.maybe(unit, "Mount", "Type").await
        } else {
            None
        };
        states(unit, &kind.unwrap_or_default(), out);
        if self.start_times {
            let since = if unit.state == "active" {
                manager.maybe(unit, "Unit", "ActiveEnterTimestamp").await
            } else {
                Some(0_u64)
            };
            if let Some(since) = since {
                out.gauge(
                    "node_systemd_unit_start_time_seconds",
                    "Start time of the unit since unix epoch in seconds.",
                )
                .add(&name, seconds(since));
            }
        }
        if unit.is("service") {
            self.service(manager, unit, out).await;
        } else if unit.is("timer") && has_timers {
            if let Some(last) = manager.maybe(unit, "Timer", "LastTriggerUSec").await {
                out.gauge(
                    "node_systemd_timer_last_trigger_seconds",
                    "Seconds since epoch of last trigger.",
                )
                .add(&name, seconds(last));
            }
        } else if unit.is("socket") {
            socket(manager, unit, out).await;
        }
    }

    async fn service(&self, manager: &Manager, unit: &Unit, out: &mut Exposition) {
        let name = [("name", unit.name.as_str())];
        if self.restarts
            && let Some(restarts) = manager.maybe::<u32>(unit, "Service", "NRestarts").await
        {
            out.counter(
                "node_systemd_service_restart_total",
                "Service unit count of Restart triggers",
            )
            .add(&name, restarts);
        }
        if !self.tasks {
            return;
        }
        let tasks = [
            (
                "TasksCurrent",
                "node_systemd_unit_tasks_current",
                "Current number of tasks per Systemd unit",
            ),
            (
                "TasksMax",
                "node_systemd_unit_tasks_max",
                "Maximum number of tasks per Systemd unit",
            ),
        ];
        for (property, family, help) in tasks {
            // The largest number there is means that it is not counted, or not limited.
            if let Some(count) = manager.maybe::<u64>(unit, "Service", property).await
                && count != u64::MAX
            {
                out.gauge(family, help).add(&name, count);
            }
        }
    }
}

async fn socket(manager: &Manager, unit: &Unit, out: &mut Exposition) {
    let name = [("name", unit.name.as_str())];
    let Some(accepted) = manager.maybe::<u32>(unit, "Socket", "NAccepted").await else {
        return;
    };
    out.counter(
        "node_systemd_socket_accepted_connections_total",
        "Total number of accepted socket connections",
    )
    .add(&name, accepted);
    let Some(current) = manager.maybe::<u32>(unit, "Socket", "NConnections").await else {
        return;
    };
    out.gauge(
        "node_systemd_socket_current_connections",
        "Current number of socket connections",
    )
    .add(&name, current);
    if let Some(refused) = manager.maybe::<u32>(unit, "Socket", "NRefused").await {
        out.gauge(
            "node_systemd_socket_refused_connections_total",
            "Total number of refused socket connections",
        )
        .add(&name, refused);
    }
}

/// How many units are in each state, of all that there are.
fn summary(units: &[Unit], out: &mut Exposition) {
    let mut counts: BTreeMap<&str, u64> = STATES.into_iter().map(|state| (state, 0)).collect();
    for unit in units {
        *counts.entry(&unit.state).or_default() += 1;
    }
    let mut samples = out.gauge("node_systemd_units", "Summary of systemd unit states");
    for (state, count) in counts {
        samples.add(&[("state", state)], count);
    }
}

fn states(unit: &Unit, kind: &str, out: &mut Exposition) {
    let mut samples = out.gauge("node_systemd_unit_state", "Systemd unit");
    for state in STATES {
        let labels = [
            ("name", unit.name.as_str()),
            ("state", state),
            ("type", kind),
        ];
        samples.add(&labels, unit.state == state);
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// `252.39-1~deb12u2` is 252.39.
fn version(text: &str) -> Option<f64> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = text;
    loop {
        rest = &rest[rest.find(|letter: char| letter.is_ascii_digit())?..];
        let whole = digits(rest);
        if whole < 3 {
            rest = &rest[whole..];
            continue;
        }
        let fraction = match rest[whole..].strip_prefix('.').map(digits) {
            Some(count) if count > 0 => count + 1,
            _ => 0,
        };
        return rest[..whole + fraction].parse().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, is_loaded: bool, state: &str) -> Unit {
        Unit {
            name: name.to_owned(),
            is_loaded,
            state: state.to_owned(),
            path: OwnedObjectPath::try_from("/unit").unwrap(),
        }
    }

    fn systemd(given: &[(&str, &str)]) -> Result<Systemd, Invalid> {
        let mut options = Options::of(&DEFINITION);
        for (option, value) in given {
            options.set(option, *value);
        }
        Systemd::new(&options)
    }

    #[test]
    fn both_patterns_are_for_the_whole_name() {
        let usual = systemd(&[]).unwrap();
        assert!(usual.takes(&unit("cron.service", true, "active")));
        assert!(usual.takes(&unit("a.mount.service", true, "active")));
        assert!(!usual.takes(&unit("cron.service", false, "active")));
        assert!(!usual.takes(&unit("-.mount", true, "active")));
        let some = systemd(&[(INCLUDE, "cron|ssh.*")]).unwrap();
        assert!(some.takes(&unit("ssh.service", true, "active")));
        assert!(!some.takes(&unit("cron.service", true, "active")));
        assert!(!some.takes(&unit("ssh.slice", true, "active")));
        let all = systemd(&[(EXCLUDE, "")]).unwrap();
        assert!(all.takes(&unit("-.mount", true, "active")));
        assert!(systemd(&[(INCLUDE, "(")]).is_err());
    }

    #[test]
    fn states_and_their_summary() {
        let units = [
            unit("a.service", true, "active"),
            unit("b.service", true, "reloading"),
            unit("c.timer", false, "active"),
        ];
        let mut out = Exposition::new();
        summary(&units, &mut out);
        states(&units[0], "notify", &mut out);
        let text = out.text();
        for line in [
            "node_systemd_units{state=\"active\"} 2",
            "node_systemd_units{state=\"failed\"} 0",
            "node_systemd_units{state=\"reloading\"} 1",
            "node_systemd_unit_state{name=\"a.service\",state=\"active\",type=\"notify\"} 1",
            "node_systemd_unit_state{name=\"a.service\",state=\"failed\",type=\"notify\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        assert!(units[0].is("service") && !units[0].is("ice") && !units[2].is("service"));
    }

    #[test]
    fn versions() {
        assert_eq!(version("252.39-1~deb12u2"), Some(252.39));
        assert_eq!(version("v249 (249.11-0ubuntu3)"), Some(249.0));
        assert_eq!(version("12 254.rc1"), Some(254.0));
        assert_eq!(version("44"), None);
        assert_eq!(version(""), None);
    }
}
