//! The list of collectors: a new one is a file here and a line in it.

use crate::collector::Definition;

mod arp;
mod bcache;
mod bonding;
mod btrfs;
mod buddyinfo;
mod cgroups;
mod conntrack;
mod cpu;
mod cpufreq;
mod diskstats;
mod dmi;
mod drbd;
mod edac;
mod entropy;
mod fibrechannel;
mod filefd;
mod filesystem;
mod hwmon;
mod infiniband;
mod interrupts;
mod ipvs;
mod ksmd;
mod lnstat;
mod loadavg;
mod mdadm;
mod meminfo;
mod meminfo_numa;
mod mountstats;
mod netclass;
mod netdev;
mod netstat;
mod network_route;
mod nfs;
mod nfsd;
mod nvme;
mod os;
mod powersupplyclass;
mod pressure;
mod processes;
mod qdisc;
mod rapl;
mod schedstat;
mod selinux;
mod slabinfo;
mod sockstat;
mod softnet;
mod stat;
mod sysctl;
mod systemd;
mod tapestats;
mod textfile;
mod thermal_zone;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;
mod xfs;
mod zfs;
mod zoneinfo;

/// By name.
pub static COLLECTORS: &[Definition] = &[
    arp::DEFINITION,
    bcache::DEFINITION,
    bonding::DEFINITION,
    btrfs::DEFINITION,
    buddyinfo::DEFINITION,
    cgroups::DEFINITION,
    conntrack::DEFINITION,
    cpu::DEFINITION,
    cpufreq::DEFINITION,
    diskstats::DEFINITION,
    dmi::DEFINITION,
    drbd::DEFINITION,
    edac::DEFINITION,
    entropy::DEFINITION,
    fibrechannel::DEFINITION,
    filefd::DEFINITION,
    filesystem::DEFINITION,
    hwmon::DEFINITION,
    infiniband::DEFINITION,
    interrupts::DEFINITION,
    ipvs::DEFINITION,
    ksmd::DEFINITION,
    lnstat::DEFINITION,
    loadavg::DEFINITION,
    mdadm::DEFINITION,
    meminfo::DEFINITION,
    meminfo_numa::DEFINITION,
    mountstats::DEFINITION,
    netclass::DEFINITION,
    netdev::DEFINITION,
    netstat::DEFINITION,
    network_route::DEFINITION,
    nfs::DEFINITION,
    nfsd::DEFINITION,
    nvme::DEFINITION,
    os::DEFINITION,
    powersupplyclass::DEFINITION,
    pressure::DEFINITION,
    processes::DEFINITION,
    qdisc::DEFINITION,
    rapl::DEFINITION,
    schedstat::DEFINITION,
    selinux::DEFINITION,
    slabinfo::DEFINITION,
    sockstat::DEFINITION,
    softnet::DEFINITION,
    stat::DEFINITION,
    sysctl::DEFINITION,
    systemd::DEFINITION,
    tapestats::DEFINITION,
    textfile::DEFINITION,
    thermal_zone::DEFINITION,
    time::DEFINITION,
    timex::DEFINITION,
    udp_queues::DEFINITION,
    uname::DEFINITION,
    vmstat::DEFINITION,
    xfs::DEFINITION,
    zfs::DEFINITION,
    zoneinfo::DEFINITION,
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
