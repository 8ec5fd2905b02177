//! The list of collectors: a new one is a file here and a line in it.

use crate::collector::Definition;

mod bonding;
mod cgroups;
mod cpu;
mod cpufreq;
mod diskstats;
mod hwmon;
mod interrupts;
mod ksmd;
mod loadavg;
mod mdadm;
mod netclass;
mod netdev;
mod systemd;
mod textfile;
mod thermal_zone;

/// By name.
pub static COLLECTORS: &[Definition] = &[
    bonding::DEFINITION,
    cgroups::DEFINITION,
    cpu::DEFINITION,
    cpufreq::DEFINITION,
    diskstats::DEFINITION,
    hwmon::DEFINITION,
    interrupts::DEFINITION,
    ksmd::DEFINITION,
    loadavg::DEFINITION,
    mdadm::DEFINITION,
    netclass::DEFINITION,
    netdev::DEFINITION,
    systemd::DEFINITION,
    textfile::DEFINITION,
    thermal_zone::DEFINITION,
];

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use brine_exposition::Exposition;

    use super::*;
    use crate::collector::CollectError;
    use crate::options::Options;
    use crate::roots::Roots;

    /// Files of a machine that never was.
    pub(crate) struct Machine(tempfile::TempDir);

    impl Machine {
        /// Paths begin with `proc/`, `sys/`, `root/` or `udev/`.
        pub(crate) fn new(files: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = directory.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(directory)
        }

        pub(crate) fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        pub(crate) fn roots(&self) -> Roots {
            Roots {
                procfs: self.path("proc"),
                sysfs: self.path("sys"),
                rootfs: self.path("root"),
                udev: self.path("udev"),
            }
        }
    }

    pub(crate) fn collected(
        definition: &'static Definition,
        machine: &Machine,
    ) -> Result<String, CollectError> {
        collected_with(definition, &[], machine)
    }

    pub(crate) fn collected_with(
        definition: &'static Definition,
        given: &[(&str, &str)],
        machine: &Machine,
    ) -> Result<String, CollectError> {
        let mut options = Options::of(definition);
        for (option, value) in given {
            options.set(option, *value);
        }
        let collector = (definition.new)(&options).expect("valid options");
        let mut out = Exposition::new();
        collector.collect(&machine.roots(), &mut out)?;
        Ok(out.text())
    }

    #[test]
    fn names_are_sorted_and_there_once() {
        assert!(COLLECTORS.is_sorted_by(|one, next| one.name < next.name));
    }
}
