//! How fast processors run, and may run.

use brine_exposition::Exposition;

use crate::collector::{CollectError, Definition};
use crate::roots::{Directory, Roots, numbered};

pub(super) const DEFINITION: Definition = Definition {
    name: "cpufreq",
    enabled: true,
    options: &[],
    new: |_| Ok(Box::new(collect)),
};

/// Files in kilohertz, and their families.
const FREQUENCIES: [(&str, &str, &str); 6] = [
    (
        "cpuinfo_cur_freq",
        "node_cpu_frequency_hertz",
        "Current cpu thread frequency in hertz.",
    ),
    (
        "cpuinfo_min_freq",
        "node_cpu_frequency_min_hertz",
        "Minimum cpu thread frequency in hertz.",
    ),
    (
        "cpuinfo_max_freq",
        "node_cpu_frequency_max_hertz",
        "Maximum cpu thread frequency in hertz.",
    ),
    (
        "scaling_cur_freq",
        "node_cpu_scaling_frequency_hertz",
        "Current scaled CPU thread frequency in hertz.",
    ),
    (
        "scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "Minimum scaled CPU thread frequency in hertz.",
    ),
    (
        "scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "Maximum scaled CPU thread frequency in hertz.",
    ),
];

fn collect(roots: &Roots, out: &mut Exposition) -> Result<(), CollectError> {
    let cpus = roots.sysfs.join("devices/system/cpu");
    let mut found = Vec::new();
    for cpu in numbered(&cpus, "cpu") {
        let directory = match Directory::open(&cpus.join(format!("cpu{cpu}/cpufreq"))) {
            Err(error) if error.is_missing() => continue,
            directory => directory?,
        };
        found.push((cpu, frequencies(&directory)?));
    }
    // All or nothing: half of the processors would look like a smaller machine.
    for (place, (_, family, help)) in FREQUENCIES.into_iter().enumerate() {
        let mut samples = out.gauge(family, help);
        for (cpu, frequencies) in &found {
            if let Some(kilohertz) = frequencies[place] {
                #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
                samples.add(&[("cpu", cpu)], kilohertz as f64 * 1000.0);
            }
        }
    }
    Ok(())
}

fn frequencies(directory: &Directory) -> Result<[Option<u64>; FREQUENCIES.len()], CollectError> {
    let mut frequencies = [None; FREQUENCIES.len()];
    for (frequency, (file, _, _)) in frequencies.iter_mut().zip(FREQUENCIES) {
        let text = match directory.read(file) {
            // Some are for the superuser only, some depend on the driver.
            Err(error) if error.is_missing() || error.is_forbidden() => continue,
            text => text?,
        };
        let kilohertz = text.trim().parse();
        *frequency = Some(kilohertz.map_err(|_| CollectError::malformed(file, text.trim()))?);
    }
    Ok(frequencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tests::{Machine, collected};

    #[test]
    fn frequencies_that_are_there() {
        let cpu = "sys/devices/system/cpu";
        let current = format!("{cpu}/cpu11/cpufreq/scaling_cur_freq");
        let least = format!("{cpu}/cpu11/cpufreq/cpuinfo_min_freq");
        let other = format!("{cpu}/cpufreq/boost");
        let online = format!("{cpu}/cpu2/online");
        let mut files = vec![
            (current.as_str(), "1200123\n"),
            (least.as_str(), "800000\n"),
            (other.as_str(), "1\n"),
            (online.as_str(), "1\n"),
        ];
        let text = collected(&DEFINITION, &Machine::new(&files)).unwrap();
        assert!(text.contains("\nnode_cpu_scaling_frequency_hertz{cpu=\"11\"} 1.200123e+09\n"));
        assert!(text.contains("\nnode_cpu_frequency_min_hertz{cpu=\"11\"} 8e+08\n"));
        assert_eq!(text.matches("{cpu").count(), 2, "{text}");
        files[0].1 = "<unknown>\n";
        assert!(collected(&DEFINITION, &Machine::new(&files)).is_err());
        assert_eq!(collected(&DEFINITION, &Machine::new(&[])).unwrap(), "");
    }
}
