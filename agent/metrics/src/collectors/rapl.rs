//! Energy that processors and memory have used, as they count it themselves.

use std::collections::HashMap;

use brine_exposition::Exposition;

use crate::collector::{CollectError, Collector, Definition, Opt, Value, count, metric_name};
use crate::roots::{Directory, Roots, entries};

pub(super) const DEFINITION: Definition = Definition {
    name: "rapl",
    enabled: true,
    options: &[Opt {
        name: LABEL,
        help: "One metric for all zones, the zone being a label.",
        default: Value::Switch(false),
    }],
    new: |options| {
        Ok(Box::new(Rapl {
            label: options.switch(LABEL),
        }))
    },
};

const LABEL: &str = "enable-zone-label";

struct Rapl {
    label: bool,
}

struct Zone {
    name: String,
    /// Tells zones of the same name apart.
    index: i64,
    directory: Directory,
}

impl Collector for Rapl {
    fn collect(&self, roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
        for zone in zones(roots).map_err(none_if_not_for_us)? {
            let energy = count(&zone.directory, "energy_uj").map_err(none_if_forbidden)?;
            #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
            let joules = energy as f64 / 1e6;
            let index = zone.index.to_string();
            let path = zone.directory.path().to_string_lossy();
            let mut labels = vec![("index", index.as_str()), ("path", &path)];
            if self.label {
                labels.push(("rapl_zone", &zone.name));
                out.counter("node_rapl_joules_total", "Current RAPL value in joules")
                    .add(&labels, joules);
            } else {
                let name = metric_name(&zone.name);
                out.counter(
                    format!("node_rapl_{name}_joules_total"),
                    format!("Current RAPL {} value in joules", zone.name),
                )
                .add(&labels, joules);
            }
        }
        Ok(())
    }
}

fn none_if_forbidden(error: CollectError) -> CollectError {
    match error {
        CollectError::Read(error) if error.is_forbidden() => CollectError::NoData,
        error => error,
    }
}

fn none_if_not_for_us(error: CollectError) -> CollectError {
    match error {
        CollectError::Read(error) if error.is_missing() => CollectError::NoData,
        error => none_if_forbidden(error),
    }
}

fn zones(roots: &Roots) -> Result<Vec<Zone>, CollectError> {
    let class = roots.sysfs.join("class/powercap");
    let mut zones = Vec::new();
    let mut seen: HashMap<String, i64> = HashMap::new();
    for entry in entries(&class)? {
        // The control type, which is the parent of zones, has no name.
        let Ok(directory) = Directory::open(&class.join(&entry)) else {
            continue;
        };
        let Ok(name) = directory.value("name") else {
            continue;
        };
        // What cannot tell its range is not one that counts energy.
        count(&directory, "max_energy_range_uj")?;
        let (name, index) = match numbered(&name) {
            Some((name, index)) => (name.to_owned(), index),
            None => {
                let index = seen.get(&name).copied().unwrap_or(0);
                (name, index)
            }
        };
        seen.insert(name.clone(), index.saturating_add(1));
        zones.push(Zone {
            name,
            index,
            directory,
        });
    }
    Ok(zones)
}

/// `package-1` is the second package.
fn numbered(name: &str) -> Option<(&str, i64)> {
    let (name, number) = name.split_once('-')?;
    Some((name, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected, collected_with};

    #[test]
    fn zones_have_numbers_of_their_own_or_are_counted() {
        let mut files = vec![
            ("sys/class/powercap/rapl/enabled", "1\n"),
            ("sys/class/powercap/rapl:0/name", "package-3\n"),
            (
                "sys/class/powercap/rapl:0/max_energy_range_uj",
                "262143328850\n",
            ),
            ("sys/class/powercap/rapl:0/energy_uj", "2500000\n"),
            ("sys/class/powercap/rapl:1/name", "dram\n"),
            (
                "sys/class/powercap/rapl:1/max_energy_range_uj",
                "262143328850\n",
            ),
            ("sys/class/powercap/rapl:1/energy_uj", "1\n"),
            ("sys/class/powercap/rapl:2/name", "dram\n"),
            (
                "sys/class/powercap/rapl:2/max_energy_range_uj",
                "262143328850\n",
            ),
            ("sys/class/powercap/rapl:2/energy_uj", "7000000\n"),
        ];
        let machine = Machine::new(&files);
        let class = machine.path("sys/class/powercap");
        let class = class.display();
        let text = collected(&DEFINITION, &machine).unwrap();
        for line in [
            format!("node_rapl_package_joules_total{{index=\"3\",path=\"{class}/rapl:0\"}} 2.5"),
            format!("node_rapl_dram_joules_total{{index=\"1\",path=\"{class}/rapl:2\"}} 7"),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{text}");
        }
        let text = collected_with(&DEFINITION, &[(LABEL, "true")], &machine).unwrap();
        let line = format!(
            "node_rapl_joules_total{{index=\"0\",path=\"{class}/rapl:1\",rapl_zone=\"dram\"}} 1e-06"
        );
        assert!(text.contains(&format!("\n{line}\n")), "{text}");
        files[6].1 = "much\n";
        let error = collected(&DEFINITION, &Machine::new(&files)).unwrap_err();
        assert!(matches!(error, CollectError::Malformed { .. }));
        let error = collected(&DEFINITION, &Machine::new(&[])).unwrap_err();
        assert!(matches!(error, CollectError::NoData));
    }
}
