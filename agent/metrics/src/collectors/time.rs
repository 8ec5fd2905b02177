//! The clock: what time it is, where, and by which source.

use std::time::SystemTime;

use brine_exposition::Exposition;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::collector::{CollectError, Collector, Definition};
use crate::roots::{Directory, Roots, names};

pub(super) const DEFINITION: Definition = Definition {
    name: "time",
    enabled: true,
    options: &[],
    new: |_| {
        // Once: it is as good as never changed, and reading it takes more stack than a scrape has.
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Ok(Box::new(Time { zone }))
    },
};

const SOURCES: &str = "devices/system/clocksource";

struct Time {
    /// Where the machine is.
    zone: TimeZone,
}

impl Collector for Time {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let now = SystemTime::now();
        let seconds = match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        };
        out.gauge(
            "node_time_seconds",
            "System time in seconds since epoch (1970).",
        )
        .add(&[], seconds);
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let here = self.zone.to_offset_info(now);
        let labels = [("time_zone", here.abbreviation())];
        out.gauge(
            "node_time_zone_offset_seconds",
            "System time zone offset in seconds.",
        )
        .add(&labels, here.offset().seconds());
        sources(roots, out)
    }
}

/// They are numbered as they come, whatever their directories' numbers are.
fn sources(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let parent = roots.sysfs.join(SOURCES);
    let mut all = Vec::new();
    for name in names(&parent)? {
        let number = name.strip_prefix("clocksource").unwrap_or_default();
        if !number.starts_with(|letter: char| letter.is_ascii_digit()) {
            continue;
        }
        let directory = Directory::open(&parent.join(&name))?;
        let attribute = |of| {
            let text = directory.attribute(of);
            text.ok_or_else(|| {
                CollectError::malformed(format!("{SOURCES}/{name}"), format!("it has no {of}"))
            })
        };
        let available = attribute("available_clocksource")?;
        all.push((available, attribute("current_clocksource")?));
    }
    for (device, (available, current)) in all.iter().enumerate() {
        let device = device.to_string();
        let mut family = out.gauge(
            "node_time_clocksource_available_info",
            "Available clocksources read from '/sys/devices/system/clocksource'.",
        );
        for source in available.split_ascii_whitespace() {
            family.add(&[("device", &device), ("clocksource", source)], 1_u64);
        }
        out.gauge(
            "node_time_clocksource_current_info",
            "Current clocksource read from '/sys/devices/system/clocksource'.",
        )
        .add(&[("device", &device), ("clocksource", current)], 1_u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    const AVAILABLE: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    const CURRENT: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";

    #[test]
    fn the_time_and_its_sources() {
        let machine = Machine::new(&[
            (AVAILABLE, "tsc hpet \n"),
            (CURRENT, "hpet\n"),
            ("sys/devices/system/clocksource/power/control", "auto\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert!(text.contains("\nnode_time_seconds 1."), "{text}");
        assert!(
            text.contains("\nnode_time_zone_offset_seconds{time_zone=\""),
            "{text}"
        );
        assert!(
            text.contains(
                "\nnode_time_clocksource_available_info{device=\"0\",clocksource=\"tsc\"} 1\nnode_time_clocksource_available_info{device=\"0\",clocksource=\"hpet\"} 1\n"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "\nnode_time_clocksource_current_info{device=\"0\",clocksource=\"hpet\"} 1\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn sources_may_be_missing_and_not_by_half() {
        assert!(collected(&DEFINITION, &Machine::new(&[])).is_ok());
        let machine = Machine::new(&[(CURRENT, "tsc\n")]);
        assert!(collected(&DEFINITION, &machine).is_err());
    }
}
