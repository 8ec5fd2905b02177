//! Temperatures that the kernel keeps watch over, and what cools them.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::{Directory, Roots, numbered};

pub(super) const DEFINITION: Definition = Definition {
    name: "thermal_zone",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

const ZONE: &str = "thermal_zone";
const COOLING: &str = "cooling_device";

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let class = roots.sysfs.join("class/thermal");
    let mut zones = Vec::new();
    for zone in numbered(&class, ZONE) {
        let directory = Directory::open(&class.join(format!("{ZONE}{zone}")))?;
        let kind = directory.read("type")?;
        let temperature = match directory.read("temp") {
            // A sensor that is switched off is no fault.
            Err(error) if error.has_no_data() => continue,
            temperature => number("temp", &temperature?)?,
        };
        zones.push((zone, kind, temperature));
    }
    let mut samples = out.gauge("node_thermal_zone_temp", "Zone temperature in Celsius");
    for (zone, kind, temperature) in zones {
        #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
        samples.add(
            &[("zone", &zone), ("type", kind.trim())],
            temperature as f64 / 1000.0,
        );
    }
    let mut devices = Vec::new();
    for name in numbered(&class, COOLING) {
        let directory = Directory::open(&class.join(format!("{COOLING}{name}")))?;
        let kind = directory.read("type")?;
        let most = number("max_state", &directory.read("max_state")?)?;
        // Some have -1 when they do nothing.
        let now = number("cur_state", &directory.read("cur_state")?)?;
        devices.push((name, kind, most, now));
    }
    for (name, kind, most, now) in devices {
        let labels = [("name", name.as_str()), ("type", kind.trim())];
        out.gauge(
            "node_cooling_device_cur_state",
            "Current throttle state of the cooling device",
        )
        .add(&labels, now);
        out.gauge(
            "node_cooling_device_max_state",
            "Maximum throttle state of the cooling device",
        )
        .add(&labels, most);
    }
    Ok(())
}

fn number(file: &str, text: &str) -> Result<i64, CollectError> {
    let text = text.trim();
    text.parse()
        .map_err(|_| CollectError::malformed(file, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn zones_and_what_cools_them() {
        let mut files = vec![
            ("sys/class/thermal/thermal_zone3/type", "soc\n"),
            ("sys/class/thermal/thermal_zone3/temp", "-1500\n"),
            ("sys/class/thermal/cooling_device0/type", "Fan\n"),
            ("sys/class/thermal/cooling_device0/max_state", "3\n"),
            ("sys/class/thermal/cooling_device0/cur_state", "-1\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        for line in [
            "node_thermal_zone_temp{zone=\"3\",type=\"soc\"} -1.5",
            "node_cooling_device_cur_state{name=\"0\",type=\"Fan\"} -1",
            "node_cooling_device_max_state{name=\"0\",type=\"Fan\"} 3",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        files[1].1 = "hot\n";
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        files.truncate(1);
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}
