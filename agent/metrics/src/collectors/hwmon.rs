//! Sensors of the hardware: temperatures, fans, voltages, power.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use brine_exposition::{Exposition, Kind};

use crate::collector::{CollectError, Definition};
use crate::roots::{Directory, ReadError, Roots, names};

pub(super) const DEFINITION: Definition = Definition {
    name: "hwmon",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// What files of sensors begin with, before the sensor's number.
const SENSORS: [&str; 13] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
];

/// What files of one sensor say, by what stands behind the sensor's name; the value itself may have nothing there.
type Elements = BTreeMap<String, String>;
/// By kind and number.
type Sensors = BTreeMap<(&'static str, u32), Elements>;

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let class = roots.sysfs.join("class/hwmon");
    let chips = names(&class)?;
    if chips.is_empty() && !class.exists() {
        return Err(CollectError::NoData);
    }
    // Drivers can announce a device twice: what comes second under the same name is left out.
    let mut told = BTreeSet::new();
    let mut result = Ok(());
    for name in chips {
        let path = class.join(name);
        if path.is_dir()
            && let Err(error) = chip(&path, &mut told, out)
        {
            result = Err(error);
        }
    }
    result
}

fn chip(
    path: &Path,
    told: &mut BTreeSet<(String, String)>,
    out: &mut Exposition,
) -> Result<(), CollectError> {
    let directory = Directory::open(path)?;
    let description = directory.read("name").map(|name| clean(&name));
    let description = description.unwrap_or_default();
    let chip = name(path, &description)?;
    let mut sensors = Sensors::new();
    gather(path, &directory, &mut sensors)?;
    // Old drivers have the files there.
    let device = path.join("device");
    if device.exists() {
        gather(&device, &Directory::open(&device)?, &mut sensors)?;
    }
    if !description.is_empty() && told.insert((chip.clone(), format!("name {description}"))) {
        out.gauge(
            "node_hwmon_chip_names",
            "Annotation metric for human-readable chip names",
        )
        .add(&[("chip", &chip), ("chip_name", &description)], 1_u64);
    }
    for ((kind, number), elements) in &sensors {
        let sensor = format!("{kind}{number}");
        if told.insert((chip.clone(), sensor.clone())) {
            tell(&chip, &sensor, kind, elements, out);
        }
    }
    Ok(())
}

/// Names come from the device's place, which stays when the order of drivers changes; where there is none, from the
/// driver, and at last from the number.
fn name(path: &Path, description: &str) -> Result<String, CollectError> {
    let part = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        clean(&name.to_string_lossy())
    };
    if let Ok(device) = path.join("device").canonicalize() {
        let (name, bus) = (part(Some(&device)), part(device.parent()));
        if !name.is_empty() {
            return Ok(if bus.is_empty() {
                name
            } else {
                format!("{bus}_{name}")
            });
        }
    }
    if !description.is_empty() {
        return Ok(description.to_owned());
    }
    let nameless = || CollectError::malformed(path.display().to_string(), "it has no name");
    let name = part(Some(&path.canonicalize().map_err(|_| nameless())?));
    if name.is_empty() {
        return Err(nameless());
    }
    Ok(name)
}

/// As it may stand in the name of a family.
fn clean(name: &str) -> String {
    let lower = name.to_lowercase();
    let allowed = |letter| matches!(letter, 'a'..='z' | '0'..='9' | ':' | '_');
    let replaced: String = lower
        .chars()
        .map(|letter| if allowed(letter) { letter } else { '_' })
        .collect();
    replaced.trim_matches('_').to_owned()
}

fn gather(path: &Path, directory: &Directory, sensors: &mut Sensors) -> Result<(), ReadError> {
    for file in names(path)? {
        // What cannot be read now says nothing; it may be a directory, too.
        if let Some((kind, number, element)) = parts(&file)
            && let Ok(text) = directory.read(&file)
        {
            let elements = sensors.entry((kind, number)).or_default();
            elements.insert(element.to_owned(), text.trim_matches('\n').to_owned());
        }
    }
    Ok(())
}

/// `temp1_crit_alarm`: kind, number and element.
fn parts(file: &str) -> Option<(&'static str, u32, &str)> {
    let digit = |letter: char| letter.is_ascii_digit();
    let begin = file.find(digit).unwrap_or(file.len());
    let (kind, rest) = file.split_at(begin);
    let end = rest.find(|letter| !digit(letter)).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let element = match rest.strip_prefix('_') {
        Some(element) if !element.is_empty() => element,
        _ if rest.is_empty() => "",
        // The digits are part of the element.
        _ => {
            let (kind, _) = kind.rsplit_once('_')?;
            let kind = SENSORS.into_iter().find(|known| *known == kind)?;
            return Some((kind, 0, &file[kind.len() + 1..]));
        }
    };
    let kind = SENSORS.into_iter().find(|known| *known == kind)?;
    let number = if number.is_empty() {
        0
    } else {
        number.parse().ok()?
    };
    Some((kind, number, element))
}

fn tell(chip: &str, sensor: &str, kind: &str, elements: &Elements, out: &mut Exposition) {
    let labels = [("chip", chip), ("sensor", sensor)];
    if let Some(label) = elements.get("label") {
        out.gauge("node_hwmon_sensor_label", "Label for given chip and sensor")
            .add(&[labels[0], labels[1], ("label", label)], 1_u64);
    }
    let own = elements.get("").map(String::as_str);
    let number = own.and_then(|own| own.parse::<f64>().ok());
    match (kind, number) {
        ("beep_enable", _) => {
            out.gauge("node_hwmon_beep_enabled", "Hardware beep enabled")
                .add(&labels, own == Some("1"));
        }
        ("vrm", Some(version)) => {
            out.gauge(
                "node_hwmon_voltage_regulator_version",
                "Hardware voltage regulator",
            )
            .add(&labels, version);
        }
        ("update_interval", Some(milliseconds)) => {
            out.gauge(
                "node_hwmon_update_interval_seconds",
                "Hardware monitor update interval",
            )
            .add(&labels, milliseconds * 0.001);
        }
        ("vrm" | "update_interval", None) => {}
        _ => {
            for (element, text) in elements {
                if element != "label"
                    && let Ok(value) = text.parse::<f64>()
                {
                    let family = family(kind, element, own.is_some());
                    out.family(family.name, family.kind, family.help)
                        .add(&labels, family.scale.of(value));
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Scale {
    One,
    Milli,
    Micro,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::One => value,
            Self::Milli => value * 0.001,
            Self::Micro => value / 1_000_000.0,
        }
    }
}

struct Family {
    name: String,
    help: String,
    kind: Kind,
    scale: Scale,
}

/// What an element of a sensor is called, and its unit.
fn family(sensor: &str, element: &str, has_own: bool) -> Family {
    let mut name = format!("node_hwmon_{sensor}");
    // It is the value itself, unless there is another one.
    if !element.is_empty() && (element != "input" || has_own) {
        name.push('_');
        name.push_str(&clean(element));
    }
    let (unit, help, scale) = match (sensor, element) {
        (_, "fault" | "alarm") => (
            "",
            format!("Hardware sensor {element} status ({sensor})"),
            Scale::One,
        ),
        (_, "beep") => (
            "_enabled",
            "Hardware monitor sensor has beeping enabled".to_owned(),
            Scale::One,
        ),
        ("in" | "cpu", _) => (
            "_volts",
            format!("Hardware monitor for voltage ({element})"),
            Scale::Milli,
        ),
        ("temp", element) if element != "type" => {
            let element = if element.is_empty() { "input" } else { element };
            let help = format!("Hardware monitor for temperature ({element})");
            ("_celsius", help, Scale::Milli)
        }
        ("curr", _) => (
            "_amps",
            format!("Hardware monitor for current ({element})"),
            Scale::Milli,
        ),
        ("energy", _) => (
            "_joule_total",
            format!("Hardware monitor for joules used so far ({element})"),
            Scale::Micro,
        ),
        ("power", "accuracy") => (
            "",
            "Hardware monitor power meter accuracy, as a ratio".to_owned(),
            Scale::Micro,
        ),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => (
            "_seconds",
            format!("Hardware monitor power usage update interval ({element})"),
            Scale::Milli,
        ),
        ("power", _) => (
            "_watt",
            format!("Hardware monitor for power usage in watts ({element})"),
            Scale::Micro,
        ),
        ("humidity", _) => (
            "",
            format!(
                "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) \
                 ({element})"
            ),
            Scale::Micro,
        ),
        ("fan", "input" | "min" | "max" | "target") => (
            "_rpm",
            format!("Hardware monitor for fan revolutions per minute ({element})"),
            Scale::One,
        ),
        _ => (
            "",
            format!("Hardware monitor {sensor} element {element}"),
            Scale::One,
        ),
    };
    name.push_str(unit);
    let kind = if sensor == "energy" && unit == "_joule_total" {
        Kind::Counter
    } else {
        Kind::Gauge
    };
    Family {
        name,
        help,
        kind,
        scale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn sensors_of_chips_with_and_without_a_device() {
        let machine = Machine::new(&[
            ("sys/class/hwmon/hwmon0/name", "Odd-Chip\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "45500\n"),
            ("sys/class/hwmon/hwmon0/temp1_label", "CPU die \n"),
            ("sys/class/hwmon/hwmon0/temp1_crit_alarm", "0\n"),
            ("sys/class/hwmon/hwmon0/temp1_crit", "hot\n"),
            ("sys/class/hwmon/hwmon0/fan2_input", "1200\n"),
            ("sys/class/hwmon/hwmon0/fan2_alarm", "1\n"),
            ("sys/class/hwmon/hwmon0/pwm3", "128\n"),
            ("sys/class/hwmon/hwmon0/pwm3_input", "7\n"),
            ("sys/class/hwmon/hwmon0/energy1_input", "2500000\n"),
            ("sys/class/hwmon/hwmon0/beep_enable", "1\n"),
            ("sys/class/hwmon/hwmon0/update_interval", "2000\n"),
            ("sys/class/hwmon/hwmon0/uevent", "7\n"),
            ("sys/class/hwmon/hwmon1/in0_input", "1050\n"),
            ("sys/devices/bus/chip.7/power/control", "auto\n"),
            ("sys/devices/bus/chip.7/power1_average", "3000000\n"),
            ("sys/class/hwmon/file", "no chip\n"),
        ]);
        std::os::unix::fs::symlink(
            machine.path("sys/devices/bus/chip.7"),
            machine.path("sys/class/hwmon/hwmon1/device"),
        )
        .unwrap();
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_hwmon_chip_names{chip=\"odd_chip\",chip_name=\"odd_chip\"} 1",
            "node_hwmon_temp_celsius{chip=\"odd_chip\",sensor=\"temp1\"} 45.5",
            "node_hwmon_sensor_label{chip=\"odd_chip\",sensor=\"temp1\",label=\"CPU die \"} 1",
            "node_hwmon_temp_crit_alarm_celsius{chip=\"odd_chip\",sensor=\"temp1\"} 0",
            "node_hwmon_fan_rpm{chip=\"odd_chip\",sensor=\"fan2\"} 1200",
            "node_hwmon_fan_alarm{chip=\"odd_chip\",sensor=\"fan2\"} 1",
            "node_hwmon_pwm{chip=\"odd_chip\",sensor=\"pwm3\"} 128",
            "node_hwmon_pwm_input{chip=\"odd_chip\",sensor=\"pwm3\"} 7",
            "# TYPE node_hwmon_energy_joule_total counter",
            "node_hwmon_energy_joule_total{chip=\"odd_chip\",sensor=\"energy1\"} 2.5",
            "node_hwmon_beep_enabled{chip=\"odd_chip\",sensor=\"beep_enable0\"} 1",
            "node_hwmon_update_interval_seconds{chip=\"odd_chip\",sensor=\"update_interval0\"} 2",
            "node_hwmon_in_volts{chip=\"bus_chip_7\",sensor=\"in0\"} 1.05",
            "node_hwmon_power_average_watt{chip=\"bus_chip_7\",sensor=\"power1\"} 3",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        assert!(!text.contains("temp_crit_celsius") && !text.contains("uevent"));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }

    #[test]
    fn the_same_chip_twice_is_told_once() {
        let machine = Machine::new(&[
            ("sys/class/hwmon/hwmon0/name", "twin\n"),
            ("sys/class/hwmon/hwmon0/in0_input", "1000\n"),
            ("sys/class/hwmon/hwmon1/name", "twin\n"),
            ("sys/class/hwmon/hwmon1/in0_input", "2000\n"),
        ]);
        let text = collected(&DEFINITION, &machine).unwrap();
        assert_eq!(text.matches("chip=\"twin\"").count(), 2, "{text}");
    }

    #[test]
    fn names_of_files() {
        let cases = [
            ("temp1_crit_alarm", Some(("temp", 1, "crit_alarm"))),
            ("pwm1", Some(("pwm", 1, ""))),
            ("in007_input", Some(("in", 7, "input"))),
            ("update_interval", Some(("update_interval", 0, ""))),
            ("temp_2nd", Some(("temp", 0, "2nd"))),
            ("temp1x", None),
            ("temp99999999999_input", None),
            ("temp1_", None),
            ("1", None),
            ("name", None),
            ("", None),
        ];
        for (file, expected) in cases {
            assert_eq!(parts(file), expected, "{file}");
        }
    }
}
