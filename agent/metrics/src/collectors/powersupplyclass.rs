//! Power supplies: batteries, mains, what they hold and deliver.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value, none_if_missing, whole};
use crate::pattern::Filter;
use crate::roots::{Directory, Roots, entries, signed};

pub(super) const DEFINITION: Definition = Definition {
    name: "powersupplyclass",
    enabled: true,
    options: &[Opt {
        name: IGNORED,
        help: "Power supplies to leave out: a regular expression.",
        default: Value::Text("^$"),
    }],
    new: |options| {
        let devices = Filter::excluding(options, IGNORED)?;
        Ok(Box::new(PowerSupplies { devices }))
    },
};

const IGNORED: &str = "ignored-supplies";

struct PowerSupplies {
    devices: Filter,
}

/// What a number in a file is counted in.
#[derive(Debug, Clone, Copy)]
enum Unit {
    One,
    Millionth,
    Tenth,
}

/// Files, metrics and units, by file.
const NUMBERS: &[(&str, &str, Unit)] = &[
    ("authentic", "authentic", Unit::One),
    ("calibrate", "calibrate", Unit::One),
    ("capacity", "capacity", Unit::One),
    ("capacity_alert_max", "capacity_alert_max", Unit::One),
    ("capacity_alert_min", "capacity_alert_min", Unit::One),
    (
        "charge_control_limit",
        "charge_control_limit",
        Unit::Millionth,
    ),
    (
        "charge_control_limit_max",
        "charge_control_limit_max",
        Unit::Millionth,
    ),
    ("charge_counter", "charge_counter", Unit::Millionth),
    ("charge_empty", "charge_empty", Unit::Millionth),
    (
        "charge_empty_design",
        "charge_empty_design",
        Unit::Millionth,
    ),
    ("charge_full", "charge_full", Unit::Millionth),
    ("charge_full_design", "charge_full_design", Unit::Millionth),
    ("charge_now", "charge_ampere", Unit::Millionth),
    (
        "charge_term_current",
        "charge_term_current",
        Unit::Millionth,
    ),
    (
        "constant_charge_current",
        "constant_charge_current",
        Unit::Millionth,
    ),
    (
        "constant_charge_current_max",
        "constant_charge_current_max",
        Unit::Millionth,
    ),
    (
        "constant_charge_voltage",
        "constant_charge_voltage",
        Unit::Millionth,
    ),
    (
        "constant_charge_voltage_max",
        "constant_charge_voltage_max",
        Unit::Millionth,
    ),
    ("current_boot", "current_boot", Unit::Millionth),
    ("current_max", "current_max", Unit::Millionth),
    ("current_now", "current_ampere", Unit::Millionth),
    ("cycle_count", "cyclecount", Unit::One),
    ("energy_empty", "energy_empty", Unit::Millionth),
    (
        "energy_empty_design",
        "energy_empty_design",
        Unit::Millionth,
    ),
    ("energy_full", "energy_full", Unit::Millionth),
    ("energy_full_design", "energy_full_design", Unit::Millionth),
    ("energy_now", "energy_watthour", Unit::Millionth),
    (
        "input_current_limit",
        "input_current_limit",
        Unit::Millionth,
    ),
    ("online", "online", Unit::One),
    ("power_now", "power_watt", Unit::Millionth),
    ("precharge_current", "precharge_current", Unit::Millionth),
    ("present", "present", Unit::One),
    ("temp", "temp_celsius", Unit::Tenth),
    ("temp_alert_max", "temp_alert_max_celsius", Unit::Tenth),
    ("temp_alert_min", "temp_alert_min_celsius", Unit::Tenth),
    ("temp_ambient", "temp_ambient_celsius", Unit::Tenth),
    ("temp_ambient_max", "temp_ambient_max_celsius", Unit::Tenth),
    ("temp_ambient_min", "temp_ambient_min_celsius", Unit::Tenth),
    ("temp_max", "temp_max_celsius", Unit::Tenth),
    ("temp_min", "temp_min_celsius", Unit::Tenth),
    ("time_to_empty_now", "time_to_empty_seconds", Unit::One),
    ("time_to_full_now", "time_to_full_seconds", Unit::One),
    ("voltage_boot", "voltage_boot", Unit::Millionth),
    ("voltage_max", "voltage_max", Unit::Millionth),
    ("voltage_max_design", "voltage_max_design", Unit::Millionth),
    ("voltage_min", "voltage_min", Unit::Millionth),
    ("voltage_min_design", "voltage_min_design", Unit::Millionth),
    ("voltage_now", "voltage_volt", Unit::Millionth),
    ("voltage_ocv", "voltage_ocv", Unit::Millionth),
];

/// Files that make labels of the same name, sorted.
const WORDS: &[&str] = &[
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

impl Collector for PowerSupplies {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        let class = roots.sysfs.join("class/power_supply");
        let mut supplies = entries(&class).map_err(none_if_missing)?;
        supplies.retain(|name| self.devices.takes(name));
        whole(out, |out| {
            for name in &supplies {
                supply(name, &Directory::open(&class.join(name))?, out)?;
            }
            Ok(())
        })
    }
}

fn supply(name: &str, directory: &Directory, out: &mut Exposition) -> Result<(), CollectError> {
    let mut labels = Vec::new();
    // A supply has few of them: to list what there is costs less than to look for all.
    for file in entries(directory.path())? {
        let number = NUMBERS.binary_search_by_key(&file.as_str(), |(known, ..)| known);
        let word = WORDS.binary_search(&file.as_str());
        if number.is_err() && word.is_err() {
            continue;
        }
        let value = match directory.value(&file) {
            Ok(value) => value,
            Err(error) if error.is_unanswered() => continue,
            Err(error) => return Err(error.into()),
        };
        if let Ok(place) = word {
            if !value.is_empty() {
                labels.push((WORDS[place], value));
            }
        } else if let Ok(place) = number {
            let (_, metric, unit) = NUMBERS[place];
            let Some(value) = signed(&value) else {
                let file = directory.path().join(file);
                return Err(CollectError::malformed(file.display().to_string(), value));
            };
            let mut samples = out.gauge(
                format!("node_power_supply_{metric}"),
                format!("{metric} value of /sys/class/power_supply/<power_supply>."),
            );
            let power_supply = [("power_supply", name)];
            match unit {
                Unit::One => samples.add(&power_supply, value),
                Unit::Millionth => samples.add(&power_supply, float(value) / 1e6),
                Unit::Tenth => samples.add(&power_supply, float(value) / 10.0),
            };
        }
    }
    labels.push(("power_supply", name.to_owned()));
    labels.sort_unstable();
    let labels: Vec<(&str, &str)> = labels
        .iter()
        .map(|(label, value)| (*label, value.as_str()))
        .collect();
    out.gauge(
        "node_power_supply_info",
        "info of /sys/class/power_supply/<power_supply>.",
    )
    .add(&labels, 1_u64);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
fn float(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    #[test]
    fn tables_are_sorted() {
        assert!(NUMBERS.is_sorted_by_key(|(file, ..)| file));
        assert!(WORDS.is_sorted());
    }

    #[test]
    fn numbers_have_units_and_words_are_labels() {
        let mut files = vec![
            ("sys/class/power_supply/BAT7/capacity", "93\n"),
            ("sys/class/power_supply/BAT7/energy_now", "36580000\n"),
            ("sys/class/power_supply/BAT7/temp", "-25\n"),
            ("sys/class/power_supply/BAT7/status", "Full\n"),
            ("sys/class/power_supply/BAT7/serial_number", " \n"),
            ("sys/class/power_supply/BAT7/uevent", "A=B\n"),
            ("sys/class/power_supply/AC/online", "1\n"),
        ];
        let machine = Machine::new(&files);
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            "node_power_supply_capacity{power_supply=\"BAT7\"} 93",
            "node_power_supply_energy_watthour{power_supply=\"BAT7\"} 36.58",
            "node_power_supply_temp_celsius{power_supply=\"BAT7\"} -2.5",
            "node_power_supply_info{power_supply=\"BAT7\",status=\"Full\"} 1",
            "node_power_supply_info{power_supply=\"AC\"} 1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        let text = collected_with(&DEFINITION, &[(IGNORED, "^AC$")], &machine).unwrap();
        assert!(!text.contains("\"AC\""), "{text}");
        files[0].1 = "most\n";
        let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
        assert!(matches!(error, CollectError::Malformed { .. }));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}
